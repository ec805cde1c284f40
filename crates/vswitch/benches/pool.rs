//! The pool of buffers: nanoseconds for a frame's life in it, alone and shared by several ports.
//!
//! `cargo bench -p vswitch --bench pool`. The egress queue's part is in the whole loop:
//! `cargo bench -p guard --bench switch_loop`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use vswitch::Frame;
use vswitch::offload::Offload;
use vswitch::pool::{HEADROOM_BYTES, Pool, SizeClass};

/// Between taking and releasing, so many other frames are in the pool.
const FRAMES_INSIDE: usize = 512;

fn pool_with_frames() -> (Pool, Vec<Frame>) {
    let mut pool = Pool::new(64 << 20);
    let inside = (0..FRAMES_INSIDE).map(|_| take_and_fill(&mut pool)).collect();
    (pool, inside)
}

fn take_and_fill(pool: &mut Pool) -> Frame {
    let buffer = pool.take(SizeClass::Small).expect("the budget is bigger");
    pool.fill(buffer, HEADROOM_BYTES..HEADROOM_BYTES + 64, Offload::NONE)
}

fn life(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pool");
    let (mut pool, _inside) = pool_with_frames();
    group.bench_function("take, put back", |bencher| {
        bencher.iter(|| {
            let buffer = pool.take(SizeClass::Small).expect("the budget is bigger");
            pool.put_back(black_box(buffer));
        });
    });
    group.bench_function("take, fill, release", |bencher| {
        bencher.iter(|| {
            let frame = take_and_fill(&mut pool);
            pool.release(black_box(frame));
        });
    });
    for ports in [1, 8, 64] {
        let frame = take_and_fill(&mut pool);
        let mut shared = Vec::with_capacity(ports);
        group.bench_function(BenchmarkId::new("share, release", ports), |bencher| {
            bencher.iter(|| {
                shared.extend((0..ports).map(|_| pool.share(&frame)));
                shared.drain(..).for_each(|frame| pool.release(black_box(frame)));
            });
        });
        pool.release(frame);
    }
    for len_bytes in [64, 1514, 9014] {
        let bytes = vec![0x5a; len_bytes];
        group.bench_function(BenchmarkId::new("copy, release", len_bytes), |bencher| {
            bencher.iter(|| {
                let frame = pool.copy(black_box(&bytes)).expect("the budget is bigger");
                pool.release(frame);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, life);
criterion_main!(benches);
