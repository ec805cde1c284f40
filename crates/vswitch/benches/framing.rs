//! The parser of byte streams alone: nanoseconds per frame at 64, 1514 and 9014 bytes, when each
//! read ends between two frames and when reads cut frames.
//!
//! `cargo bench -p vswitch --bench framing`. The stream's bytes are there before
//! the measurement begins: no copy is measured.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vswitch::framing::{prefix, whole_frames};

const LENGTHS_BYTES: [usize; 3] = [64, 1514, 9014];

const STREAM_BYTES: usize = 64 << 10;

/// What one read gives: more than one frame, and no whole number of any of them.
const CUT_BYTES: usize = 4093;

/// As many frames as one buffer holds, and how many.
fn stream(len_bytes: usize) -> (Vec<u8>, usize) {
    let one: Vec<u8> = prefix(len_bytes).into_iter().chain(vec![0x5a; len_bytes]).collect();
    let frames = STREAM_BYTES / one.len();
    (one.repeat(frames), frames)
}

/// The stream by reads of so many bytes; how many frames came out.
fn parse(stream: &[u8], read_bytes: usize) -> usize {
    let (mut start, mut read, mut frames) = (0, 0, 0);
    while read < stream.len() {
        read = read.saturating_add(read_bytes).min(stream.len());
        let mut end = 0;
        for frame in whole_frames(black_box(&stream[start..read])).flatten() {
            end = black_box(frame).end;
            frames += 1;
        }
        start += end;
    }
    frames
}

fn parser(criterion: &mut Criterion) {
    for (name, read_bytes) in [("whole reads", usize::MAX), ("cut reads", CUT_BYTES)] {
        let mut group = criterion.benchmark_group(format!("stream parser, {name}"));
        for len_bytes in LENGTHS_BYTES {
            let (stream, frames) = stream(len_bytes);
            group.throughput(Throughput::Elements(frames as u64));
            group.bench_function(BenchmarkId::from_parameter(len_bytes), |bencher| {
                bencher.iter(|| assert_eq!(parse(&stream, read_bytes), frames));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, parser);
criterion_main!(benches);
