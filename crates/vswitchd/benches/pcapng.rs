//! Writing pcapng: time for a packet of some sizes, and bytes per second of packet.
//!
//! `cargo bench -p vswitchd --bench pcapng`
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vswitchd::capture::pcapng::{INBOUND, Packet, Section};

/// So many packets are written before the buffer is emptied.
const PACKETS: usize = 64;

fn packets(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pcapng");
    for (len_bytes, comment) in
        [(64, ""), (64, "dropped: queue full"), (1514, ""), (9014, ""), (65_550, "")]
    {
        let bytes = vec![0x5a; len_bytes];
        let mut out = Vec::new();
        let mut section = Section::begin(&mut out, "bench", 0);
        let interface = section.interface(&mut out, "lan/vm");
        let packet = Packet {
            interface,
            time_ns: 1_700_000_000_123_456_789,
            len_bytes: u32::try_from(len_bytes).expect("a frame"),
            bytes: &bytes,
            flags: INBOUND,
            lost_before: 0,
            comment,
        };
        let name = if comment.is_empty() { "packets" } else { "packets with a comment" };
        group.throughput(Throughput::Bytes((PACKETS * len_bytes) as u64));
        group.bench_function(BenchmarkId::new(name, len_bytes), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..PACKETS {
                    section.packet(&mut out, black_box(&packet));
                }
                black_box(&out);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, packets);
criterion_main!(benches);
