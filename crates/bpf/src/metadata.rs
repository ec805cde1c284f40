//! What a filter can learn about a frame beside its bytes.

/// Facts about a frame that are not in its bytes, as the kernel's packet buffer holds them.
///
/// All but [`wire_len`](Self::wire_len) matter to Linux's ancillary loads and negative offsets
/// alone. [`Metadata::default`] is what a filter on a unix datagram socket sees,
/// [`Metadata::ethernet`] what one on an AF_PACKET socket sees of a received frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Metadata {
    /// What `ld #len` gives, in bytes, when that is not the length of the bytes at hand: a capture
    /// may hold less of a frame than was on the wire.
    pub wire_len: Option<u32>,
    /// EtherType as the kernel classified the frame; 0 on a unix socket.
    pub protocol: u16,
    /// `PACKET_HOST` (0), `PACKET_BROADCAST` (1), `PACKET_MULTICAST` (2), … (`linux/if_packet.h`).
    pub packet_type: u8,
    /// The interface; `None` on a unix socket, where a program that asks for it ends.
    pub interface: Option<Interface>,
    /// The frame's mark.
    pub mark: u32,
    /// Hardware queue.
    pub queue: u16,
    /// Flow hash.
    pub receive_hash: u32,
    /// Number of the processor that runs the filter.
    pub cpu: u32,
    /// The VLAN tag that the kernel or the card took out of the frame.
    pub vlan: Option<VlanTag>,
    /// What the kernel's flow dissector says about where the payload begins; it is not modelled
    /// here, so this is the caller's word. 0 where the dissector does not know.
    pub payload_offset: u32,
    /// The number that a random load gives.
    pub random: u32,
    /// Offset in the bytes at hand of the link header, the base of negative offsets from
    /// `SKF_LL_OFF`; `None` on a unix socket.
    pub link_header: Option<u32>,
    /// Offset of the network header, the base of negative offsets from `SKF_NET_OFF`.
    pub network_header: Option<u32>,
}

/// An interface, to a filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its `ARPHRD_*` type; 1 is Ethernet.
    pub hardware_type: u16,
}

/// An IEEE 802.1Q tag outside of the frame's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VlanTag {
    /// Priority, drop-eligible bit and VLAN ID.
    pub tci: u16,
    /// 0x8100 or 0x88a8.
    pub tpid: u16,
}

impl Metadata {
    /// As a received Ethernet frame has it (Linux `net/ethernet/eth.c`, `eth_type_trans`): the
    /// protocol out of the EtherType field, the kind of address out of the destination (an
    /// individual one is taken to be the interface's own), headers at 0 and 14. No interface yet.
    ///
    /// `frame` is what the filter sees: without a VLAN tag that the kernel took out, which belongs
    /// in [`vlan`](Self::vlan).
    #[must_use]
    pub fn ethernet(frame: &[u8]) -> Self {
        let half = |at: usize| match frame.get(at..at + 2) {
            Some(&[high, low]) => Some(u16::from_be_bytes([high, low])),
            _ => None,
        };
        let protocol = match half(ETHERTYPE) {
            None => 0,
            Some(ethertype @ MIN_ETHERTYPE..) => ethertype,
            Some(_) if half(ETHERTYPE + 2) == Some(0xffff) => ETH_P_802_3,
            Some(_) => ETH_P_802_2,
        };
        let packet_type = match *frame {
            [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ..] => PACKET_BROADCAST,
            [first, ..] if first & 1 != 0 => PACKET_MULTICAST,
            _ => PACKET_HOST,
        };
        Self {
            protocol,
            packet_type,
            link_header: Some(0),
            network_header: Some(ETHERNET_HEADER_BYTES),
            ..Self::default()
        }
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            wire_len: None,
            protocol: 0,
            packet_type: PACKET_HOST,
            interface: None,
            mark: 0,
            queue: 0,
            receive_hash: 0,
            cpu: 0,
            vlan: None,
            payload_offset: 0,
            random: 0,
            link_header: None,
            network_header: Some(0),
        }
    }
}

const ETHERTYPE: usize = 12;
/// Smaller numbers are lengths (IEEE 802.3 clause 3.2.6).
const MIN_ETHERTYPE: u16 = 0x600;
/// Novell's frames, which begin with a checksum that is not one.
const ETH_P_802_3: u16 = 1;
const ETH_P_802_2: u16 = 4;
const PACKET_HOST: u8 = 0;
const PACKET_BROADCAST: u8 = 1;
const PACKET_MULTICAST: u8 = 2;
const ETHERNET_HEADER_BYTES: u32 = 14;
