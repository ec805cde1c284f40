//! The parser of byte streams alone: nanoseconds per frame at 64, 1514 and 9014 bytes, when each
//! read ends between two frames and when reads cut frames.
//!
//! `cargo bench -p vswitch --bench deframer`. The stream's bytes stand in the parser's buffer
//! before the measurement begins, as if the kernel had put them there: no copy is measured.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vswitch::framing::{Deframer, prefix};

const LENGTHS_BYTES: [usize; 3] = [64, 1514, 9014];

/// Less than what makes the parser move its rest to the front of its buffer.
const STREAM_BYTES: usize = 160 << 10;

/// What one read gives: more than one frame, and no whole number of any of them.
const CUT_BYTES: usize = 4093;

/// As many frames as go into the buffer, and how many.
fn stream(len_bytes: usize) -> (Vec<u8>, usize) {
    let one: Vec<u8> = prefix(len_bytes).into_iter().chain(vec![0x5a; len_bytes]).collect();
    let frames = STREAM_BYTES / one.len();
    (one.repeat(frames), frames)
}

/// Hands the parser its own buffer's bytes in pieces; how many frames came out.
fn parse(deframer: &mut Deframer, stream_bytes: usize, piece_bytes: usize) -> usize {
    let (mut left, mut frames) = (stream_bytes, 0);
    while left > 0 {
        let piece = piece_bytes.min(left).min(deframer.space().len());
        deframer.filled(piece);
        left -= piece;
        while let Ok(Some(frame)) = deframer.next_frame() {
            black_box(frame);
            frames += 1;
        }
    }
    frames
}

fn deframer(criterion: &mut Criterion) {
    for (name, piece_bytes) in [("whole reads", usize::MAX), ("cut reads", CUT_BYTES)] {
        let mut group = criterion.benchmark_group(format!("deframer, {name}"));
        for len_bytes in LENGTHS_BYTES {
            let (stream, frames) = stream(len_bytes);
            let mut deframer = Deframer::default();
            deframer.space()[..stream.len()].copy_from_slice(&stream);
            group.throughput(Throughput::Elements(frames as u64));
            group.bench_function(BenchmarkId::from_parameter(len_bytes), |bencher| {
                bencher.iter(|| {
                    assert_eq!(parse(&mut deframer, stream.len(), piece_bytes), frames);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, deframer);
criterion_main!(benches);
