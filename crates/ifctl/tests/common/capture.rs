//! Every frame of a namespace, by a packet socket (packet(7)).

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
    sockopt::ReceiveTimeout,
};
use nix::sys::time::TimeVal;

/// One frame, as the packet socket saw it pass.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Index of the interface that it passed.
    pub(crate) index: u32,
    bytes: Vec<u8>,
}

impl Frame {
    /// The sender of an ARP answer (RFC 826), if this is one.
    pub(crate) fn arp_answer(&self) -> Option<[u8; 6]> {
        let is_answer = self.ether_type() == Some(0x0806) && self.bytes.get(20..22)? == [0, 2];
        self.bytes.get(22..28).filter(|_| is_answer)?.try_into().ok()
    }

    /// Whether the checksum of this UDP datagram over IPv4 (RFC 768) is right, if it is one.
    pub(crate) fn udp_checksum_fits(&self) -> Option<bool> {
        let ip = self.bytes.get(14..).filter(|_| self.ether_type() == Some(0x0800))?;
        if *ip.first()? != 0x45 || *ip.get(9)? != 17 {
            return None;
        }
        let len = u16::from_be_bytes([*ip.get(24)?, *ip.get(25)?]);
        let datagram = ip.get(20..20 + usize::from(len))?;
        let pseudo_header = [&ip[12..20], &[0, 17], &len.to_be_bytes()].concat();
        let mut sum = 0_u32;
        for pair in pseudo_header.chunks(2).chain(datagram.chunks(2)) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u32::from(u16::from_be_bytes([pair[0], low]));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        Some(sum == 0xffff)
    }

    fn ether_type(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.bytes.get(12..)?.first_chunk()?))
    }
}

/// A packet socket on all interfaces of the calling thread's namespace.
#[derive(Debug)]
pub(crate) struct Capture {
    socket: OwnedFd,
}

impl Capture {
    pub(crate) fn start() -> Self {
        let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC);
        let socket = socket(family, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
        setsockopt(&socket, ReceiveTimeout, &TimeVal::new(0, 100_000)).unwrap();
        Self { socket }
    }

    /// Collects frames until `is_enough` and for one second of silence, or up to `limit`.
    pub(crate) fn until(
        &self,
        limit: Duration,
        is_enough: impl Fn(&[Frame]) -> bool,
    ) -> Vec<Frame> {
        let (start, mut last) = (Instant::now(), Instant::now());
        let mut frames = Vec::new();
        while start.elapsed() < limit {
            let mut bytes = vec![0; 65536];
            match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut bytes) {
                Ok((len, address)) => {
                    bytes.truncate(len);
                    let index = address.expect("an address").ifindex();
                    frames.push(Frame { index: u32::try_from(index).unwrap(), bytes });
                    last = Instant::now();
                }
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {
                    if last.elapsed() > Duration::from_secs(1) && is_enough(&frames) {
                        break;
                    }
                }
                Err(error) => panic!("receive: {error}"),
            }
        }
        frames
    }
}
