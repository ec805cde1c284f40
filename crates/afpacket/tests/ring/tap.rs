//! A TAP with virtio-net headers, and what a guest there may send.
#![allow(unsafe_code, reason = "TUNSETIFF is an ioctl that no safe crate wraps")]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;

use afpacket::VnetHdr;

use super::common::{ip, silence};

/// `struct ifreq` as far as TUNSETIFF reads it (linux/if.h): a name and flags, 40 bytes in all.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

nix::ioctl_write_ptr_bad!(tun_set_iff, 0x4004_54ca, InterfaceRequest);

/// IFF_TAP | IFF_NO_PI | IFF_VNET_HDR (linux/if_tun.h).
const TAP_WITH_HEADERS: u16 = 0x0002 | 0x1000 | 0x4000;

/// `VIRTIO_NET_HDR_GSO_UDP` of 1000 bytes each, of a datagram in IPv4.
pub(super) const UFO: VnetHdr = VnetHdr {
    flags: VnetHdr::NEEDS_CSUM,
    gso_type: 3,
    hdr_len: 42,
    gso_size: 1000,
    csum_start: 34,
    csum_offset: 6,
};

/// The guest's end of a TAP.
pub(super) struct Tap(File);

impl Tap {
    /// Makes and raises the interface. None, and a skip, where that is not allowed.
    pub(super) fn plug_in(name: &str) -> Option<Self> {
        let device = match File::options().read(true).write(true).open("/dev/net/tun") {
            Ok(device) => device,
            Err(error) => {
                testkit::skip(&format!("/dev/net/tun: {error}"));
                return None;
            }
        };
        let mut request =
            InterfaceRequest { name: [0; 16], flags: TAP_WITH_HEADERS, rest: [0; 22] };
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        // SAFETY: TUNSETIFF reads an ifreq, which is whole and lives through the call.
        unsafe { tun_set_iff(device.as_raw_fd(), &raw const request) }.expect("TUNSETIFF");
        silence(name);
        ip(&format!("link set {name} up"));
        Some(Self(device))
    }

    pub(super) fn send(&mut self, vnet: VnetHdr, frame: &[u8]) {
        let message = [&vnet.to_bytes(), frame].concat();
        self.0.write_all(&message).expect("send at the TAP");
    }
}

/// A frame with a UDP datagram of so many bytes of payload.
pub(super) fn datagram(payload_bytes: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
    let ip_bytes = (28 + payload_bytes).to_be_bytes();
    frame.extend([0x45, 0, ip_bytes[0], ip_bytes[1], 0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 9, 0, 1, 10, 9, 0, 2]);
    let udp_bytes = (8 + payload_bytes).to_be_bytes();
    frame.extend([0, 7, 0, 7, udp_bytes[0], udp_bytes[1], 0, 0]);
    frame.extend(std::iter::repeat_n(7, usize::from(payload_bytes)));
    frame
}
