//! Writes pcapng, the format of Wireshark and tcpdump (draft-ietf-opsawg-pcapng): one section of
//! Ethernet interfaces with timestamps in nanoseconds.
//!
//! Whatever it is given, the blocks it makes are well-formed: what is longer than a field may be is
//! cut. Numbers are little-endian, which the section says.

/// Makes the blocks of one section.
#[derive(Debug)]
pub struct Section {
    interfaces: u32,
    snap_bytes: u32,
}

/// An interface of the section that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceId(u32);

/// A packet, for [`Section::packet`].
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Where it was.
    pub interface: InterfaceId,
    /// When, in nanoseconds since 1970.
    pub time_ns: u64,
    /// How long it was.
    pub len_bytes: u32,
    /// Its first bytes; more than [`PACKET_BYTES_MAX`], the section's snap length or `len_bytes`
    /// are not written.
    pub bytes: &'a [u8],
    /// `epb_flags`: [`INBOUND`] and the others together; left out when it is 0.
    pub flags: u32,
    /// `epb_dropcount`, how many packets were lost at this interface since the one before; left
    /// out when it is 0.
    pub lost_before: u64,
    /// `opt_comment`; left out when it is empty.
    pub comment: &'a str,
}

/// What was counted at an interface, for [`Section::statistics`].
#[derive(Clone, Copy, Debug)]
pub struct Statistics<'a> {
    /// Where.
    pub interface: InterfaceId,
    /// Until when, in nanoseconds since 1970.
    pub time_ns: u64,
    /// `isb_starttime`, since when.
    pub start_ns: u64,
    /// `isb_endtime` is `time_ns`: nothing is counted after it.
    pub is_last: bool,
    /// `isb_ifrecv`, how many packets there were.
    pub received: u64,
    /// `isb_filteraccept`, how many of them the filter accepted.
    pub accepted: u64,
    /// `isb_ifdrop`, how many of those were lost by the capture.
    pub lost: u64,
    /// `opt_comment`; left out when it is empty.
    pub comment: &'a str,
}

/// `epb_flags`: it came in by the interface.
pub const INBOUND: u32 = 0b01;
/// `epb_flags`: it went out.
pub const OUTBOUND: u32 = 0b10;
/// `epb_flags`: its checksum is still to be completed.
pub const CHECKSUM_NOT_READY: u32 = 1 << 9;
/// `epb_flags`: its checksum was found right.
pub const CHECKSUM_VALID: u32 = 1 << 10;
/// `epb_flags`: it is still to be cut into TCP segments.
pub const TCP_SEGMENTATION_OFFLOADED: u32 = 1 << 11;

/// The most bytes of a packet that Wireshark takes (`WTAP_MAX_PACKET_SIZE_STANDARD`), and tcpdump
/// (`MAXIMUM_SNAPLEN`).
pub const PACKET_BYTES_MAX: u32 = 262_144;

/// Longer texts are cut: names and comments are for people, and Wireshark shows no more of them.
pub const TEXT_BYTES_MAX: usize = 4096;

impl Section {
    /// Begins a section whose packets have at most `snap_bytes` bytes each (0: any number), written
    /// by `application`.
    pub fn begin(out: &mut Vec<u8>, application: &str, snap_bytes: u32) -> Self {
        let block = Block::begin(out, SECTION_HEADER);
        block.out.extend_from_slice(&BYTE_ORDER_MAGIC.to_le_bytes());
        block.out.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
        block.out.extend_from_slice(&VERSION_MINOR.to_le_bytes());
        block.out.extend_from_slice(&LENGTH_UNKNOWN.to_le_bytes());
        let mut options = block.options();
        options.text(SHB_USERAPPL, application);
        options.end();
        let snap_bytes = if snap_bytes == 0 { PACKET_BYTES_MAX } else { snap_bytes };
        Self { interfaces: 0, snap_bytes: snap_bytes.min(PACKET_BYTES_MAX) }
    }

    /// Describes one more interface.
    pub fn interface(&mut self, out: &mut Vec<u8>, name: &str) -> InterfaceId {
        let id = InterfaceId(self.interfaces);
        self.interfaces += 1;
        let block = Block::begin(out, INTERFACE_DESCRIPTION);
        block.out.extend_from_slice(&LINKTYPE_ETHERNET.to_le_bytes());
        block.out.extend_from_slice(&[0; 2]);
        block.out.extend_from_slice(&self.snap_bytes.to_le_bytes());
        let mut options = block.options();
        options.text(IF_NAME, name);
        options.put(IF_TSRESOL, &[NANOSECONDS]);
        options.end();
        id
    }

    /// Writes a packet.
    pub fn packet(&self, out: &mut Vec<u8>, packet: &Packet<'_>) {
        let most = self.snap_bytes.min(packet.len_bytes) as usize;
        let bytes = &packet.bytes[..packet.bytes.len().min(most)];
        let block = Block::begin(out, ENHANCED_PACKET);
        block.out.extend_from_slice(&packet.interface.0.to_le_bytes());
        block.out.extend_from_slice(&timestamp(packet.time_ns));
        block.out.extend_from_slice(&narrow(bytes.len()).to_le_bytes());
        block.out.extend_from_slice(&packet.len_bytes.to_le_bytes());
        put_padded(block.out, bytes);
        let mut options = block.options();
        options.text(COMMENT, packet.comment);
        if packet.flags != 0 {
            options.put(EPB_FLAGS, &packet.flags.to_le_bytes());
        }
        if packet.lost_before != 0 {
            options.put(EPB_DROPCOUNT, &packet.lost_before.to_le_bytes());
        }
        options.end();
    }

    /// Writes what was counted at an interface so far.
    pub fn statistics(&self, out: &mut Vec<u8>, statistics: &Statistics<'_>) {
        let block = Block::begin(out, INTERFACE_STATISTICS);
        block.out.extend_from_slice(&statistics.interface.0.to_le_bytes());
        block.out.extend_from_slice(&timestamp(statistics.time_ns));
        let mut options = block.options();
        options.text(COMMENT, statistics.comment);
        options.put(ISB_STARTTIME, &timestamp(statistics.start_ns));
        if statistics.is_last {
            options.put(ISB_ENDTIME, &timestamp(statistics.time_ns));
        }
        options.put(ISB_IFRECV, &statistics.received.to_le_bytes());
        options.put(ISB_IFDROP, &statistics.lost.to_le_bytes());
        options.put(ISB_FILTERACCEPT, &statistics.accepted.to_le_bytes());
        options
            .put(ISB_USRDELIV, &statistics.accepted.saturating_sub(statistics.lost).to_le_bytes());
        options.end();
    }
}

/// A block being written: its length stands at both of its ends.
struct Block<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

/// The options of a block, which are its end.
struct Options<'a> {
    block: Block<'a>,
    are_any: bool,
}

impl<'a> Block<'a> {
    fn begin(out: &'a mut Vec<u8>, kind: u32) -> Self {
        let start = out.len();
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        Self { out, start }
    }

    fn options(self) -> Options<'a> {
        Options { block: self, are_any: false }
    }

    fn end(self) {
        let len = narrow(self.out.len() - self.start + 4).to_le_bytes();
        self.out[self.start + 4..self.start + 8].copy_from_slice(&len);
        self.out.extend_from_slice(&len);
    }
}

impl Options<'_> {
    /// An option, of at most [`TEXT_BYTES_MAX`] bytes.
    fn put(&mut self, code: u16, value: &[u8]) {
        let Ok(len) = u16::try_from(value.len()) else { return };
        self.are_any = true;
        self.block.out.extend_from_slice(&code.to_le_bytes());
        self.block.out.extend_from_slice(&len.to_le_bytes());
        put_padded(self.block.out, value);
    }

    fn text(&mut self, code: u16, text: &str) {
        let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
        if !text.is_empty() {
            self.put(code, text.as_bytes());
        }
    }

    fn end(self) {
        if self.are_any {
            self.block.out.extend_from_slice(&END_OF_OPTIONS);
        }
        self.block.end();
    }
}

/// Bytes, and as many zeros as make them whole words.
fn put_padded(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()]);
}

/// A time's two words, the high one first whatever the byte order.
fn timestamp(time_ns: u64) -> [u8; 8] {
    time_ns.rotate_left(32).to_le_bytes()
}

/// A length of what is at most some packets' bytes.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

// draft-ietf-opsawg-pcapng, "Block Definition".
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const VERSION_MAJOR: u16 = 1;
const VERSION_MINOR: u16 = 0;
const LENGTH_UNKNOWN: u64 = u64::MAX;
const LINKTYPE_ETHERNET: u16 = 1;
/// 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

const END_OF_OPTIONS: [u8; 4] = [0; 4];
const COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const EPB_DROPCOUNT: u16 = 4;
const ISB_STARTTIME: u16 = 2;
const ISB_ENDTIME: u16 = 3;
const ISB_IFRECV: u16 = 4;
const ISB_IFDROP: u16 = 5;
const ISB_FILTERACCEPT: u16 = 6;
const ISB_USRDELIV: u16 = 8;

#[cfg(test)]
mod tests;
