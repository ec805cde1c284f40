//! The whole loop over ports in memory: nanoseconds per frame from one port to another, to two
//! others in turn, with a reader that is slow, and flooded to 7 and 63 ports. The queues' pushing,
//! popping and admission are measured here, with all that stands around them.
//!
//! `cargo bench -p guard --bench switch_loop`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use guard::memory::{MemorySwitch, Shape, To};

const FRAMES: usize = 10_000;

fn switch_loop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loop");
    group.throughput(Throughput::Elements(FRAMES as u64));
    let unicast = Shape::unicast(64);
    let shapes = [
        ("unicast, 64 B", unicast),
        ("unicast, 1514 B", Shape::unicast(1514)),
        ("unicast to 2 in turn, 64 B", Shape { ports: 3, to: To::EachInTurn, ..unicast }),
        ("unicast, a slow reader, 64 B", Shape { takes_per_round: 100, ..unicast }),
        ("flood to 7, 64 B", Shape { ports: 8, to: To::All, ..unicast }),
        ("flood to 63, 64 B", Shape { ports: 64, to: To::All, ..unicast }),
    ];
    for (name, shape) in shapes {
        let mut switch = MemorySwitch::new(shape);
        group.bench_function(name, |bencher| bencher.iter(|| switch.carry(FRAMES)));
    }
    group.finish();
}

criterion_group!(benches, switch_loop);
criterion_main!(benches);
