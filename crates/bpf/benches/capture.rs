//! Walking a capture buffer and making a batch: nanoseconds per frame at 60, 1514 and 9014 bytes.
//!
//! `cargo bench -p bpf --bench capture`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use bpf::capture::{BatchWriter, Walker};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const FRAMES: usize = 64;
const LENGTHS_BYTES: [usize; 3] = [60, 1514, 9014];

fn batch_of(frame: &[u8]) -> BatchWriter {
    let mut batch = BatchWriter::new(BatchWriter::limit_for(FRAMES, frame.len()));
    while batch.push(frame).is_ok() {}
    batch
}

fn walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("walk");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for len_bytes in LENGTHS_BYTES {
        let batch = batch_of(&vec![0x5a; len_bytes]);
        group.bench_function(BenchmarkId::from_parameter(len_bytes), |bencher| {
            bencher.iter(|| {
                let walker = Walker::new(black_box(batch.as_bytes()));
                walker.map(|record| record.frame.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for len_bytes in LENGTHS_BYTES {
        let frame = vec![0x5a; len_bytes];
        let mut batch = batch_of(&frame);
        group.bench_function(BenchmarkId::from_parameter(len_bytes), |bencher| {
            bencher.iter(|| {
                batch.clear();
                while batch.push(black_box(&frame)).is_ok() {}
                batch.len_frames()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, walk, write);
criterion_main!(benches);
