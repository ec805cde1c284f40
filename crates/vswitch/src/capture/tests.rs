//! What a tap tells of what it is shown; how a switch shows it is in `tests/capture.rs`.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::counters::DropReason;
use crate::fabric::PortIndex;
use crate::offload::Offload;
use crate::time::Nanos;

const NAMES: PortNames<'_> =
    PortNames { network: "lan", name: "vm", listener: None, is_trunk: false };
const PORT: PortIndex = PortIndex(3);

fn small() -> TapSettings {
    TapSettings { ring_bytes: RING_BYTES_MIN, ..TapSettings::default() }
}

fn show(tap: &mut Tap, passage: Passage, bytes: &[u8]) {
    tap.show(&Shown { port: PORT, passage, offload: &Offload::NONE, bytes }, Nanos(1005));
}

/// The frames that are told of, with how many were lost before each.
fn frames(reader: &mut TapReader) -> Vec<(usize, u64)> {
    let mut frames = Vec::new();
    while let Some(record) = reader.next() {
        if let Record::Frame(frame) = record {
            frames.push((frame.bytes.len(), frame.lost_before_frames));
        }
    }
    frames
}

#[test]
fn a_ring_has_its_bounds() {
    for asked_bytes in [0, RING_BYTES_MIN - 1, RING_BYTES_MAX + 1, usize::MAX] {
        let settings = TapSettings { ring_bytes: asked_bytes, ..TapSettings::default() };
        assert_eq!(tap(settings).map(drop), Err(RingSizeError { asked_bytes }));
    }
    let (mut tap, mut reader) = tap(small()).expect("the smallest");
    tap.add_port(PORT, &NAMES, Nanos(0));
    show(&mut tap, Passage::IN, &vec![1; crate::FRAME_MAX_BYTES]);
    assert_eq!(frames(&mut reader), [(crate::FRAME_MAX_BYTES, 0)], "any frame fits");
}

#[test]
fn a_frame_is_told_of_after_its_port_with_the_time_of_the_wall() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    tap.set_clock(Nanos(1000), UNIX_EPOCH + Duration::from_secs(7));
    tap.add_port(PORT, &NAMES, Nanos(1001));
    show(&mut tap, Passage::dropped_out(DropReason::QueueFull, 45), b"0123456789abcd");
    assert_eq!(reader.next_time(), Some(7_000_000_001));
    let port = Record::Port { port: 0, network: "lan", name: "vm" };
    assert_eq!(reader.next(), Some(port));
    let Some(Record::Frame(frame)) = reader.next() else { panic!("a frame") };
    let expected = CapturedFrame {
        port: 0,
        time_ns: 7_000_000_005,
        direction: Direction::Out,
        dropped: Some(DropReason::QueueFull),
        frames: 45,
        offload: Offload::NONE,
        len_bytes: 14,
        bytes: b"0123456789abcd",
        lost_before_frames: 0,
    };
    assert_eq!(frame, expected);
    assert_eq!(reader.next(), None);
}

#[test]
fn a_full_ring_loses_frames_and_says_how_many() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    tap.add_port(PORT, &NAMES, Nanos(0));
    let shown = 1000;
    for _ in 0..shown {
        show(&mut tap, Passage::IN, &[7; 1500]);
    }
    let told = frames(&mut reader);
    assert!(told.iter().all(|frame| *frame == (1500, 0)));
    let lost = shown - told.len() as u64;
    assert!(lost > 0);
    show(&mut tap, Passage::IN, &[7; 60]);
    show(&mut tap, Passage::IN, &[7; 60]);
    assert_eq!(frames(&mut reader), [(60, lost), (60, 0)]);
    tap.end(Nanos(2000));
    let counters =
        TapCounters { seen_frames: shown + 2, accepted_frames: shown + 2, lost_frames: lost };
    let last = Record::Counters { port: 0, time_ns: 2000, counters, has_ended: true };
    assert!(reader.has_ended());
    assert_eq!(reader.next(), Some(last));
    assert_eq!(reader.next(), None);
}

/// Counters and ports are told of even when the ring is full of frames.
#[test]
fn a_full_ring_has_room_for_what_is_said_of_ports() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    tap.add_port(PORT, &NAMES, Nanos(0));
    for _ in 0..10_000 {
        show(&mut tap, Passage::IN, &[7; 60]);
    }
    for place in 10..74 {
        tap.add_port(PortIndex(place), &NAMES, Nanos(0));
    }
    tap.tell_counters(Nanos(1));
    drop(tap);
    let (mut ports, mut told, mut ended) = (0, 0, 0);
    while let Some(record) = reader.next() {
        match record {
            Record::Port { .. } => ports += 1,
            Record::Counters { has_ended: false, .. } => told += 1,
            Record::Counters { has_ended: true, .. } => ended += 1,
            _ => {}
        }
    }
    assert_eq!((ports, told, ended), (65, 1, 65), "of the others there was nothing new");
}

#[test]
fn a_tap_is_told_of_its_network_and_its_port_only() {
    let of = |network: Option<&str>, port: Option<&str>| {
        let settings = TapSettings {
            network: network.map(str::to_owned),
            port: port.map(str::to_owned),
            ..small()
        };
        let (mut tap, mut reader) = tap(settings).expect("a ring");
        let clients = PortNames { name: "qemu.7", listener: Some("qemu"), ..NAMES };
        let elsewhere = PortNames { network: "dmz", ..NAMES };
        let all = [NAMES, clients, elsewhere, PortNames { name: "vm2", ..NAMES }];
        for (place, names) in all.iter().enumerate() {
            tap.add_port(PortIndex(u16::try_from(place).unwrap()), names, Nanos(0));
        }
        let mut told = Vec::new();
        while let Some(Record::Port { network, name, .. }) = reader.next() {
            told.push(format!("{network}/{name}"));
        }
        told.join(" ")
    };
    assert_eq!(of(None, None), "lan/vm lan/qemu.7 dmz/vm lan/vm2");
    assert_eq!(of(Some("lan"), None), "lan/vm lan/qemu.7 lan/vm2");
    assert_eq!(of(None, Some("vm")), "lan/vm dmz/vm");
    assert_eq!(of(Some("dmz"), Some("vm")), "dmz/vm");
    assert_eq!(of(None, Some("qemu")), "lan/qemu.7");
    assert_eq!(of(None, Some("qemu.7")), "lan/qemu.7");
    assert_eq!(of(None, Some("uplink")), "");
}

#[test]
fn a_trunk_is_told_of_where_it_drops() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    tap.add_port(PORT, &PortNames { is_trunk: true, ..NAMES }, Nanos(0));
    show(&mut tap, Passage::IN, &[1; 60]);
    show(&mut tap, Passage::OUT, &[2; 60]);
    assert_eq!(reader.next(), None);
    show(&mut tap, Passage::dropped_out(DropReason::QueueFull, 1), &[3; 61]);
    assert!(matches!(reader.next(), Some(Record::Port { .. })));
    assert_eq!(frames(&mut reader), [(61, 0)]);
}

#[test]
fn a_filter_and_a_snap_length_cut() {
    for (snap_bytes, filter, kept) in
        [(0, "ret #-1", 100), (64, "ret #-1", 64), (64, "ret #20", 20), (9, "ret #20", 9)]
    {
        let filter = Some(filter.parse().expect("a filter"));
        let (mut tap, mut reader) =
            tap(TapSettings { snap_bytes, filter, ..small() }).expect("a ring");
        tap.add_port(PORT, &NAMES, Nanos(0));
        show(&mut tap, Passage::IN, &[1; 100]);
        assert_eq!(frames(&mut reader), [(kept, 0)]);
    }
    let filter = Some("ret #0".parse().expect("a filter"));
    let (mut tap, mut reader) = tap(TapSettings { filter, ..small() }).expect("a ring");
    tap.add_port(PORT, &NAMES, Nanos(0));
    show(&mut tap, Passage::IN, &[1; 100]);
    tap.tell_counters(Nanos(0));
    reader.next();
    let Some(Record::Counters { counters, .. }) = reader.next() else { panic!("counters") };
    let seen = TapCounters { seen_frames: 1, ..TapCounters::default() };
    assert_eq!(counters, seen, "and not accepted");
}

#[test]
fn a_port_at_the_place_of_another_is_another() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    tap.add_port(PORT, &NAMES, Nanos(0));
    tap.remove_port(PORT, Nanos(0));
    show(&mut tap, Passage::IN, &[1; 60]);
    tap.add_port(PORT, &NAMES, Nanos(0));
    show(&mut tap, Passage::IN, &[2; 60]);
    let mut told = Vec::new();
    while let Some(record) = reader.next() {
        told.push(match record {
            Record::Port { port, .. } => ("port", port),
            Record::Frame(frame) => ("frame", frame.port),
            Record::Counters { port, has_ended: true, .. } => ("end", port),
            _ => panic!("{record:?}"),
        });
    }
    assert_eq!(told, [("port", 0), ("end", 0), ("port", 1), ("frame", 1)]);
}

#[test]
fn long_names_are_cut_between_letters() {
    let (mut tap, mut reader) = tap(small()).expect("a ring");
    let long = "ä".repeat(1000);
    tap.add_port(PORT, &PortNames { name: &long, network: "x", ..NAMES }, Nanos(0));
    let Some(Record::Port { name, .. }) = reader.next() else { panic!("a port") };
    assert_eq!(name, "ä".repeat(512));
}
