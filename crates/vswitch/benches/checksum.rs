//! Completing a checksum: nanoseconds, and bytes per second, for frames of 64, 1514 and 65,535
//! bytes.
//!
//! `cargo bench -p vswitch --bench checksum`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use shapes::udp_of_len;
use vswitch::offload::{self, complete_checksum};

#[path = "support/shapes.rs"]
mod shapes;

fn checksum(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("complete_checksum");
    for len_bytes in [64, 1514, 65_535] {
        let mut example = udp_of_len(len_bytes);
        group.throughput(Throughput::Bytes(len_bytes as u64));
        group.bench_function(BenchmarkId::from_parameter(len_bytes), |bencher| {
            // The sum found is summed up next time: other numbers, the same work.
            bencher.iter(|| complete_checksum(black_box(&mut example.bytes), &example.offload));
        });
    }
    group.finish();
}

criterion_group!(benches, checksum);
criterion_main!(benches);
