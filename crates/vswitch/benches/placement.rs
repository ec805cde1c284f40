//! Where a received frame is put: time for a `recv(2)` of a unix datagram to a place so many bytes
//! behind the beginning of a page. Why buffers of the pool, and frames in them, begin with a cache
//! line.
//!
//! `cargo bench -p vswitch --bench placement`.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// As many as wait in a socket by the system's default.
const BATCH_FRAMES: usize = 8;

const PAGE_BYTES: usize = 4096;

/// Whole pages, with room for a frame.
const PLACE_BYTES: usize = 3 * PAGE_BYTES;

fn receive(criterion: &mut Criterion) {
    let mut memory = vec![0_u8; (BATCH_FRAMES + 1) * PLACE_BYTES];
    let first = memory.as_ptr().align_offset(PAGE_BYTES);
    let (here, there) = UnixDatagram::pair().expect("two sockets");
    let mut group = criterion.benchmark_group("receive");
    for frame_bytes in [1514, 9014] {
        let frame = vec![0x5a; frame_bytes];
        group.throughput(Throughput::Bytes(frame_bytes as u64));
        for behind_bytes in [0, 8, 16, 24, 32, 48, 64, 128] {
            let id = BenchmarkId::new(format!("{frame_bytes} B"), behind_bytes);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    let mut spent = Duration::ZERO;
                    for _ in 0..iterations {
                        for _ in 0..BATCH_FRAMES {
                            here.send(&frame).expect("room");
                        }
                        let started = Instant::now();
                        for place in
                            memory[first..].chunks_exact_mut(PLACE_BYTES).take(BATCH_FRAMES)
                        {
                            there.recv(&mut place[behind_bytes..]).expect("a frame");
                        }
                        spent += started.elapsed();
                    }
                    spent / u32::try_from(BATCH_FRAMES).unwrap_or(1)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, receive);
criterion_main!(benches);
