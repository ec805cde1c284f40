//! The fabric alone: nanoseconds per frame at 2, 32 and 256 ports.
//!
//! `cargo bench -p vswitch --bench fabric`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings};
use vswitch::{MacAddr, Nanos};

fn station(port: u16) -> MacAddr {
    let [high, low] = port.to_be_bytes();
    MacAddr([2, 0, 0, 0, high, low])
}

fn frame(to: MacAddr, from: MacAddr) -> [u8; 64] {
    let mut frame = [0; 64];
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&from.0);
    frame
}

/// A fabric that knows a station behind each port.
fn fabric(ports: u16) -> Fabric {
    let mut fabric = Fabric::new(Settings::default());
    for port in 0..ports {
        fabric.add_port(PortIndex(port), PortPolicy::default()).expect("a free address");
        fabric.ingress(PortIndex(port), &frame(MacAddr::BROADCAST, station(port)), Nanos(0));
    }
    fabric
}

fn verdicts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fabric");
    group.throughput(Throughput::Elements(1));
    for ports in [2, 32, 256] {
        let mut fabric = fabric(ports);
        let known: Vec<[u8; 64]> =
            (0..ports).map(|port| frame(station((port + 1) % ports), station(port))).collect();
        let unknown: Vec<[u8; 64]> =
            (0..ports).map(|port| frame(station(60_000), station(port))).collect();
        for (name, frames) in [("known", &known), ("unknown", &unknown)] {
            group.bench_function(BenchmarkId::new(name, ports), |bencher| {
                let mut port = 0;
                bencher.iter(|| {
                    port = (port + 1) % ports;
                    fabric.ingress(PortIndex(port), black_box(&frames[usize::from(port)]), Nanos(1))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, verdicts);
criterion_main!(benches);
