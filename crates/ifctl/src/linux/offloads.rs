//! Offloads off: all that leave a frame incomplete in memory when it is sent or received, or all
//! of which a virtio-net header cannot tell.

use std::io;
use std::os::fd::BorrowedFd;

use super::ioctl;
use crate::{Call, Error};

/// Which offloads are to be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Off {
    /// Those that leave a frame incomplete.
    All,
    /// Of those, the ones that no virtio-net header tells of; without `uso`, big UDP segments too.
    ButVirtios { uso: bool },
}

/// Turns off offloads of the interface `name`, and reads back.
pub(super) fn turn_off(
    socket: BorrowedFd<'_>,
    call: &Call,
    name: &str,
    off: Off,
) -> Result<(), Error> {
    let refused = |source| refused(call, name, source);
    let count = ioctl::feature_count(socket, name).map_err(refused)?;
    let names = ioctl::feature_names(socket, name, count).map_err(refused)?;
    let before = ioctl::features(socket, name, count).map_err(refused)?;
    let changeable: Vec<u32> =
        wanted_off(&names, off).zip(&before).map(|(mask, block)| mask & block.available).collect();
    ioctl::turn_off(socket, name, &changeable).map_err(refused)?;

    let features = active(socket, call, name, off)?;
    if features.is_empty() {
        return Ok(());
    }
    Err(Error::OffloadsLeft { call: call.clone(), features })
}

/// Which of those that are to be off are on.
pub(super) fn active(
    socket: BorrowedFd<'_>,
    call: &Call,
    name: &str,
    off: Off,
) -> Result<Vec<String>, Error> {
    let refused = |source| refused(call, name, source);
    let count = ioctl::feature_count(socket, name).map_err(refused)?;
    let names = ioctl::feature_names(socket, name, count).map_err(refused)?;
    let now = ioctl::features(socket, name, count).map_err(refused)?;
    let left: Vec<u32> =
        wanted_off(&names, off).zip(&now).map(|(mask, block)| mask & block.active).collect();
    let is_left = |bit: usize| left[bit / 32] & (1 << (bit % 32)) != 0;
    let left = names.iter().enumerate().filter(|(bit, _)| is_left(*bit));
    Ok(left.map(|(_, name)| name.clone()).collect())
}

fn refused(call: &Call, name: &str, source: io::Error) -> Error {
    match source.raw_os_error() {
        Some(libc::ENODEV) => Error::NotFound { call: call.clone(), name: name.to_owned() },
        _ => Error::Refused { call: call.clone(), detail: None, source },
    }
}

/// The bits of those features that are to be off, 32 in each word.
fn wanted_off(names: &[String], off: Off) -> impl Iterator<Item = u32> {
    let is_wanted = move |name: &str| {
        let stays = match off {
            Off::All => false,
            Off::ButVirtios { uso } => is_virtios(name) || uso && name == "tx-udp-segmentation",
        };
        leaves_frames_incomplete(name) && !stays
    };
    names.chunks(32).map(move |names| {
        let bits = names.iter().enumerate().filter(|(_, name)| is_wanted(name));
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

/// Whether a virtio-net header, with the tag that a packet socket tells of, says all that this
/// leaves to do; big UDP segments, which not every kernel can tell of, are for the caller to know.
///
/// A list of what stays, so that a kernel's new kind of segmentation is off. Not in it: SCTP's CRC,
/// which the header tells of as if it were an Internet checksum; segments of tunnels, of which it
/// tells as if they were in none; merging on receipt.
fn is_virtios(name: &str) -> bool {
    let checksums = ["tx-checksum-ipv4", "tx-checksum-ipv6", "tx-checksum-ip-generic"];
    let segments = [
        "tx-generic-segmentation",
        "tx-tcp-segmentation",
        "tx-tcp6-segmentation",
        "tx-tcp-ecn-segmentation",
        "tx-tcp-mangleid-segmentation",
    ];
    checksums.contains(&name)
        || segments.contains(&name)
        || name.starts_with("tx-scatter-gather")
        || name == "rx-checksum"
        || name.contains("-vlan-")
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
    fn what_a_virtio_net_header_tells_of_stays() {
        let off = |name: &str, uso| {
            let names = [name.to_owned()];
            wanted_off(&names, Off::ButVirtios { uso }).next() == Some(1)
        };
        let stays = [
            "tx-checksum-ip-generic",
            "tx-scatter-gather",
            "tx-generic-segmentation",
            "tx-tcp-segmentation",
            "tx-tcp6-segmentation",
            "tx-tcp-ecn-segmentation",
            "tx-vlan-hw-insert",
            "highdma",
        ];
        let goes = [
            "tx-checksum-sctp",
            "tx-checksum-fcoe-crc",
            "tx-sctp-segmentation",
            "tx-udp_tnl-segmentation",
            "tx-gre-csum-segmentation",
            "tx-esp-segmentation",
            "tx-something-new-segmentation",
            "tx-gso-partial",
            "tx-gso-list",
            "rx-gro",
            "rx-lro",
        ];
        for uso in [false, true] {
            assert!(stays.iter().all(|name| !off(name, uso)));
            assert!(goes.iter().all(|name| off(name, uso)));
            assert_eq!(off("tx-udp-segmentation", uso), !uso);
        }
    }

    #[test]
    fn bits_follow_the_names_over_words() {
        let mut names = vec![String::from("highdma"); 70];
        for bit in [0, 31, 32, 69] {
            names[bit] = "rx-gro".into();
        }
        assert_eq!(wanted_off(&names, Off::All).collect::<Vec<_>>(), [1 | 1 << 31, 1, 1 << 5]);
    }
}
