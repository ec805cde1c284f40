//! What a tap tells of a switch: exactly what its ports took and gave, and what was dropped, with
//! the reason; and the switch does the same with taps as without.

#[path = "offload_switch/bench.rs"]
mod bench;
#[path = "../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;

use std::collections::BTreeMap;
use std::time::SystemTime;

use bench::{Bench, Unfinished, addressed, station};
use proptest::prelude::*;
use testing::Shape;
use vswitch::capture::{
    CapturedFrame, Direction, RING_BYTES_MIN, Record, TAPS_MAX, TapCounters, TapReader,
    TapSettings, tap,
};
use vswitch::counters::{DropReason, PortCounters};
use vswitch::fabric::PortIndex;
use vswitch::offload::{self, Offload, Offloads};
use vswitch::{FRAME_MAX_BYTES, MacAddr};

const PORTS: usize = 4;

/// The third and the fourth take what is not finished.
const TAKES: [Offloads; PORTS] =
    [Offloads::NONE, Offloads::NONE, Offloads::ALL, Offloads::CHECKSUM];

#[derive(Clone, Debug)]
enum Order {
    /// Port `port` sends a frame as the station `from`.
    Send {
        port: usize,
        from: usize,
        to: MacAddr,
        seed: u64,
        whole: bool,
    },
    /// A port has room for so many frames from now on.
    Room {
        port: usize,
        frames: usize,
    },
    Steps(usize),
    /// A port takes other offloads from its next read on.
    Takes {
        port: usize,
        takes: Offloads,
    },
    /// A port's link is taken down or up.
    Link {
        port: usize,
        is_up: bool,
    },
    Remove(usize),
}

fn any_order() -> impl Strategy<Value = Order> {
    let to = prop_oneof![
        6 => (0..PORTS).prop_map(station),
        1 => Just(MacAddr::BROADCAST),
        1 => Just(station(200)),
    ];
    // Now and then as somebody else, for which there are reasons.
    let from = prop_oneof![20 => Just(None), 1 => (0..PORTS + 1).prop_map(Some)];
    let port = 0..PORTS;
    prop_oneof![
        30 => (port.clone(), from, to, any::<u64>(), any::<bool>()).prop_map(
            |(port, from, to, seed, whole)| Order::Send {
                port,
                from: from.unwrap_or(port),
                to,
                seed,
                whole,
            }
        ),
        4 => (port.clone(), prop_oneof![0..6_usize, Just(usize::MAX)])
            .prop_map(|(port, frames)| Order::Room { port, frames }),
        8 => (1..6_usize).prop_map(Order::Steps),
        // Until a port is stalled, and until frames are too old.
        1 => prop_oneof![Just(300_usize), Just(10_500)].prop_map(Order::Steps),
        1 => (port.clone(), prop::sample::select(TAKES.to_vec()))
            .prop_map(|(port, takes)| Order::Takes { port, takes }),
        3 => (port.clone(), prop::bool::weighted(0.6))
            .prop_map(|(port, is_up)| Order::Link { port, is_up }),
        1 => port.prop_map(Order::Remove),
    ]
}

/// What was given to the ports and came from them, and what became of their counters.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    given: [Vec<Unfinished>; PORTS],
    taken: [Vec<Unfinished>; PORTS],
    counters: [PortCounters; PORTS],
}

fn frame(port: usize, order: &Order) -> Option<(usize, Unfinished)> {
    let Order::Send { port: at, from, to, seed, whole } = order else { return None };
    assert_eq!(port, *at);
    let example = Shape::any(*seed, if *whole { 1400 } else { 20_000 }).build();
    let offload = if *whole { Offload::NONE } else { example.offload };
    Some((*at, (addressed(example.bytes, *to, *from), offload)))
}

fn place_of(port: usize) -> PortIndex {
    PortIndex(u16::try_from(port).unwrap())
}

/// Does what is ordered; after each step of it `look` is called.
fn act(bench: &mut Bench, orders: &[Order], mut look: impl FnMut()) -> Outcome {
    let mut outcome = Outcome::default();
    let mut removed = [false; PORTS];
    for order in orders.iter().chain(&[Order::Steps(20)]) {
        match *order {
            Order::Send { port, .. } if !removed[port] => {
                let (port, frame) = frame(port, order).expect("a frame");
                bench.send(port, [frame.clone()]);
                outcome.given[port].push(frame);
            }
            Order::Send { .. } => {}
            Order::Room { port, frames } => bench.end(port, |end| end.room = frames),
            Order::Takes { port, takes } => bench.end(port, |end| end.takes_then = Some(takes)),
            Order::Steps(steps) => {
                for _ in 0..steps {
                    bench.steps(1);
                    look();
                }
            }
            Order::Link { port, is_up } => {
                let is_there = bench.switch().set_link(place_of(port), is_up);
                assert_eq!(is_there, !removed[port]);
            }
            Order::Remove(port) => {
                let index = place_of(port);
                if let Some(counters) = bench.switch().remove(index) {
                    removed[port] = true;
                    outcome.counters[port] = counters;
                }
            }
        }
    }
    for port in bench.report().ports {
        outcome.counters[usize::from(port.index.0)] = port.counters;
    }
    for (port, taken) in outcome.taken.iter_mut().enumerate() {
        *taken = bench.take(port);
    }
    outcome
}

/// What a tap told, by port.
#[derive(Debug, Default)]
struct Told {
    /// The ports' places, by their numbers.
    names: BTreeMap<u32, usize>,
    incoming: [Vec<Unfinished>; PORTS],
    outgoing: [Vec<Unfinished>; PORTS],
    dropped_in: [BTreeMap<DropReason, u64>; PORTS],
    dropped_out: [BTreeMap<DropReason, u64>; PORTS],
    counters: [TapCounters; PORTS],
    lost: [u64; PORTS],
    last_ns: u64,
}

impl Told {
    fn read(&mut self, reader: &mut TapReader) {
        while let Some(record) = reader.next() {
            match record {
                Record::Port { port, network, name } => {
                    assert_eq!(network, "memory");
                    let place = name.strip_prefix("port").expect("its name").parse().unwrap();
                    assert_eq!(self.names.insert(port, place), None);
                }
                Record::Frame(frame) => self.hear(&frame),
                Record::Rejected { .. } => panic!("nothing is too big"),
                Record::Counters { port, counters, .. } => {
                    self.counters[self.names[&port]] = counters;
                }
            }
        }
    }

    fn hear(&mut self, frame: &CapturedFrame<'_>) {
        let place = self.names[&frame.port];
        assert!(frame.time_ns >= self.last_ns, "in the order of time");
        self.last_ns = frame.time_ns;
        self.lost[place] += frame.lost_before_frames;
        assert_eq!(frame.len_bytes as usize, frame.bytes.len());
        let seen = (frame.bytes.to_vec(), told_of(&frame.offload));
        match (frame.direction, frame.dropped) {
            (Direction::In, dropped) => {
                self.incoming[place].push(seen);
                if let Some(reason) = dropped {
                    *self.dropped_in[place].entry(reason).or_default() += 1;
                }
            }
            (Direction::Out, None) => self.outgoing[place].push(seen),
            (Direction::Out, Some(reason)) => {
                *self.dropped_out[place].entry(reason).or_default() += u64::from(frame.frames);
            }
        }
    }
}

/// As much of the work left on a frame as is told.
fn told_of(offload: &Offload) -> Offload {
    Offload {
        checksum: offload.checksum,
        gso: offload.gso,
        segment_bytes: offload.segment_bytes,
        ..Offload::NONE
    }
}

fn told_of_all(frames: &[Unfinished]) -> Vec<Unfinished> {
    frames.iter().map(|(bytes, offload)| (bytes.clone(), told_of(offload))).collect()
}

fn attach(bench: &mut Bench, settings: TapSettings) -> TapReader {
    let (tap, reader) = tap(settings).expect("a ring");
    bench.switch().attach_tap(tap, SystemTime::now()).expect("a place");
    reader
}

fn drops(of: &vswitch::counters::Drops) -> BTreeMap<DropReason, u64> {
    of.iter().collect()
}

fn check(told: &Told, outcome: &Outcome, place: usize) {
    let counters = &outcome.counters[place];
    let received = usize::try_from(counters.ingress.received_frames).unwrap();
    assert_eq!(told.incoming[place], told_of_all(&outcome.given[place][..received]));
    assert_eq!(told.outgoing[place], told_of_all(&outcome.taken[place]));
    assert_eq!(told.dropped_in[place], drops(&counters.ingress.dropped));
    assert_eq!(told.dropped_out[place], drops(&counters.egress.dropped));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Of three captures, one is read, one is of one port alone, and one is never read. The same
    /// orders given to a switch without captures have the same outcome.
    #[test]
    fn what_is_told_is_what_happened(orders in prop::collection::vec(any_order(), 1..120)) {
        let without = act(&mut Bench::new(&TAKES), &orders, || {});
        let mut bench = Bench::new(&TAKES);
        let mut reader = attach(&mut bench, TapSettings::default());
        let one = TapSettings { port: Some("port1".to_owned()), ..TapSettings::default() };
        let mut of_one = attach(&mut bench, one);
        let small = TapSettings { ring_bytes: RING_BYTES_MIN, ..TapSettings::default() };
        let mut never_read = attach(&mut bench, small);
        let mut told = [Told::default(), Told::default()];
        let outcome = act(&mut bench, &orders, || {
            told[0].read(&mut reader);
            told[1].read(&mut of_one);
        });
        prop_assert_eq!(&outcome, &without);
        drop(bench);
        told[0].read(&mut reader);
        told[1].read(&mut of_one);
        prop_assert!(reader.has_ended() && of_one.has_ended() && never_read.has_ended());
        (0..PORTS).for_each(|place| check(&told[0], &outcome, place));
        prop_assert_eq!(told[1].names.values().collect::<Vec<_>>(), [&1]);
        check(&told[1], &outcome, 1);
        prop_assert_eq!((told[0].lost, told[1].lost), ([0; PORTS], [0; PORTS]));
        let mut late = Told::default();
        late.read(&mut never_read);
        for place in 0..PORTS {
            let all = told[0].counters[place];
            prop_assert_eq!(all.captured_frames(), all.seen_frames);
            let counters = late.counters[place];
            prop_assert_eq!(counters.seen_frames, all.seen_frames);
            // Those after the last that was told of are in the counters alone.
            prop_assert!(late.lost[place] <= counters.lost_frames);
            let told: usize = late.incoming[place].len() + late.outgoing[place].len();
            let dropped: u64 = late.dropped_out[place].values().sum();
            let most = told as u64 + dropped;
            prop_assert!((told as u64..=most).contains(&counters.captured_frames()));
        }
    }
}

#[test]
fn a_frame_that_no_port_can_receive_is_told_of_by_its_number() {
    let mut bench = Bench::new(&TAKES);
    let (tap, mut reader) = tap(TapSettings::default()).expect("a ring");
    let id = bench.switch().attach_tap(tap, SystemTime::now()).expect("a place");
    for len in [FRAME_MAX_BYTES + 1, FRAME_MAX_BYTES + 2] {
        bench.send(2, [(vec![2; len], Offload::NONE)]);
    }
    bench.steps(2);
    bench.switch().tell_tap_counters(id);
    let mut rejected = Vec::new();
    while let Some(record) = reader.next() {
        if let Record::Rejected { port, reason, frames } = record {
            rejected.push((port, reason, frames));
        }
    }
    assert_eq!(rejected, [(2, DropReason::Oversize, 2)]);
}

#[test]
fn there_is_a_bound_on_taps_and_a_detached_one_makes_room() {
    let mut bench = Bench::new(&TAKES);
    let small = TapSettings { ring_bytes: RING_BYTES_MIN, ..TapSettings::default() };
    let mut attached = Vec::new();
    for _ in 0..TAPS_MAX {
        let (tap, reader) = tap(small.clone()).expect("a ring");
        attached
            .push((bench.switch().attach_tap(tap, SystemTime::now()).expect("a place"), reader));
    }
    let (one_more, _reader) = tap(small).expect("a ring");
    let one_more = bench.switch().attach_tap(one_more, SystemTime::now()).expect_err("too many");
    let (id, mut reader) = attached.swap_remove(3);
    assert!(!reader.has_ended());
    drop(bench.switch().detach_tap(id).expect("it is attached"));
    assert!(reader.has_ended());
    assert!(bench.switch().detach_tap(id).is_none());
    bench.switch().attach_tap(one_more, SystemTime::now()).expect("a place");
    // What is detached is shown nothing more, and all others are.
    bench.send(0, [(addressed(vec![0; 60], station(1), 0), Offload::NONE)]);
    bench.steps(2);
    let frames = |reader: &mut TapReader| {
        let mut frames = 0;
        while let Some(record) = reader.next() {
            frames += usize::from(matches!(record, Record::Frame(_)));
        }
        frames
    };
    assert_eq!(frames(&mut reader), 0);
    assert!(attached.iter_mut().all(|(_, reader)| frames(reader) == 2));
}

/// A capture of a switch that carries nothing for a while still tells its counters when asked.
#[test]
fn counters_are_told_when_asked_for_and_new() {
    let mut bench = Bench::new(&TAKES);
    let (tap, mut reader) = tap(TapSettings::default()).expect("a ring");
    let id = bench.switch().attach_tap(tap, SystemTime::now()).expect("a place");
    bench.send(0, [(addressed(vec![0; 60], station(1), 0), Offload::NONE)]);
    bench.steps(2);
    let mut told = Vec::new();
    for _ in 0..2 {
        bench.switch().tell_tap_counters(id);
        while let Some(record) = reader.next() {
            if let Record::Counters { port, counters, has_ended, .. } = record {
                told.push((port, counters.seen_frames, has_ended));
            }
        }
    }
    assert_eq!(told, [(0, 1, false), (1, 1, false)], "once, and not of silent ports");
}
