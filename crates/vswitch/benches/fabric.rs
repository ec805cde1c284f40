//! The fabric alone: nanoseconds per frame at 2, 32 and 256 ports (a known destination, an unknown
//! one, broadcast), and with 2 and 100,000 addresses learnt.
//!
//! `cargo bench -p vswitch --bench fabric`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings};
use vswitch::{MacAddr, Nanos};

const FRAME_BYTES: usize = 64;

/// Addresses without order: a row of numbers would lie in the table without a collision.
fn station(number: u32) -> MacAddr {
    let [a, b, c, d] = number.wrapping_mul(0x9e37_79b1).swap_bytes().to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

fn frame(to: MacAddr, from: MacAddr) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    address(&mut frame, to, from);
    frame
}

fn address(frame: &mut [u8; FRAME_BYTES], to: MacAddr, from: MacAddr) {
    frame[..6].copy_from_slice(&to.0);
    frame[6..12].copy_from_slice(&from.0);
}

/// Which port a station is behind.
fn port_of(station: u32, ports: u16) -> PortIndex {
    PortIndex(u16::try_from(station % u32::from(ports)).expect("fewer than the ports"))
}

/// A fabric that knows so many stations, behind its ports in turn.
fn fabric(ports: u16, stations: u32) -> Fabric {
    let mut fabric = Fabric::new(Settings::default());
    for port in 0..ports {
        let policy = PortPolicy { addresses_max: usize::MAX, ..PortPolicy::default() };
        fabric.add_port(PortIndex(port), policy).expect("a free address");
    }
    for number in 0..stations {
        let hello = frame(MacAddr::BROADCAST, station(number));
        fabric.ingress(port_of(number, ports), &hello, Nanos(0));
    }
    fabric
}

fn by_ports(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fabric");
    group.throughput(Throughput::Elements(1));
    for ports in [2_u16, 32, 256] {
        let mut fabric = fabric(ports, u32::from(ports));
        let next = |number: u32| station((number + 1) % u32::from(ports));
        let kinds: [(&str, &dyn Fn(u32) -> MacAddr); 3] = [
            ("known", &next),
            ("unknown", &|_| station(1_000_000)),
            ("broadcast", &|_| MacAddr::BROADCAST),
        ];
        for (name, to) in kinds {
            let frames: Vec<[u8; FRAME_BYTES]> =
                (0..u32::from(ports)).map(|number| frame(to(number), station(number))).collect();
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

/// Each frame is from the next station to the one after it: every look-up is of other cells. The
/// addresses are written here, so that the frames themselves stay in the cache.
fn by_addresses(criterion: &mut Criterion) {
    const PORTS: u16 = 32;
    let mut group = criterion.benchmark_group("fabric with addresses");
    group.throughput(Throughput::Elements(1));
    for stations in [2, 100_000] {
        let mut fabric = fabric(PORTS, stations);
        let mut frame = [0; FRAME_BYTES];
        group.bench_function(BenchmarkId::from_parameter(stations), |bencher| {
            let mut from = 0;
            bencher.iter(|| {
                let to = (from + 1) % stations;
                address(&mut frame, station(to), station(from));
                let verdict = fabric.ingress(port_of(from, PORTS), black_box(&frame), Nanos(1));
                from = to;
                verdict
            });
        });
        assert_eq!(fabric.entry_count(), stations as usize, "all of them were known");
    }
    group.finish();
}

criterion_group!(benches, by_ports, by_addresses);
criterion_main!(benches);
