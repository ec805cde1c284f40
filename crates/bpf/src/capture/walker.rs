//! Reading a capture buffer.

use std::iter::FusedIterator;
use std::time::Duration;

use super::{HEADER_BYTES, aligned, field};

/// One captured frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'b> {
    /// The frame, as much of it as was captured.
    pub frame: &'b [u8],
    /// How long the whole frame was (`bh_datalen`).
    pub datalen_bytes: u32,
    /// When it was captured, in seconds since 1970 (`bh_tstamp.tv_sec`, taken as unsigned: XNU cuts
    /// its clock to 32 bits).
    pub seconds: u32,
    /// And microseconds (`bh_tstamp.tv_usec`).
    pub micros: u32,
}

impl Record<'_> {
    /// Whether the frame was longer than what was captured: the filter said so, or the device's
    /// buffer is smaller than the frame (`catchpacket`, XNU `bsd/net/bpf.c`).
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        (self.frame.len() as u64) < self.datalen_bytes as u64
    }

    /// When it was captured, since 1970; `None` where the kernel was told to write no time
    /// (`BIOCSNOTSTAMP`).
    #[must_use]
    pub fn timestamp(&self) -> Option<Duration> {
        let micros = u64::from(self.seconds) * 1_000_000 + u64::from(self.micros);
        (micros != 0).then(|| Duration::from_micros(micros))
    }
}

/// Why a walk ended before the buffer did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the record at byte {offset_bytes} of the capture buffer is broken: {reason}, {left_bytes} \
         bytes are left unread"
)]
pub struct Fault {
    /// Where the broken record begins.
    pub offset_bytes: usize,
    /// How many bytes are left from there on.
    pub left_bytes: usize,
    /// What is wrong with it.
    pub reason: FaultReason,
}

/// What is wrong with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaultReason {
    /// Fewer bytes than a header has.
    #[error("its header is cut")]
    HeaderCut,
    /// It says that its header is shorter than a header's fields are.
    #[error("it says its header has {hdrlen_bytes} bytes")]
    HeaderTooShort {
        /// `bh_hdrlen`.
        hdrlen_bytes: u16,
    },
    /// Header and frame go past the end of the buffer.
    #[error("it says it has {hdrlen_bytes} + {caplen_bytes} bytes")]
    PastEnd {
        /// `bh_hdrlen`.
        hdrlen_bytes: u16,
        /// `bh_caplen`.
        caplen_bytes: u32,
    },
    /// More was captured than there was.
    #[error("it says {caplen_bytes} bytes were captured of {datalen_bytes}")]
    MoreThanAll {
        /// `bh_caplen`.
        caplen_bytes: u32,
        /// `bh_datalen`.
        datalen_bytes: u32,
    },
}

/// The records of a capture buffer, in order.
///
/// It ends at the end of the buffer or at the first broken record; [`Self::fault`] tells which. It
/// goes forward by at least [`HEADER_BYTES`] with each record, whatever the bytes are.
#[derive(Clone, Debug)]
pub struct Walker<'b> {
    buffer: &'b [u8],
    cursor: Cursor,
}

impl<'b> Walker<'b> {
    /// A walk through `buffer`, of which all bytes are what a read gave.
    #[must_use]
    pub const fn new(buffer: &'b [u8]) -> Self {
        Self { buffer, cursor: Cursor::START }
    }

    /// Why the walk ended early; `None` while it goes on, and when it ended at the end.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.cursor.fault()
    }
}

impl<'b> Iterator for Walker<'b> {
    type Item = Record<'b>;

    #[inline]
    fn next(&mut self) -> Option<Record<'b>> {
        self.cursor.next(self.buffer)
    }
}

impl FusedIterator for Walker<'_> {}

/// Where a walk has come to: for walks with pauses, whose buffer is kept elsewhere.
///
/// Each call gets the same bytes; with others the cursor does nothing worse than to give others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cursor {
    offset_bytes: usize,
    fault: Option<Fault>,
}

impl Cursor {
    /// Before the first record.
    pub const START: Self = Self { offset_bytes: 0, fault: None };

    /// The next record of `buffer`; the cursor goes behind it.
    #[inline]
    pub fn next<'b>(&mut self, buffer: &'b [u8]) -> Option<Record<'b>> {
        let (record, behind) = self.look(buffer)?;
        self.offset_bytes = behind;
        Some(record)
    }

    /// The next record of `buffer`; the cursor stays before it.
    #[inline]
    pub fn peek<'b>(&mut self, buffer: &'b [u8]) -> Option<Record<'b>> {
        self.look(buffer).map(|(record, _)| record)
    }

    /// Where the next record begins, if there is one.
    #[must_use]
    pub const fn offset_bytes(&self) -> usize {
        self.offset_bytes
    }

    /// Why the walk ended early.
    #[must_use]
    pub const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The next record, and where the one after it begins.
    #[inline]
    fn look<'b>(&mut self, buffer: &'b [u8]) -> Option<(Record<'b>, usize)> {
        let rest = buffer.get(self.offset_bytes..)?;
        if rest.is_empty() || self.fault.is_some() {
            return None;
        }
        match decode(rest) {
            Ok((record, len_bytes)) => Some((record, self.offset_bytes + aligned(len_bytes))),
            Err(reason) => {
                let offset_bytes = self.offset_bytes;
                self.fault = Some(Fault { offset_bytes, left_bytes: rest.len(), reason });
                None
            }
        }
    }
}

/// The record that `rest` begins with, and its length without padding.
#[inline]
fn decode(rest: &[u8]) -> Result<(Record<'_>, usize), FaultReason> {
    let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
        return Err(FaultReason::HeaderCut);
    };
    let word = |at: usize| {
        u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let hdrlen_bytes = u16::from_ne_bytes([header[field::HDRLEN], header[field::HDRLEN + 1]]);
    let (caplen_bytes, datalen_bytes) = (word(field::CAPLEN), word(field::DATALEN));
    let header_len = usize::from(hdrlen_bytes);
    if header_len < HEADER_BYTES {
        return Err(FaultReason::HeaderTooShort { hdrlen_bytes });
    }
    let frame = usize::try_from(caplen_bytes)
        .ok()
        .and_then(|caplen| rest.get(header_len..)?.get(..caplen))
        .ok_or(FaultReason::PastEnd { hdrlen_bytes, caplen_bytes })?;
    if caplen_bytes > datalen_bytes {
        return Err(FaultReason::MoreThanAll { caplen_bytes, datalen_bytes });
    }
    let (seconds, micros) = (word(field::SECONDS), word(field::MICROS));
    Ok((Record { frame, datalen_bytes, seconds, micros }, header_len + frame.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record as `catchpacket` makes it, without padding.
    fn record(hdrlen: u16, datalen: u32, frame: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&7_u32.to_ne_bytes());
        bytes.extend_from_slice(&250_000_u32.to_ne_bytes());
        bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_ne_bytes());
        bytes.extend_from_slice(&datalen.to_ne_bytes());
        bytes.extend_from_slice(&hdrlen.to_ne_bytes());
        bytes.resize(usize::from(hdrlen), 0xee);
        bytes.extend_from_slice(frame);
        bytes
    }

    fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
        // Stale bytes, not zeros: XNU does not clear them.
        bytes.resize(bytes.len().next_multiple_of(4), 0xaa);
        bytes
    }

    fn walked(buffer: &[u8]) -> (Vec<(usize, u32)>, Option<Fault>) {
        let mut walker = Walker::new(buffer);
        let frames = walker.by_ref().map(|r| (r.frame.len(), r.datalen_bytes)).collect();
        (frames, walker.fault())
    }

    /// XNU `catchpacket`: the next record at `BPF_WORDALIGN`, the last one without padding, so that
    /// the length read need not be a multiple of 4.
    #[test]
    fn the_last_record_has_no_padding() {
        let mut buffer = padded(record(18, 61, &[1; 61]));
        buffer.extend(padded(record(18, 1514, &[2; 96])));
        buffer.extend(record(18, 63, &[3; 63]));
        assert_eq!(buffer.len() % 4, 1);
        assert_eq!(walked(&buffer), (vec![(61, 61), (96, 1514), (63, 63)], None));
        let frames: Vec<u8> = Walker::new(&buffer).map(|record| record.frame[0]).collect();
        assert_eq!(frames, [1, 2, 3]);
        // With padding behind it the last record is the same.
        assert_eq!(walked(&padded(buffer)).0.len(), 3);
    }

    #[test]
    fn the_header_is_as_long_as_it_says() {
        // 18 for Ethernet, 20 for other links, 66 with BIOCSEXTHDR.
        let mut buffer = Vec::new();
        for hdrlen in [18, 20, 66] {
            buffer.extend(padded(record(hdrlen, 60, &[9; 60])));
        }
        assert_eq!(walked(&buffer), (vec![(60, 60); 3], None));
        assert!(Walker::new(&buffer).all(|record| record.frame == [9; 60]));
    }

    #[test]
    fn a_cut_frame_says_so() {
        let buffer = [padded(record(18, 61, &[0; 60])), record(18, 60, &[0; 60])].concat();
        let cut: Vec<bool> = Walker::new(&buffer).map(|record| record.is_truncated()).collect();
        assert_eq!(cut, [true, false]);
    }

    #[test]
    fn times() {
        let mut buffer = record(18, 60, &[0; 60]);
        let first = Walker::new(&buffer).next().unwrap();
        assert_eq!(first.timestamp(), Some(Duration::from_millis(7_250)));
        buffer[..8].fill(0);
        assert_eq!(Walker::new(&buffer).next().unwrap().timestamp(), None);
        buffer[..8].fill(0xff);
        // Nothing that stands there overflows, and 2038 is no limit.
        assert!(Walker::new(&buffer).next().unwrap().timestamp().unwrap().as_secs() > 1 << 31);
    }

    /// What is broken ends the walk; what came before it is given, what is left is told.
    #[test]
    fn broken_records_end_the_walk_with_the_reason() {
        let good = padded(record(18, 60, &[0; 60]));
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = record(18, 60, &[0; 60]);
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            bad
        };
        let cases = [
            (vec![0; 17], FaultReason::HeaderCut),
            (vec![0], FaultReason::HeaderCut),
            (with(16, &17_u16.to_ne_bytes()), FaultReason::HeaderTooShort { hdrlen_bytes: 17 }),
            (with(16, &0_u16.to_ne_bytes()), FaultReason::HeaderTooShort { hdrlen_bytes: 0 }),
            (
                with(16, &19_u16.to_ne_bytes()),
                FaultReason::PastEnd { hdrlen_bytes: 19, caplen_bytes: 60 },
            ),
            (
                with(16, &u16::MAX.to_ne_bytes()),
                FaultReason::PastEnd { hdrlen_bytes: u16::MAX, caplen_bytes: 60 },
            ),
            (
                with(8, &u32::MAX.to_ne_bytes()),
                FaultReason::PastEnd { hdrlen_bytes: 18, caplen_bytes: u32::MAX },
            ),
            (
                with(12, &59_u32.to_ne_bytes()),
                FaultReason::MoreThanAll { caplen_bytes: 60, datalen_bytes: 59 },
            ),
        ];
        for (bad, reason) in cases {
            let buffer = [good.clone(), bad.clone()].concat();
            let fault = Fault { offset_bytes: good.len(), left_bytes: bad.len(), reason };
            assert_eq!(walked(&buffer), (vec![(60, 60)], Some(fault)));
            let mut walker = Walker::new(&buffer);
            assert_eq!(walker.by_ref().count(), 1);
            assert_eq!(walker.next(), None, "it stays ended");
        }
        assert_eq!(walked(&[]), (Vec::new(), None));
    }

    #[test]
    fn a_cursor_keeps_its_place_between_calls() {
        let buffer = [padded(record(18, 60, &[1; 60])), record(18, 61, &[2; 61])].concat();
        let mut cursor = Cursor::START;
        assert_eq!(cursor.peek(&buffer).unwrap().frame, [1; 60]);
        assert_eq!(cursor.next(&buffer).unwrap().frame, [1; 60]);
        assert_eq!(cursor.peek(&buffer).unwrap().frame, [2; 61]);
        assert_eq!(cursor.next(&buffer).unwrap().frame, [2; 61]);
        assert_eq!(cursor.peek(&buffer), None);
        assert_eq!(cursor.next(&buffer), None);
        // Another, shorter buffer: nothing is there.
        assert_eq!(cursor.next(&buffer[..10]), None);
        assert_eq!(cursor.fault(), None);

        // Once a record was broken, the walk is over, whatever stands there later.
        let mut cursor = Cursor::START;
        assert_eq!(cursor.next(&buffer[..10]), None);
        let fault = cursor.fault();
        assert!(fault.is_some());
        assert_eq!((cursor.next(&buffer), cursor.peek(&buffer)), (None, None));
        assert_eq!((cursor.fault(), cursor.offset_bytes()), (fault, 0));
    }

    #[test]
    fn a_record_of_nothing_goes_forward_too() {
        // A device whose buffer is just a header: the filter takes a byte, there is no room for it.
        let buffer = [padded(record(18, 60, &[])), padded(record(18, 60, &[]))].concat();
        assert_eq!(walked(&buffer), (vec![(0, 60), (0, 60)], None));
    }
}
