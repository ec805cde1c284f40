//! Numbered frames: a flow is sent with sequence numbers, and the receiver says what became of
//! them.
//!
//! The frames carry an ethertype for local experiments (IEEE 802-2014, 9.2.3), so no host's stack
//! reacts to them. After the Ethernet header:
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | `vswf` |
//! | 4–7 | the flow's number, big-endian |
//! | 8–15 | the sequence number, big-endian, from 0 |
//! | 16– | filler: byte `i` is the low byte of `sequence + i` |

use std::collections::HashMap;

use crate::frame::{self, Frame, HEADER_LEN};
use crate::mac::MacAddress;

/// The ethertype of numbered frames: local experimental ethertype 1.
pub const ETHERTYPE: u16 = 0x88b5;

/// The shortest numbered frame, in bytes.
pub const FRAME_LEN_MIN: usize = HEADER_LEN + FLOW_HEADER_LEN;

/// Makes the frames of one flow.
#[derive(Clone, Debug)]
pub struct FlowGenerator {
    frame: Vec<u8>,
    sequence: u64,
}

impl FlowGenerator {
    /// Frames of `frame_len` bytes (at least [`FRAME_LEN_MIN`]) from `source` to `destination`.
    #[must_use]
    pub fn new(flow: u32, source: MacAddress, destination: MacAddress, frame_len: usize) -> Self {
        let mut frame = frame::build(destination, source, ETHERTYPE, MAGIC);
        frame.extend_from_slice(&flow.to_be_bytes());
        frame.resize(frame_len.max(FRAME_LEN_MIN), 0);
        Self { frame, sequence: 0 }
    }

    /// How many frames were made: the next one's sequence number.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.sequence
    }

    /// The next frame, valid until the one after it.
    pub fn next_frame(&mut self) -> &[u8] {
        let sequence = self.sequence;
        self.sequence += 1;
        let number = HEADER_LEN + 8;
        self.frame[number..number + 8].copy_from_slice(&sequence.to_be_bytes());
        for chunk in self.frame[HEADER_LEN + FLOW_HEADER_LEN..].chunks_mut(256) {
            chunk.copy_from_slice(filler(sequence, chunk.len()));
        }
        &self.frame
    }
}

/// What became of a flow, as its receiver sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowReport {
    /// Frames that arrived, duplicates and all.
    pub received: u64,
    /// Different sequence numbers among them.
    pub unique: u64,
    /// One more than the highest sequence number seen; 0 when none was.
    pub end: u64,
    /// Frames that repeat a number seen before.
    pub duplicates: u64,
    /// Frames that came after one with a higher number.
    pub reordered: u64,
    /// Frames so far behind that they are either of the two; counted in neither.
    pub stale: u64,
    /// Frames whose filler is wrong; counted nowhere else.
    pub corrupted: u64,
}

impl FlowReport {
    /// How many of the `sent` frames never arrived intact.
    #[must_use]
    pub const fn lost_of(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.unique)
    }

    /// Whether exactly `sent` frames arrived, each once, whole and in order.
    #[must_use]
    pub fn is_perfect(&self, sent: u64) -> bool {
        *self == Self { received: sent, unique: sent, end: sent, ..Self::default() }
    }
}

/// Checks the numbered frames of many flows.
#[derive(Debug, Default)]
pub struct FlowChecker {
    flows: HashMap<u32, Flow>,
    ignored: u64,
}

impl FlowChecker {
    /// Looks at one frame; false when it carries no numbered frame of a flow.
    pub fn check(&mut self, bytes: &[u8]) -> bool {
        let Some(frame) = Frame::parse(bytes) else { return false };
        if frame.ethertype != ETHERTYPE {
            return false;
        }
        let Some((flow, sequence, filler)) = parse(frame.payload) else { return false };
        if self.flows.len() >= FLOWS_MAX && !self.flows.contains_key(&flow) {
            self.ignored += 1;
            return true;
        }
        self.flows.entry(flow).or_default().check(sequence, filler);
        true
    }

    /// What became of `flow`; all zeros when nothing of it arrived.
    #[must_use]
    pub fn report(&self, flow: u32) -> FlowReport {
        self.flows.get(&flow).map_or_else(FlowReport::default, |flow| flow.report)
    }

    /// The numbers of the flows seen, in order.
    #[must_use]
    pub fn flows(&self) -> Vec<u32> {
        let mut flows: Vec<u32> = self.flows.keys().copied().collect();
        flows.sort_unstable();
        flows
    }

    /// Frames of flows beyond the number that a checker tells apart.
    #[must_use]
    pub const fn ignored(&self) -> u64 {
        self.ignored
    }
}

#[derive(Debug)]
struct Flow {
    report: FlowReport,
    /// One bit per sequence number, for the last [`WINDOW`] numbers below `report.end`.
    seen: Box<[u64]>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { report: FlowReport::default(), seen: vec![0; WINDOW_WORDS].into_boxed_slice() }
    }
}

impl Flow {
    fn check(&mut self, sequence: u64, bytes: &[u8]) {
        let is_filler = |chunk: &[u8]| chunk == filler(sequence, chunk.len());
        let intact = bytes.chunks(256).all(is_filler);
        if !intact || sequence == u64::MAX {
            self.report.corrupted += 1;
            return;
        }
        let report = &mut self.report;
        report.received += 1;
        if sequence >= report.end {
            let skipped = sequence - report.end;
            if skipped >= WINDOW {
                self.seen.fill(0);
            } else {
                for between in report.end..sequence {
                    clear(&mut self.seen, between);
                }
            }
            report.end = sequence + 1;
            set(&mut self.seen, sequence);
            report.unique += 1;
        } else if report.end - sequence > WINDOW {
            report.stale += 1;
        } else if set(&mut self.seen, sequence) {
            report.duplicates += 1;
        } else {
            report.reordered += 1;
            report.unique += 1;
        }
    }
}

/// Marks `sequence`; says whether it was marked before.
fn set(seen: &mut [u64], sequence: u64) -> bool {
    let (word, bit) = place(sequence);
    let was = seen[word] & bit != 0;
    seen[word] |= bit;
    was
}

fn clear(seen: &mut [u64], sequence: u64) {
    let (word, bit) = place(sequence);
    seen[word] &= !bit;
}

fn place(sequence: u64) -> (usize, u64) {
    let index = usize::try_from(sequence % WINDOW).unwrap_or(0);
    (index / 64, 1 << (index % 64))
}

fn parse(payload: &[u8]) -> Option<(u32, u64, &[u8])> {
    let payload = payload.strip_prefix(MAGIC)?;
    let (flow, payload) = payload.split_first_chunk()?;
    let (sequence, filler) = payload.split_first_chunk()?;
    Some((u32::from_be_bytes(*flow), u64::from_be_bytes(*sequence), filler))
}

/// `len` bytes of filler, up to 256, of the frame `sequence`; they repeat after 256.
fn filler(sequence: u64, len: usize) -> &'static [u8] {
    let start = usize::from(sequence.to_le_bytes()[0]);
    &RAMP[start..start + len]
}

/// 0 to 255, twice.
static RAMP: [u8; 512] = {
    let mut ramp = [0; 512];
    let mut index = 0;
    while index < 512 {
        ramp[index] = index.to_le_bytes()[0];
        index += 1;
    }
    ramp
};

const MAGIC: &[u8; 4] = b"vswf";
const FLOW_HEADER_LEN: usize = 16;
/// How far behind the newest a frame may be and still be told a duplicate or a late one. Frames.
const WINDOW: u64 = 65_536;
const WINDOW_WORDS: usize = 65_536 / 64;
/// Flows that one checker tells apart (8 KiB each).
const FLOWS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(count: u64) -> Vec<Vec<u8>> {
        let mut generator = FlowGenerator::new(7, MacAddress::local(1), MacAddress::local(2), 100);
        (0..count).map(|_| generator.next_frame().to_vec()).collect()
    }

    #[test]
    fn a_clean_flow_is_perfect() {
        let mut checker = FlowChecker::default();
        for frame in frames(200_000) {
            assert!(checker.check(&frame));
        }
        assert!(checker.report(7).is_perfect(200_000), "{:?}", checker.report(7));
        assert_eq!(checker.flows(), [7]);
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let mut checker = FlowChecker::default();
        let mut frame = frames(1).remove(0);
        frame[99] ^= 0x10;
        checker.check(&frame);
        assert_eq!(checker.report(7), FlowReport { corrupted: 1, ..FlowReport::default() });
    }

    #[test]
    fn what_is_too_old_to_tell_is_stale() {
        let mut checker = FlowChecker::default();
        let frames = frames(70_000);
        checker.check(&frames[69_999]);
        checker.check(&frames[0]);
        let expected =
            FlowReport { received: 2, unique: 1, end: 70_000, stale: 1, ..FlowReport::default() };
        assert_eq!(checker.report(7), expected);
    }

    #[test]
    fn flows_are_bounded() {
        let mut checker = FlowChecker::default();
        let (a, b) = (MacAddress::local(1), MacAddress::local(2));
        for flow in 0..=4096 {
            assert!(checker.check(FlowGenerator::new(flow, a, b, 60).next_frame()));
        }
        assert_eq!((checker.flows().len(), checker.ignored()), (4096, 1));
    }

    proptest! {
        /// Against the plain definition over any sequence of arrivals.
        #[test]
        fn agrees_with_a_set(arrivals in prop::collection::vec(0_usize..300, 0..400)) {
            let frames = frames(300);
            let mut checker = FlowChecker::default();
            let mut seen = std::collections::BTreeSet::new();
            let mut expected = FlowReport::default();
            for index in arrivals {
                checker.check(&frames[index]);
                let sequence = index as u64;
                expected.received += 1;
                if !seen.insert(sequence) {
                    expected.duplicates += 1;
                } else if sequence + 1 < expected.end {
                    expected.reordered += 1;
                }
                expected.end = expected.end.max(sequence + 1);
                expected.unique = seen.len() as u64;
            }
            prop_assert_eq!(checker.report(7), expected);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut checker = FlowChecker::default();
            checker.check(&bytes);
            let (to, from) = (MacAddress::BROADCAST, MacAddress::local(1));
            let mut frame = frame::build(to, from, ETHERTYPE, MAGIC);
            frame.extend_from_slice(&bytes);
            checker.check(&frame);
        }
    }
}
