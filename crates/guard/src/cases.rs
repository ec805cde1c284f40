//! The pieces of work, each on fixed input.
//!
//! A case does what it needs beforehand and then carries so many frames. What a frame costs is the
//! difference between two runs over the number of frames between them: what came before falls out.

use std::hint::black_box;

use bpf::capture::{BatchWriter, Walker};
use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings, Verdict};
use vswitch::framing::{prefix, whole_frames};
use vswitch::{MacAddr, Nanos};

use crate::memory::{MemorySwitch, Shape, To};

/// One piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What it is called on the command line and in the table.
    pub name: &'static str,
    /// Carries so many frames.
    pub carry: fn(frames: usize),
}

/// All of them.
pub const CASES: &[Case] = &[
    Case { name: "fabric, 2 addresses", carry: |frames| fabric(2, frames) },
    Case { name: "fabric, 100000 addresses", carry: |frames| fabric(100_000, frames) },
    Case { name: "stream parser, whole reads", carry: |frames| stream_parser(usize::MAX, frames) },
    Case { name: "stream parser, cut reads", carry: |frames| stream_parser(CUT_BYTES, frames) },
    Case { name: "capture walker", carry: walker },
    Case { name: "capture writer", carry: writer },
    Case { name: "loop, unicast", carry: |frames| switch_loop(Shape::unicast(LEN_BYTES), frames) },
    Case { name: "loop, unicast to 2 in turn", carry: |frames| switch_loop(IN_TURN, frames) },
    Case { name: "loop, flood to 7", carry: |frames| switch_loop(FLOOD, frames) },
    Case { name: "loop, slow reader", carry: |frames| switch_loop(SLOW_READER, frames) },
];

/// Every frame's length: the shortest usual one, where the switch's own work weighs most.
const LEN_BYTES: usize = 64;

const FLOOD: Shape = Shape { ports: 8, to: To::All, ..Shape::unicast(LEN_BYTES) };
const IN_TURN: Shape = Shape { ports: 3, to: To::EachInTurn, ..Shape::unicast(LEN_BYTES) };
const SLOW_READER: Shape = Shape { takes_per_round: 100, ..Shape::unicast(LEN_BYTES) };

/// What one read of a stream gives: more than one frame, and no whole number of them.
const CUT_BYTES: usize = 1001;

/// Frames in one stream, one capture buffer, one batch.
const FRAMES_AT_ONCE: usize = 1000;

/// Each frame is from the next station to the one after it; every address is learnt beforehand.
fn fabric(stations: u64, frames: usize) {
    const PORTS: u64 = 2;
    let port = |number: u64| PortIndex(u16::try_from(number % PORTS).expect("two"));
    let mut fabric = Fabric::new(Settings::default());
    for number in 0..PORTS {
        let policy = PortPolicy { addresses_max: usize::MAX, ..PortPolicy::default() };
        fabric.add_port(port(number), policy).expect("a free place");
    }
    let frame = |to: MacAddr, from: MacAddr| {
        let mut frame = [0; LEN_BYTES];
        frame[..6].copy_from_slice(&to.0);
        frame[6..12].copy_from_slice(&from.0);
        frame
    };
    for number in 0..stations {
        let hello = frame(MacAddr::BROADCAST, station(number));
        assert_eq!(fabric.ingress(port(number), &hello, Nanos(0)), Verdict::Flood);
    }
    let between: Vec<(PortIndex, [u8; LEN_BYTES])> = (0..stations)
        .map(|number| (port(number), frame(station((number + 1) % stations), station(number))))
        .collect();
    let mut forwarded = 0;
    for (port, frame) in between.iter().cycle().take(frames) {
        let verdict = fabric.ingress(*port, black_box(frame), Nanos(1));
        forwarded += usize::from(matches!(verdict, Verdict::Forward(_)));
    }
    assert_eq!(forwarded, frames, "every destination is known, on the other port");
}

/// Addresses without order (the mixer of splitmix64), as guests choose them: a row of numbers
/// would lie in the table without a collision.
fn station(number: u64) -> MacAddr {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [a, b, c, d, e, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
    MacAddr([2, a, b, c, d, e])
}

/// The stream comes by reads of so many bytes; the beginning of a frame that a read cut off stands
/// before the next.
fn stream_parser(read_bytes: usize, frames: usize) {
    let one: Vec<u8> = prefix(LEN_BYTES).into_iter().chain([0x5a; LEN_BYTES]).collect();
    let stream = one.repeat(FRAMES_AT_ONCE);
    let mut parsed = 0;
    for _ in 0..frames / FRAMES_AT_ONCE {
        let (mut start, mut read) = (0, 0);
        while read < stream.len() {
            read = read.saturating_add(read_bytes).min(stream.len());
            let mut end = 0;
            for frame in whole_frames(black_box(&stream[start..read])).flatten() {
                parsed += usize::from(frame.len() == LEN_BYTES);
                end = frame.end;
            }
            start += end;
        }
    }
    assert_eq!(parsed, frames);
}

fn walker(frames: usize) {
    let mut batch = empty_batch();
    fill(&mut batch);
    let buffer = batch.as_bytes();
    let mut walked = 0;
    for _ in 0..frames / FRAMES_AT_ONCE {
        for record in Walker::new(black_box(buffer)) {
            walked += usize::from(record.frame.len() == LEN_BYTES);
        }
    }
    assert_eq!(walked, frames);
}

fn writer(frames: usize) {
    let mut batch = empty_batch();
    let mut written = 0;
    for _ in 0..frames / FRAMES_AT_ONCE {
        batch.clear();
        fill(&mut batch);
        written += black_box(&batch).len_frames();
    }
    assert_eq!(written, frames);
}

fn empty_batch() -> BatchWriter {
    BatchWriter::new(BatchWriter::limit_for(FRAMES_AT_ONCE, LEN_BYTES))
}

fn fill(batch: &mut BatchWriter) {
    let frame = [0x5a; LEN_BYTES];
    while batch.push(black_box(&frame)).is_ok() {}
}

fn switch_loop(shape: Shape, frames: usize) {
    MemorySwitch::new(shape).carry(frames);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each asserts what it carried.
    #[test]
    fn every_case_carries_its_frames() {
        for case in CASES {
            (case.carry)(2 * FRAMES_AT_ONCE);
        }
    }
}
