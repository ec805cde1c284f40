//! Unfinished frames between ports of which some take them and some do not: each gets what it can
//! take, every frame is counted, and senders are slowed as by finished ones.

mod bench;
#[path = "../../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;

use bench::{Bench, Unfinished, addressed, finished, station};
use proptest::prelude::*;
use testing::{Random, Shape, V4, V6};
use vswitch::MacAddr;
use vswitch::counters::DropReason;
use vswitch::offload::{self, Checksum, Gso, Offload, Offloads};
use vswitch::queue::{QUEUE_BYTES_WAIT, QUEUE_FRAMES_UNICAST};

/// A valid unfinished frame from port 0.
fn unfinished(shape: &Shape, to: MacAddr) -> Unfinished {
    let example = shape.build();
    (addressed(example.bytes, to, 0), example.offload)
}

fn any_shape(seed: u64, longest: usize) -> Shape {
    let shape = Shape::any(seed, longest);
    let payload = match shape.segment {
        0 => shape.payload,
        segment => shape.payload.min(100 * usize::from(segment)),
    };
    Shape { payload, ..shape }
}

fn segment(segment: u16, payload: usize) -> Shape {
    Shape {
        version: V4,
        tcp: true,
        tags: 0,
        network_options: 0,
        tcp_options: 3,
        flags: 0x18,
        payload,
        segment,
        seed: 3,
    }
}

fn any_set() -> impl Strategy<Value = Offloads> {
    let kinds = [Offloads::CHECKSUM, Offloads::TSO4, Offloads::TSO6, Offloads::USO];
    let some = (0..16_u32).prop_map(move |bits| {
        let chosen = kinds.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0);
        chosen.fold(Offloads::NONE, |all, (_, kind)| all.with(*kind))
    });
    prop_oneof![Just(Offloads::NONE), Just(Offloads::ALL), some]
}

/// What a port that takes `takes` is to get of a frame.
fn expected(takes: Offloads, frame: &Unfinished) -> Vec<Unfinished> {
    let (bytes, offload) = frame;
    let behind_header = u64::from(offload.checksum_start) >= 14;
    if takes.takes(offload) && (behind_header || !offload.needs_checksum()) {
        return vec![(bytes.clone(), *offload)];
    }
    finished(frame)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn each_port_gets_what_it_takes(
        takes in proptest::collection::vec(any_set(), 2..6),
        seeds in proptest::collection::vec(any::<u64>(), 1..8),
    ) {
        let mut bench = Bench::new(&takes);
        for seed in seeds {
            let to = match Random(seed).below(takes.len()) {
                0 => MacAddr::BROADCAST,
                port => station(port),
            };
            let frame = unfinished(&any_shape(seed, 65_500), to);
            bench.send(0, [frame.clone()]);
            bench.steps(2);
            for (port, takes) in takes.iter().enumerate().skip(1) {
                let meant = to.is_group() || to == station(port);
                let expected = if meant { expected(*takes, &frame) } else { Vec::new() };
                prop_assert!(bench.take(port) == expected, "port {}, {:?}", port, frame.1);
            }
        }
        let report = bench.report();
        prop_assert!(report.ports.iter().all(|port| port.queued_frames == 0));
        prop_assert!(report.ports.iter().all(|p| p.counters.egress.dropped.total() == 0));
        prop_assert_eq!(bench.filled_slots(), 0);
    }

    /// Whatever a header says, it is followed rightly or the frame is dropped and counted; and the
    /// addresses that the fabric went by are those that arrive.
    #[test]
    fn any_header_is_followed_or_counted(
        takes in proptest::collection::vec(any_set(), 2..5),
        seed: u64,
        gso in prop_oneof![Just(Gso::None), Just(Gso::TcpV4), Just(Gso::TcpV6), Just(Gso::UdpL4)],
        sizes in (
            prop_oneof![Just(0_u16), 1..20_u16, 500..1500_u16, any::<u16>()],
            prop_oneof![0..70_u16, any::<u16>()],
            prop_oneof![Just(16_u16), Just(6), Just(8), any::<u16>()],
        ),
        summed: bool,
        broadcast: bool,
    ) {
        let (segment_bytes, checksum_start, checksum_offset) = sizes;
        let to = if broadcast { MacAddr::BROADCAST } else { station(1) };
        let (bytes, valid) = unfinished(&any_shape(seed, 3000), to);
        let checksum = if summed { Checksum::Complete } else { Checksum::Unfinished };
        let kept = if seed % 2 == 0 { valid.checksum_start } else { checksum_start };
        let offload = Offload {
            checksum,
            gso,
            segment_bytes,
            checksum_start: kept,
            checksum_offset,
            ..valid
        };
        let frame = (bytes, offload);
        let mut bench = Bench::new(&takes);
        bench.send(0, [frame.clone()]);
        bench.steps(2);
        let report = bench.report();
        let seen_bad = report.ports[0].counters.ingress.dropped.of(DropReason::BadOffload);
        for (port, takes) in takes.iter().enumerate().skip(1) {
            let got = bench.take(port);
            prop_assert!(got.iter().all(|(bytes, _)| bytes[..12] == frame.0[..12]));
            if seen_bad > 0 || (!broadcast && port > 1) {
                prop_assert!(got.is_empty());
                continue;
            }
            let mut expected = expected(*takes, &frame);
            let egress = &report.ports[port].counters.egress;
            if expected.is_empty() {
                prop_assert_eq!(egress.dropped.of(DropReason::BadOffload), 1);
            } else if expected.len() > QUEUE_FRAMES_UNICAST {
                prop_assert!(got.is_empty() || got == expected);
                prop_assert_eq!(egress.enqueued_frames, expected.len() as u64);
                expected = got.clone();
            }
            prop_assert!(got == expected, "port {}: {:?}", port, frame.1);
        }
        prop_assert_eq!(bench.filled_slots(), 0);
    }
}

#[test]
fn what_an_impossible_checksum_place_would_change_arrives_nowhere() {
    let (bytes, valid) = unfinished(&any_shape(1, 3000), MacAddr::BROADCAST);
    let mut bench = Bench::new(&[Offloads::ALL, Offloads::ALL, Offloads::NONE]);
    for checksum_start in [0, 6, 12, u16::try_from(bytes.len()).unwrap(), u16::MAX] {
        let checksum = Checksum::Unfinished;
        bench.send(0, [(bytes.clone(), Offload { checksum, checksum_start, ..valid })]);
    }
    bench.steps(3);
    assert!(bench.take(1).is_empty() && bench.take(2).is_empty());
    let report = bench.report();
    assert_eq!(report.ports[0].counters.ingress.dropped.of(DropReason::BadOffload), 5);
}

#[test]
fn a_flood_is_cut_once_and_passed_on_whole_to_those_who_take_it() {
    let takes = [Offloads::NONE, Offloads::NONE, Offloads::ALL, Offloads::NONE, Offloads::CHECKSUM];
    let mut bench = Bench::new(&takes);
    let frame = unfinished(&segment(1000, 30_500), MacAddr::BROADCAST);
    // Held in the queues, so that what they share can be counted.
    for port in 1..5 {
        bench.end(port, |end| end.room = 0);
    }
    bench.send(0, [frame.clone()]);
    bench.steps(1);
    assert_eq!(bench.filled_slots(), 1 + 31, "one whole frame, 31 segments");
    for port in 1..5 {
        bench.end(port, |end| end.room = usize::MAX);
    }
    bench.steps(2);
    for (port, takes) in takes.iter().enumerate().skip(1) {
        assert!(bench.take(port) == expected(*takes, &frame), "port {port}");
    }
    let report = bench.report();
    let ingress = &report.ports[0].counters.ingress;
    assert_eq!((ingress.received_frames, ingress.flooded_frames), (1, 1));
    assert_eq!(ingress.received_bytes, frame.0.len() as u64);
    let sent: Vec<u64> = report.ports.iter().map(|p| p.counters.egress.sent_frames).collect();
    assert_eq!(sent, [0, 31, 1, 31, 31]);
    assert_eq!(bench.filled_slots(), 0);
}

#[test]
fn checksums_are_completed_in_place_where_nobody_takes_them_unfinished() {
    let frame = unfinished(&Shape { segment: 0, ..segment(0, 1400) }, MacAddr::BROADCAST);
    for (last, buffers) in [(Offloads::NONE, 1), (Offloads::ALL, 2)] {
        let takes = [Offloads::ALL, Offloads::NONE, Offloads::NONE, last];
        let mut bench = Bench::new(&takes);
        for port in 1..4 {
            bench.end(port, |end| end.room = 0);
        }
        bench.send(0, [frame.clone()]);
        bench.steps(1);
        assert_eq!(bench.filled_slots(), buffers);
        for port in 1..4 {
            bench.end(port, |end| end.room = usize::MAX);
        }
        bench.steps(2);
        for (port, takes) in takes.iter().enumerate().skip(1) {
            assert!(bench.take(port) == expected(*takes, &frame), "port {port} of {takes:?}");
        }
    }
}

/// Of how many such frames the segments make a queue for which senders wait.
fn enough_of(frame: &Unfinished) -> usize {
    let each_bytes: usize = finished(frame).iter().map(|(bytes, _)| bytes.len()).sum();
    QUEUE_BYTES_WAIT.div_ceil(each_bytes)
}

/// A sender of big segments waits for a target that is full and reads on; nothing is lost, and
/// segments are queued all or none.
#[test]
fn senders_of_big_segments_wait_for_who_gets_them_in_pieces() {
    let mut bench = Bench::new(&[Offloads::ALL, Offloads::NONE]);
    bench.end(1, |end| end.room = 0);
    let shapes = (0..100).map(|seed| Shape { seed, ..segment(1000, 45_000) });
    let frames: Vec<_> = shapes.map(|shape| unfinished(&shape, station(1))).collect();
    bench.send(0, frames.clone());
    bench.steps(3);
    let report = bench.report();
    let queued = report.ports[1].queued_frames;
    assert_eq!(
        queued,
        45 * enough_of(&frames[0]),
        "whole frames' segments alone, as many as make a long queue"
    );
    assert!(report.ports[0].counters.pauses > 0);
    let mut got = Vec::new();
    for _ in 0..1000 {
        bench.end(1, |end| end.room = 20);
        bench.steps(1);
        got.extend(bench.take(1));
    }
    let expected: Vec<_> = frames.iter().flat_map(finished).collect();
    assert_eq!(got.len(), expected.len());
    assert!(got == expected);
    let report = bench.report();
    assert_eq!(report.ports[1].counters.egress.dropped.total(), 0);
    assert_eq!(report.ports[0].counters.ingress.forwarded_frames, 100);
}

#[test]
fn floods_and_frames_for_the_stalled_are_dropped_as_all_their_segments() {
    let mut bench = Bench::new(&[Offloads::ALL, Offloads::NONE]);
    bench.end(1, |end| end.room = 0);
    let flood = unfinished(&segment(1000, 60_000), MacAddr::BROADCAST);
    bench.send(0, std::iter::repeat_n(flood, 40));
    bench.steps(10);
    let egress = bench.report().ports[1].counters.egress;
    assert_eq!(egress.enqueued_frames, 40 * 60);
    let full = egress.dropped.of(DropReason::QueueFull) + egress.dropped.of(DropReason::Stalled);
    assert_eq!(full, (40 - 17) * 60, "17 times 60 are what 1024 places hold: {egress:?}");
    bench.steps(400);
    bench.send(0, [unfinished(&segment(1000, 50_000), station(1))]);
    bench.steps(3);
    let egress = bench.report().ports[1].counters.egress;
    assert!(egress.dropped.of(DropReason::Stalled) >= 50, "{egress:?}");
    assert_eq!(bench.report().ports[0].held_frames, 0, "nobody waits for a stalled port");
}

/// More segments than a queue has places: nobody waits for what cannot be.
#[test]
fn too_many_segments_for_any_queue_are_refused() {
    let mut bench = Bench::new(&[Offloads::ALL, Offloads::NONE, Offloads::ALL]);
    bench.send(0, [unfinished(&segment(1, 60_000), station(1))]);
    let next = unfinished(&segment(1000, 3000), station(1));
    bench.send(0, [next.clone()]);
    bench.steps(2);
    assert!(bench.take(1) == finished(&next));
    let egress = bench.report().ports[1].counters.egress;
    assert_eq!(egress.dropped.of(DropReason::QueueFull), 60_000);
    let tiny = unfinished(&segment(1, 60_000), station(2));
    bench.send(0, [tiny.clone()]);
    bench.steps(2);
    assert!(bench.take(2) == [tiny], "who takes it gets it");
}

/// Neither does anybody wait to have a frame refused.
#[test]
fn nobody_waits_for_a_full_port_with_what_it_never_gets() {
    let tiny = unfinished(&segment(1, 60_000), station(1));
    let mut bad = unfinished(&segment(1000, 60_000), station(1));
    bad.1.gso = Gso::TcpV6;
    for (frame, reason) in [(tiny, DropReason::QueueFull), (bad, DropReason::BadOffload)] {
        let mut bench = Bench::new(&[Offloads::ALL, Offloads::NONE]);
        bench.end(1, |end| end.room = 0);
        let good = unfinished(&segment(1000, 56_000), station(1));
        let enough = enough_of(&good);
        bench.send(0, std::iter::repeat_n(good.clone(), enough).chain([frame, good]));
        bench.steps(2);
        let report = bench.report();
        assert!(report.ports[1].counters.egress.dropped.of(reason) > 0, "{report:?}");
        assert_eq!(report.ports[0].held_frames, 1, "what it could get waits, and that alone");
    }
}

/// A turn is as long as with ordinary frames: cut segments are work as well.
#[test]
fn a_sender_of_big_segments_lets_others_have_their_turn() {
    let mut read = Vec::new();
    for takes in [Offloads::ALL, Offloads::NONE] {
        let mut bench = Bench::new(&[Offloads::ALL, takes]);
        let frame = unfinished(&segment(1000, 40_000), station(1));
        bench.send(0, std::iter::repeat_n(frame, 200));
        bench.steps(1);
        read.push(200 - bench.end(0, |end| end.up.len()));
    }
    // Two turns of four batches of eight frames; and two of one batch, in which 320 were cut.
    assert_eq!(read, [64, 16]);
}

#[test]
fn a_port_that_takes_less_than_before_gets_none_of_the_rest() {
    let mut bench = Bench::new(&[Offloads::ALL, Offloads::ALL]);
    bench.end(1, |end| end.room = 0);
    let plain = (addressed(vec![8; 60], station(1), 0), Offload::NONE);
    let six = Shape { version: V6, ..segment(1000, 5000) };
    let shapes = [segment(1000, 5000), six];
    let [four, six] = shapes.map(|shape| unfinished(&shape, station(1)));
    bench.send(0, [four.clone(), plain.clone(), six.clone()]);
    bench.steps(2);
    bench.end(1, |end| end.takes_then = Some(Offloads::CHECKSUM.with(Offloads::TSO6)));
    bench.send(1, [(addressed(vec![8; 60], station(0), 1), Offload::NONE)]);
    bench.steps(1);
    bench.end(1, |end| end.room = usize::MAX);
    bench.steps(1);
    assert!(bench.take(1) == [plain, six.clone()], "what it takes is kept");
    let egress = bench.report().ports[1].counters.egress;
    assert_eq!(egress.dropped.of(DropReason::NoPeer), 1);
    bench.send(0, [four.clone(), six.clone()]);
    bench.steps(2);
    let expected: Vec<_> = finished(&four).into_iter().chain([six]).collect();
    assert!(bench.take(1) == expected);
}
