//! Offloads off, so that each frame is complete in memory when it is sent or received.

use std::io;
use std::os::fd::BorrowedFd;

use super::ioctl;
use crate::{Call, Error};

/// Turns off all offloads of the interface `name` that leave a frame incomplete, and reads back.
pub(super) fn turn_off(socket: BorrowedFd<'_>, call: &Call, name: &str) -> Result<(), Error> {
    let refused = |source: io::Error| match source.raw_os_error() {
        Some(libc::ENODEV) => Error::NotFound { call: call.clone(), name: name.to_owned() },
        _ => Error::Refused { call: call.clone(), detail: None, source },
    };
    let count = ioctl::feature_count(socket, name).map_err(refused)?;
    let names = ioctl::feature_names(socket, name, count).map_err(refused)?;
    let before = ioctl::features(socket, name, count).map_err(refused)?;
    let changeable: Vec<u32> =
        wanted_off(&names).zip(&before).map(|(mask, block)| mask & block.available).collect();
    ioctl::turn_off(socket, name, &changeable).map_err(refused)?;

    let after = ioctl::features(socket, name, count).map_err(refused)?;
    let left: Vec<u32> =
        wanted_off(&names).zip(&after).map(|(mask, block)| mask & block.active).collect();
    let features: Vec<String> = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| left[bit / 32] & (1 << (bit % 32)) != 0)
        .map(|(_, name)| name.clone())
        .collect();
    if features.is_empty() {
        return Ok(());
    }
    Err(Error::OffloadsLeft { call: call.clone(), features })
}

/// The bits of those features that are to be off, 32 in each word.
fn wanted_off(names: &[String]) -> impl Iterator<Item = u32> {
    names.chunks(32).map(|names| {
        let bits = names.iter().enumerate().filter(|(_, name)| leaves_frames_incomplete(name));
        bits.fold(0, |mask, (bit, _)| mask | 1 << bit)
    })
}

/// By the feature's name (net/ethtool/common.c, `netdev_features_strings`), so that a kernel's new
/// kind of segmentation is met too.
fn leaves_frames_incomplete(name: &str) -> bool {
    // Sending: a checksum left to the card, several packets in one, data spread over many buffers
    // (of which the segmentations are made).
    name.starts_with("tx-checksum-")
        || name.starts_with("tx-scatter-gather")
        || name.ends_with("-segmentation")
        || name == "tx-gso-partial"
        || name == "tx-gso-list"
        // Receiving: a checksum not looked at, several packets made one.
        || name == "rx-checksum"
        || name == "rx-lro"
        || name.starts_with("rx-gro")
        || name.starts_with("rx-udp-gro")
        // Tags that travel beside the frame.
        || name.contains("-vlan-") && (name.ends_with("-insert") || name.ends_with("-parse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_of_the_kernels_names() {
        let off = [
            "tx-scatter-gather",
            "tx-checksum-ipv4",
            "tx-checksum-ip-generic",
            "tx-checksum-sctp",
            "tx-scatter-gather-fraglist",
            "tx-vlan-hw-insert",
            "rx-vlan-hw-parse",
            "tx-vlan-stag-hw-insert",
            "rx-vlan-stag-hw-parse",
            "tx-generic-segmentation",
            "rx-gro",
            "rx-gro-hw",
            "rx-gro-list",
            "rx-lro",
            "tx-tcp-segmentation",
            "tx-tcp6-segmentation",
            "tx-udp-segmentation",
            "tx-gre-csum-segmentation",
            "tx-gso-partial",
            "tx-gso-list",
            "rx-checksum",
            "rx-udp-gro-forwarding",
            "tx-tunnel-remcsum-segmentation",
        ];
        let left = [
            "highdma",
            "rx-vlan-filter",
            "rx-vlan-stag-filter",
            "tx-lockless",
            "tx-gso-robust",
            "rx-fcs",
            "rx-all",
            "loopback",
            "hw-tc-offload",
            "esp-hw-offload",
            "rx-hashing",
            "rx-ntuple-filter",
            "tx-nocache-copy",
            "l2-fwd-offload",
            "hsr-dup-offload",
            "",
        ];
        for name in off {
            assert!(leaves_frames_incomplete(name), "{name}");
        }
        for name in left {
            assert!(!leaves_frames_incomplete(name), "{name}");
        }
    }

    #[test]
    fn bits_follow_the_names_over_words() {
        let mut names = vec![String::from("highdma"); 70];
        for bit in [0, 31, 32, 69] {
            names[bit] = "rx-gro".into();
        }
        assert_eq!(wanted_off(&names).collect::<Vec<_>>(), [1 | 1 << 31, 1, 1 << 5]);
    }
}
