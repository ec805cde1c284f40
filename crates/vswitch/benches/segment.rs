//! Cutting segments of 64 KiB into frames of 1448 bytes of payload: nanoseconds per frame that
//! comes out, TCP over IPv4 and IPv6, and UDP.
//!
//! `cargo bench -p vswitch --bench segment`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shapes::{Example, segment_of_64_kib};
use vswitch::offload::{self, Segmenter};

#[path = "support/shapes.rs"]
mod shapes;

fn cut(example: &Example, buffer: &mut [u8]) -> usize {
    let mut segmenter = Segmenter::new(black_box(&example.bytes), &example.offload)
        .expect("a segment that can be cut");
    let mut frames = 0;
    while segmenter.next_into(black_box(&mut *buffer)).is_some() {
        frames += 1;
    }
    frames
}

fn segment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("segment");
    let mut buffer = [0; 2048];
    for (name, version, tcp) in [("TCPv4", 4, true), ("TCPv6", 6, true), ("UDPv4", 4, false)] {
        let example = segment_of_64_kib(version, tcp);
        let frames = cut(&example, &mut buffer);
        group.throughput(Throughput::Elements(frames as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(cut(&example, &mut buffer), frames));
        });
    }
    group.finish();
}

criterion_group!(benches, segment);
criterion_main!(benches);
