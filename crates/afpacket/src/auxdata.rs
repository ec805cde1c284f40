//! `struct tpacket_auxdata` (linux/if_packet.h), which comes beside each frame as a control
//! message: status bits, lengths and the VLAN tag that the kernel took out.

/// A frame's auxiliary data, as far as it is of use here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Auxdata {
    status: u32,
    /// The frame's length on the wire, tag not counted; the filter may have cut it since.
    pub(crate) wire_len: u32,
    tci: u16,
    tpid: u16,
}

impl Auxdata {
    /// Of a frame in a ring's slot, whose header has the same.
    pub(crate) fn new(status: u32, wire_len: u32, tci: u16, tpid: u16) -> Self {
        Self { status, wire_len, tci, tpid }
    }

    /// Of a frame that waits as a message beside a ring: for those the kernel sets no length, and
    /// older ones leave there what stood there before.
    pub(crate) fn without_length(self) -> Self {
        Self { wire_len: 0, ..self }
    }

    /// Finds the auxiliary data among control messages; `None` where there is none.
    pub(crate) fn find(mut control: &[u8]) -> Option<Self> {
        loop {
            let length = usize::from_ne_bytes(*control.first_chunk()?);
            let level = field_i32(control, size_of::<usize>())?;
            let kind = field_i32(control, size_of::<usize>() + 4)?;
            let data = control.get(CMSG_HEADER_LEN..length)?;
            if (level, kind) == (libc::SOL_PACKET, libc::PACKET_AUXDATA) {
                return Self::parse(data);
            }
            control = control.get(length.next_multiple_of(size_of::<usize>())..)?;
        }
    }

    /// Reads the structure from its bytes: u32 status, len, snaplen; u16 mac, net, tci, tpid.
    fn parse(data: &[u8]) -> Option<Self> {
        let data: &[u8; AUXDATA_LEN] = data.first_chunk()?;
        let long =
            |at: usize| u32::from_ne_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        let short = |at: usize| u16::from_ne_bytes([data[at], data[at + 1]]);
        Some(Self { status: long(0), wire_len: long(4), tci: short(16), tpid: short(18) })
    }

    /// The four bytes to put back behind the addresses, when the kernel took a tag out. A tag of
    /// VLAN 0 (priority tag) is one too: the status says so, not the number.
    pub(crate) fn vlan_tag(&self) -> Option<[u8; 4]> {
        if self.status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let known = self.status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let [a, b] = if known { self.tpid } else { TPID_8021Q }.to_be_bytes();
        let [c, d] = self.tci.to_be_bytes();
        Some([a, b, c, d])
    }

    /// Whether the frame came from this host's own stack with its checksum left to the card.
    pub(crate) fn checksum_unfinished(&self) -> bool {
        self.status & libc::TP_STATUS_CSUMNOTREADY != 0
    }

    /// Whether the kernel knows the checksum to be right.
    pub(crate) fn checksum_valid(&self) -> bool {
        self.status & libc::TP_STATUS_CSUM_VALID != 0
    }

    /// Whether it is a TCP segment bigger than what will go on the wire.
    pub(crate) fn gso_tcp(&self) -> bool {
        self.status & TP_STATUS_GSO_TCP != 0
    }
}

fn field_i32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Bytes of `struct tpacket_auxdata`.
const AUXDATA_LEN: usize = 20;
/// Bytes of `struct cmsghdr` as the kernel lays it out: `size_t` length, `int` level and type.
const CMSG_HEADER_LEN: usize = (size_of::<usize>() + 8).next_multiple_of(size_of::<usize>());
/// Room for the one control message a packet socket adds, and to spare for a timestamp that
/// somebody turned on for a descriptor he shares.
pub(crate) const CONTROL_LEN: usize = 80;
/// The tag's protocol when a kernel before 3.14 did not say it.
const TPID_8021Q: u16 = 0x8100;
/// linux/if_packet.h, since Linux 5.19; not in the libc crate.
const TP_STATUS_GSO_TCP: u32 = 1 << 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let length = CMSG_HEADER_LEN + data.len();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(CMSG_HEADER_LEN, 0);
        bytes.extend(data);
        bytes.resize(length.next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    fn auxdata(status: u32, tci: u16, tpid: u16) -> Vec<u8> {
        let mut data = Vec::new();
        for long in [status, 1000, 1000] {
            data.extend(long.to_ne_bytes());
        }
        for short in [0, 14, tci, tpid] {
            data.extend(short.to_ne_bytes());
        }
        message(libc::SOL_PACKET, libc::PACKET_AUXDATA, &data)
    }

    #[test]
    fn tag_of_any_protocol_and_number() {
        let valid = libc::TP_STATUS_VLAN_VALID;
        let known = valid | libc::TP_STATUS_VLAN_TPID_VALID;
        let tag = |status, tci, tpid| {
            Auxdata::find(&auxdata(status, tci, tpid)).expect("auxdata").vlan_tag()
        };
        assert_eq!(tag(known, 0x6007, 0x88a8), Some([0x88, 0xa8, 0x60, 0x07]));
        assert_eq!(tag(known, 0, 0x8100), Some([0x81, 0, 0, 0]), "a priority tag");
        assert_eq!(tag(valid, 5, 0), Some([0x81, 0, 0, 5]), "a kernel that does not say");
        assert_eq!(tag(0, 5, 0x8100), None, "no tag whatever the fields hold");
    }

    #[test]
    fn found_behind_another_message() {
        let mut control = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[7; 16]);
        control.extend(auxdata(libc::TP_STATUS_CSUMNOTREADY, 0, 0));
        let found = Auxdata::find(&control).expect("auxdata");
        assert_eq!(found.wire_len, 1000);
        assert!(found.checksum_unfinished() && !found.checksum_valid() && !found.gso_tcp());
    }

    #[test]
    fn cut_or_lying_messages_give_nothing() {
        let whole = auxdata(u32::MAX, 1, 1);
        for length in 0..CMSG_HEADER_LEN + AUXDATA_LEN {
            assert_eq!(Auxdata::find(&whole[..length]), None, "{length} bytes");
        }
        for length in [0, 1, CMSG_HEADER_LEN - 1, usize::MAX, usize::MAX - 7] {
            let mut lying = message(libc::SOL_SOCKET, 0, &[0; 8]);
            lying[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
            lying.extend(&whole);
            assert_eq!(Auxdata::find(&lying), None, "length {length}");
        }
    }
}
