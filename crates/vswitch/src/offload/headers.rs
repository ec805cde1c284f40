//! Where a frame's headers are: Ethernet with its tags, IPv4 or IPv6, TCP or UDP. Every length is
//! checked against the frame's before it is followed.

use super::OffloadError;
use super::checksum::Sum;

/// Where the network header is and which it is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Its first byte.
    pub(super) offset: usize,
    /// The EtherType before it.
    ethertype: u16,
}

/// Where the headers of a TCP or UDP frame are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// First byte of the IP header.
    pub(super) network: usize,
    /// First byte of the TCP or UDP header; behind IPv6, extension headers come before it.
    pub(super) transport: usize,
    /// First byte of the payload.
    pub(super) payload: usize,
    /// IPv4 or IPv6.
    pub(super) version: Version,
    /// TCP or UDP.
    pub(super) protocol: Protocol,
    /// First byte of the address that the pseudo-header has for a destination.
    destination: usize,
}

/// The network layer's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

/// The transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// Steps over the Ethernet header and up to two tags; `None` for a frame that ends in them.
pub(super) fn network_start(frame: &[u8]) -> Option<Network> {
    let mut offset = ETHERNET_LEN;
    let mut ethertype = word(frame, offset - 2)?;
    for _ in 0..TAGS_MAX {
        if !TAG_TYPES.contains(&ethertype) {
            break;
        }
        offset += TAG_LEN;
        ethertype = word(frame, offset - 2)?;
    }
    Some(Network { offset, ethertype })
}

/// Whether the network header names SCTP as what follows it.
pub(super) fn is_sctp(frame: &[u8], network: Network) -> bool {
    let next = match network.ethertype {
        TYPE_IPV4 => frame.get(network.offset + 9).copied(),
        TYPE_IPV6 => Ipv6Chain::walk(frame, network.offset).ok().map(|chain| chain.next),
        _ => None,
    };
    next == Some(NEXT_SCTP)
}

impl Layout {
    /// Finds the headers of a TCP or UDP frame.
    pub(super) fn of(frame: &[u8]) -> Result<Self, OffloadError> {
        let network =
            network_start(frame).ok_or_else(|| refused("it ends in its Ethernet header"))?;
        let at = network.offset;
        let (version, transport, destination, next) = match network.ethertype {
            TYPE_IPV4 => {
                let (transport, next) = ipv4(frame, at)?;
                (Version::V4, transport, at + 16, next)
            }
            TYPE_IPV6 => {
                let chain = Ipv6Chain::walk(frame, at)?;
                (Version::V6, chain.end, chain.destination, chain.next)
            }
            _ => return Err(refused("neither IPv4 nor IPv6")),
        };
        let (protocol, length) = match next {
            NEXT_TCP => (Protocol::Tcp, tcp_len(frame, transport)?),
            NEXT_UDP => (Protocol::Udp, UDP_LEN),
            _ => return Err(refused("neither TCP nor UDP")),
        };
        let payload = transport + length;
        if payload > frame.len() {
            return Err(refused("it ends in its transport header"));
        }
        Ok(Self { network: at, transport, payload, version, protocol, destination })
    }

    /// Where the transport's checksum is, from the transport header's start.
    pub(super) fn checksum_offset(&self) -> usize {
        match self.protocol {
            Protocol::Tcp => 16,
            Protocol::Udp => 6,
        }
    }

    /// The sum of the pseudo-header's addresses and protocol, its length left out (RFC 9293 §3.1,
    /// RFC 8200 §8.1).
    pub(super) fn pseudo_header(&self, frame: &[u8]) -> Sum {
        let (source, length) = match self.version {
            Version::V4 => (self.network + 12, 4),
            Version::V6 => (self.network + 8, 16),
        };
        let mut sum = Sum::default();
        sum.add(&frame[source..source + length]);
        sum.add(&frame[self.destination..self.destination + length]);
        sum.add_word(match self.protocol {
            Protocol::Tcp => u16::from(NEXT_TCP),
            Protocol::Udp => u16::from(NEXT_UDP),
        });
        sum
    }
}

/// Where an IPv4 header ends, and what follows it.
fn ipv4(frame: &[u8], at: usize) -> Result<(usize, u8), OffloadError> {
    let header: &[u8; 20] = frame
        .get(at..)
        .and_then(<[u8]>::first_chunk)
        .ok_or_else(|| refused("it ends in its IP header"))?;
    let length = usize::from(header[0] & 0x0f) * 4;
    if header[0] >> 4 != 4 || length < header.len() || at + length > frame.len() {
        return Err(refused("no IPv4 header"));
    }
    if u16::from_be_bytes([header[6], header[7]]) & IPV4_FRAGMENT != 0 {
        return Err(refused("a fragment"));
    }
    Ok((at + length, header[9]))
}

/// An IPv6 header and the extension headers behind it.
struct Ipv6Chain {
    end: usize,
    next: u8,
    destination: usize,
}

impl Ipv6Chain {
    /// Steps over the extension headers that may stand before a segment which is to be cut.
    fn walk(frame: &[u8], at: usize) -> Result<Self, OffloadError> {
        let header: &[u8; IPV6_LEN] = frame
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or_else(|| refused("it ends in its IP header"))?;
        if header[0] >> 4 != 6 {
            return Err(refused("no IPv6 header"));
        }
        let mut chain = Self { end: at + IPV6_LEN, next: header[6], destination: at + 24 };
        // Each step is 8 bytes at least, so the frame's end ends it.
        while matches!(chain.next, NEXT_HOP_BY_HOP | NEXT_ROUTING | NEXT_DESTINATION) {
            let rest = frame.get(chain.end..).unwrap_or_default();
            let short = refused("it ends in an IPv6 extension header");
            let [next, units, ..] = *rest else { return Err(short) };
            let length = (usize::from(units) + 1) * 8;
            let extension = rest.get(..length).ok_or(short)?;
            if chain.next == NEXT_ROUTING {
                chain.route(extension)?;
            }
            chain.end += length;
            chain.next = next;
        }
        Ok(chain)
    }

    /// With segments of the route left, the pseudo-header has the last of them for a destination.
    fn route(&mut self, extension: &[u8]) -> Result<(), OffloadError> {
        let (kind, left) = (extension[2], extension[3]);
        if left == 0 {
            return Ok(());
        }
        let addresses = (extension.len() - 8) / 16;
        let last = match kind {
            // A segment routing header lists the route backwards (RFC 8754 §2), and mobility's
            // has but one address (RFC 6275 §6.4).
            2 | 4 => 0,
            0 => addresses.saturating_sub(1),
            _ => return Err(refused("an unknown kind of IPv6 route")),
        };
        if addresses == 0 {
            return Err(refused("an IPv6 route without addresses"));
        }
        self.destination = self.end + 8 + 16 * last;
        Ok(())
    }
}

fn tcp_len(frame: &[u8], at: usize) -> Result<usize, OffloadError> {
    let length = frame.get(at + 12).map_or(0, |byte| usize::from(byte >> 4) * 4);
    if length < TCP_LEN_MIN {
        return Err(refused("no TCP header"));
    }
    Ok(length)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn refused(reason: &'static str) -> OffloadError {
    OffloadError::Headers { reason }
}

/// Two addresses and a type.
const ETHERNET_LEN: usize = 14;
/// One 802.1Q tag.
const TAG_LEN: usize = 4;
/// Customer tag, service tag, and the number that many used before there was one for the latter.
const TAG_TYPES: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const TAGS_MAX: usize = 2;
const TYPE_IPV4: u16 = 0x0800;
const TYPE_IPV6: u16 = 0x86dd;
const IPV6_LEN: usize = 40;
const TCP_LEN_MIN: usize = 20;
const UDP_LEN: usize = 8;
/// The bit "more fragments" and the fragment's offset.
const IPV4_FRAGMENT: u16 = 0x3fff;
// IANA protocol numbers.
const NEXT_HOP_BY_HOP: u8 = 0;
const NEXT_TCP: u8 = 6;
const NEXT_UDP: u8 = 17;
const NEXT_ROUTING: u8 = 43;
const NEXT_DESTINATION: u8 = 60;
const NEXT_SCTP: u8 = 132;
