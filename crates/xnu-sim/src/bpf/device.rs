//! An open device, and how it catches packets.

use super::buffers::{Buffers, Room, stale_bytes};
use super::filter::Program;
use crate::copyio::RawMut;
use crate::net::{Direction, IfId};
use crate::process::ProcessId;
use crate::rng::Rng;
use crate::version::Capabilities;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) opened_by: ProcessId,
    pub(super) uuid: [u8; 16],
    /// `None` before `BIOCSETIF`, and after the interface has gone.
    pub(super) interface: Option<IfId>,
    pub(super) link: Link,
    pub(super) buffer_len: u32,
    pub(super) buffers: Buffers,
    pub(super) filter: Option<Program>,
    pub(super) settings: Settings,
    pub(super) counts: Counts,
    /// The packet before, for header compression.
    pub(super) previous: Vec<u8>,
    pub(super) compression: Compression,
    pub(super) timer: Timer,
    /// The read that sleeps.
    pub(super) sleeper: Option<Sleeper>,
    /// `BPF_KNOTE`: wake-ups reach the device's knotes.
    pub(super) has_knote: bool,
    pub(super) is_promiscuous: bool,
    /// `BPF_DIVERT_IN`: it disabled the input of its interface.
    pub(super) disables_input: bool,
}

/// What can be set by requests.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Bits: 1 in, 2 out.
    pub(super) direction: u32,
    /// What was given to `BIOCSSEESENT` up to macOS 13.
    pub(super) sees_sent: u32,
    pub(super) is_immediate: bool,
    pub(super) is_header_complete: bool,
    pub(super) has_extended_header: bool,
    pub(super) drops_oldest: bool,
    pub(super) has_no_timestamp: bool,
    pub(super) writes_batches: bool,
    pub(super) write_len_max: u32,
    /// In ticks of 10 ms; 0 is none.
    pub(super) timeout_ticks: u64,
    pub(super) traffic_class: i32,
    pub(super) signal: u32,
    pub(super) wants_pktap: bool,
    pub(super) truncates_pktap: bool,
    pub(super) has_pktap_v2: bool,
    pub(super) compresses_headers: bool,
}

/// `bd_rcount` and its likes: what `BIOCFLUSH` zeroes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) accepted: u64,
    pub(super) dropped: u64,
    pub(super) writes: u64,
    pub(super) failed_writes: u64,
}

/// `struct bpf_comp_stats`, in its order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Compression {
    pub(super) read: u64,
    pub(super) size: u64,
    pub(super) header_size: u64,
    pub(super) without_prefix: u64,
    pub(super) with_prefix: u64,
    pub(super) prefix_size: u64,
    pub(super) prefix_size_max: u64,
}

/// The data link of an interface (`DLT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// `DLT_NULL`, the loopback's: 4 bytes of address family.
    Null,
    /// `DLT_EN10MB`: 14 bytes.
    Ethernet,
}

/// `bd_state`: the timer of select and kqueue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    Idle,
    /// Which one: a cancelled one means nothing when it goes off.
    Waiting(u64),
    TimedOut,
}

/// A read that sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleeper {
    /// The timer had gone off when it began.
    pub(super) has_timed_out: bool,
    /// When its own timeout ends it.
    pub(super) until_ns: Option<u64>,
}

impl Link {
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
        }
    }

    pub(super) const fn header_len(self) -> usize {
        match self {
            Self::Null => 4,
            Self::Ethernet => 14,
        }
    }

    /// A record's header of `len` bytes, lengthened so that what follows the link header is aligned
    /// to 4 (`bpf_attach`).
    const fn record_header_len(self, len: usize) -> usize {
        (self.header_len() + len).next_multiple_of(4) - self.header_len()
    }
}

impl Device {
    pub(super) fn new(opened_by: ProcessId, uuid: [u8; 16], buffer_len: u32) -> Self {
        let settings = Settings {
            direction: IN | OUT,
            sees_sent: 1,
            is_immediate: false,
            is_header_complete: false,
            has_extended_header: false,
            drops_oldest: false,
            has_no_timestamp: false,
            writes_batches: false,
            write_len_max: 0,
            timeout_ticks: 0,
            traffic_class: 0,
            signal: 23, // SIGIO
            wants_pktap: false,
            truncates_pktap: false,
            has_pktap_v2: false,
            compresses_headers: false,
        };
        Self {
            opened_by,
            uuid,
            interface: None,
            link: Link::Ethernet,
            buffer_len,
            buffers: Buffers::default(),
            filter: None,
            settings,
            counts: Counts::default(),
            previous: Vec::new(),
            compression: Compression::default(),
            timer: Timer::Idle,
            sleeper: None,
            has_knote: false,
            is_promiscuous: false,
            disables_input: false,
        }
    }

    /// `reset_d`: empties the buffers, zeroes the counters.
    pub(super) fn reset(&mut self) {
        self.buffers.clear();
        self.counts = Counts::default();
        self.previous.clear();
    }

    /// `ROTATE_BUFFERS`.
    pub(super) fn rotate(&mut self) {
        self.buffers.rotate();
        self.forget_previous();
    }

    /// A packet passes: whether the readers are woken (`bpf_tap_imp`, `catchpacket`). `time` is the
    /// wall clock's, in seconds and microseconds.
    pub(super) fn catch(
        &mut self,
        frame: &[u8],
        direction: Direction,
        time: (u32, u32),
        can: &Capabilities,
        rng: &mut Rng,
    ) -> bool {
        let bit = if direction == Direction::Out { OUT } else { IN };
        if self.settings.direction & bit == 0 {
            return false;
        }
        self.counts.received += 1;
        let verdict = self.filter.as_ref().map_or(u32::MAX, |filter| filter.run(frame));
        if verdict == 0 {
            return false;
        }
        self.counts.accepted += 1;
        let buffer_len = self.buffer_len as usize;
        let header_len = self.link.record_header_len(self.header_struct_len(can));
        let len = (header_len + frame.len().min(verdict as usize)).min(buffer_len);
        if header_len > len {
            return false;
        }
        let has_rotated = match self.buffers.make_room(len, buffer_len, self.settings.drops_oldest)
        {
            Room::None => {
                self.counts.dropped += 1;
                return false;
            }
            Room::InStore => false,
            Room::Rotated { lost } => {
                self.counts.dropped += lost;
                self.forget_previous();
                true
            }
        };
        let captured = &frame[..len - header_len];
        let prefix =
            if self.settings.compresses_headers { self.common_prefix(captured) } else { 0 };
        self.compression.size += captured.len() as u64;
        let mut record = self.record_header(header_len, can, rng);
        if !self.settings.has_no_timestamp {
            record.put_u32(0, time.0);
            record.put_u32(4, time.1);
        }
        record.put_u32(8, len32(captured.len() - prefix));
        record.put_u32(12, len32(frame.len()));
        record.put_u16(16, u16::try_from(header_len).unwrap_or(u16::MAX));
        if self.settings.has_extended_header {
            // 16 bits of flags in macOS 12, their upper 8 since.
            let at = if can.bpf_header_compression { 19 } else { 18 };
            record.put(at, &[u8::from(bit == OUT)]);
        }
        if self.settings.compresses_headers {
            record.put(18, &[u8::try_from(prefix).unwrap_or(u8::MAX)]);
        }
        record.extend_from_slice(&captured[prefix..]);
        self.buffers.append(&record, rng);
        has_rotated || self.settings.is_immediate || self.timer == Timer::TimedOut
    }

    /// `sizeof` the record's header.
    fn header_struct_len(&self, can: &Capabilities) -> usize {
        if self.settings.has_extended_header {
            can.bpf_extended_header_bytes as usize
        } else if self.settings.compresses_headers {
            COMPRESSED_HEADER_LEN
        } else {
            HEADER_LEN
        }
    }

    /// An empty header of a record: the struct is cleared, what follows it is not.
    fn record_header(&self, len: usize, can: &Capabilities, rng: &mut Rng) -> Vec<u8> {
        let mut header = vec![0; self.header_struct_len(can)];
        stale_bytes(&mut header, len, rng);
        header
    }

    /// How much of its beginning a packet has in common with the one before, in whole words
    /// (`get_common_prefix_size`); it becomes the one before. XNU looks at as many bytes as the low
    /// byte of the captured length says.
    fn common_prefix(&mut self, captured: &[u8]) -> usize {
        let looked_at = &captured[..captured.len() & 0xff];
        let words = looked_at.chunks_exact(4).zip(self.previous.chunks_exact(4));
        let prefix = 4 * words.take_while(|(word, before)| word == before).count();
        self.previous = looked_at.to_vec();
        let (size, stats) = (prefix as u64, &mut self.compression);
        if size > 0 {
            stats.with_prefix += 1;
            stats.prefix_size += size;
            stats.prefix_size_max = stats.prefix_size_max.max(size);
        } else {
            stats.without_prefix += 1;
        }
        prefix
    }

    /// What is dropped with a hold buffer cannot be referred to.
    fn forget_previous(&mut self) {
        if self.settings.drops_oldest {
            self.previous.clear();
        }
    }
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// `BPF_D_IN`, `BPF_D_OUT`.
pub(super) const IN: u32 = 1;
pub(super) const OUT: u32 = 2;
/// `SIZEOF_BPF_HDR`: up to the end of `bh_hdrlen`.
const HEADER_LEN: usize = 18;
/// `sizeof(struct bpf_comp_hdr)`.
const COMPRESSED_HEADER_LEN: usize = 20;
