//! What depends on the kernel's version, where nothing else tells.

use crate::offload::Offloads;

/// The work of which this kernel's virtio-net headers can tell: all, but that USO came with 6.2.
/// (`virtio_net_hdr_from_skb` of include/linux/virtio_net.h; before, packet sockets lost such
/// segments on the way in and refused them on the way out.)
#[must_use]
pub fn kernel_offloads() -> Offloads {
    let uname = nix::sys::utsname::uname();
    let release = uname.as_ref().ok().and_then(|uname| uname.release().to_str());
    if release.is_some_and(knows_uso) { Offloads::ALL } else { WITHOUT_USO }
}

pub(super) const WITHOUT_USO: Offloads =
    Offloads::CHECKSUM.with(Offloads::TSO4).with(Offloads::TSO6);

fn knows_uso(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for release in ["6.2.0", "6.18.44-fc", "6.2-rc1", "7.0.1", "10.0"] {
            assert!(knows_uso(release), "{release}");
        }
        for release in ["6.1.0-38-amd64", "5.15.0", "4.19.1", "", "6", "six.two"] {
            assert!(!knows_uso(release), "{release}");
        }
    }
}
