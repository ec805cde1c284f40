//! The filter machine: nanoseconds per frame for the stock filters, in both dialects.
//!
//! `cargo bench -p bpf --bench interpreter`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use bpf::{Dialect, Metadata, Program, stock};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 7];
const IPV4: [u8; 2] = [0x08, 0x00];

fn address(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, number]
}

/// An IPv4 frame to `to`.
fn frame(to: [u8; 6]) -> Vec<u8> {
    [&to[..], &address(200), &IPV4, &[0; 50]].concat()
}

fn programs(dialect: Dialect) -> [(&'static str, Program); 5] {
    let eight: Vec<[u8; 6]> = (0..8).map(address).collect();
    let hundred: Vec<[u8; 6]> = (0..100).map(address).collect();
    [
        ("accept all", stock::accept_all()),
        ("drop all", stock::drop_all()),
        ("8 addresses", stock::to_macs(&eight, dialect).expect("they fit")),
        ("100 addresses", stock::to_macs(&hundred, dialect).expect("they fit")),
        ("ARP, IPv6", stock::with_ethertypes(&[0x0806, 0x86dd], dialect).expect("they fit")),
    ]
}

fn interpreter(criterion: &mut Criterion) {
    let metadata = Metadata::default();
    let frames = [("ours", frame(OURS)), ("a stranger's", frame([2, 0, 0, 0, 9, 9]))];
    for (dialect, name) in [(Dialect::Linux, "Linux"), (Dialect::Xnu, "XNU")] {
        let mut group = criterion.benchmark_group(format!("interpreter, {name}"));
        group.throughput(Throughput::Elements(1));
        for (program_name, program) in programs(dialect) {
            for (frame_name, frame) in &frames {
                group.bench_function(BenchmarkId::new(program_name, frame_name), |bencher| {
                    bencher.iter(|| {
                        bpf::run(dialect, black_box(program.words()), black_box(frame), &metadata)
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, interpreter);
criterion_main!(benches);
