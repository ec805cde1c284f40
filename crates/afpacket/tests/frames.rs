//! Frames over a veth pair: whole, in order, with their tags, and only those that should come.
#![cfg(target_os = "linux")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use afpacket::{
    BATCH_MAX, Error, FilterWord, Options, Outgoing, PacketSocket, ReceiveError, SendError, Slot,
};
use common::{
    MTU_MAX, REJECT_ALL, TYPE_TEST, assert_silent, big, frame, only_type, open, open_filtered,
    open_with, pair, receive, receive_all, send_all,
};

/// Longest frames of a veth at its greatest MTU, without and with a tag.
const LONGEST: usize = MTU_MAX as usize + 14;
const LONGEST_TAGGED: usize = LONGEST + 4;

#[test]
fn every_size_arrives_whole_both_ways() {
    if !pair(MTU_MAX) {
        return;
    }
    let (mut one, mut other) = (big("v0"), big("v1"));
    // 2044 and 2045: the last that fits the slot's buffer behind its headroom, the first to spill.
    let sizes = [14, 15, 59, 60, 61, 1514, 1518, 2043, 2044, 2045, 9014, 65_535, LONGEST];
    let frames: Vec<Vec<u8>> =
        sizes.iter().zip(1..).map(|(size, seed)| frame(*size, TYPE_TEST, seed)).collect();
    for (from, to) in [(0, 1), (1, 0)] {
        let ends = [&mut one, &mut other];
        send_all(ends[from], &frames);
        let received = receive_all(ends[to], frames.len());
        for (sent, got) in frames.iter().zip(&received) {
            assert!(got.bytes == *sent, "a frame of {} bytes came changed", sent.len());
            assert_eq!((got.wire_len, got.truncated), (sent.len(), false));
            assert!(got.vnet.is_finished());
        }
    }
}

#[test]
fn tags_are_put_back() {
    if !pair(MTU_MAX) {
        return;
    }
    let (mut one, mut other) = (big("v0"), big("v1"));
    let tagged = |tags: &[[u16; 2]], length: usize| {
        let mut bytes = frame(length - 4 * tags.len(), TYPE_TEST, 7);
        let tags = tags.iter().flatten().flat_map(|word| word.to_be_bytes());
        bytes.splice(12..12, tags);
        bytes
    };
    let single = [[0x8100, 42]];
    let frames = [
        tagged(&single, 60),
        tagged(&[[0x8100, 0]], 100),
        tagged(&[[0x8100, 0xe000]], 100),
        tagged(&[[0x8100, 0xffff]], 1518),
        tagged(&[[0x88a8, 100], [0x8100, 200]], 1522),
        tagged(&[[0x8100, 1], [0x8100, 2], [0x8100, 3]], 200),
        tagged(&[[0x88a8, 5]], 64),
        tagged(&single, 20), // the shortest: a tag needs two more bytes behind its own type
        tagged(&single, 2047),
        tagged(&single, 2048),
        tagged(&single, 2049),
        tagged(&single, 65_550),
        tagged(&single, LONGEST_TAGGED),
    ];
    send_all(&mut one, &frames);
    for (sent, got) in frames.iter().zip(receive_all(&mut other, frames.len())) {
        assert!(got.bytes == *sent, "sent {:02x?}, got {:02x?}", &sent[..18], &got.bytes[..18]);
        assert_eq!((got.wire_len, got.truncated), (sent.len(), false));
    }
}

#[test]
fn own_frames_are_not_received() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    let mut second = open("v0");
    send_all(&mut one, &[frame(60, TYPE_TEST, 1)]);
    receive_all(&mut other, 1);
    assert_silent(&mut one);
    assert_silent(&mut second);
}

#[test]
fn batches_keep_their_order() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    let frames: Vec<Vec<u8>> =
        (0..2 * BATCH_MAX as u64 + 3).map(|seed| frame(60, TYPE_TEST, seed)).collect();
    send_all(&mut one, &frames);
    let mut received = Vec::new();
    while received.len() < frames.len() {
        let batch = receive(&mut other, 200).expect("receive");
        assert!(batch.len() <= BATCH_MAX);
        received.extend(batch.into_iter().map(|frame| frame.bytes));
    }
    assert_eq!(received, frames);
    assert_eq!(other.receive(&mut []).expect("no slots"), 0);
    assert_silent(&mut other);
}

#[test]
fn frame_over_the_slot_is_said_to_be_truncated() {
    if !pair(9000) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    let mut tagged = frame(300, TYPE_TEST, 3);
    tagged.splice(12..12, [0x81, 0, 0, 9]);
    let whole = frame(100, TYPE_TEST, 4);
    send_all(
        &mut one,
        &[frame(201, TYPE_TEST, 1), frame(200, TYPE_TEST, 2), tagged.clone(), whole.clone()],
    );
    assert!(testkit::wait_until(common::LIMIT, || other.statistics().expect("count").passed == 4));

    let (mut buffers, mut spills) = ([[0; 104]; 4], [[0; 100]; 4]);
    let mut slots: Vec<Slot<'_>> = buffers
        .iter_mut()
        .zip(&mut spills)
        .map(|(buffer, spill)| Slot::new(buffer).with_spill(spill))
        .collect();
    assert_eq!(other.receive(&mut slots).expect("receive"), 4);
    let told: Vec<_> =
        slots.iter().map(|s| (s.frame_len(), s.wire_len(), s.is_truncated())).collect();
    assert_eq!(told, [(200, 201, true), (200, 200, false), (204, 304, true), (100, 100, false)]);
    assert_eq!([slots[2].head(), slots[2].tail()].concat(), tagged[..204]);
    assert_eq!((slots[3].head(), slots[3].tail()), (whole.as_slice(), [].as_slice()));
}

#[test]
fn frame_over_the_mtu_is_refused_and_the_rest_goes() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (open("v0"), open("v1"));
    let frames = [
        frame(1514, TYPE_TEST, 1),
        frame(1519, TYPE_TEST, 2),
        vec![0; 13],
        frame(60, TYPE_TEST, 3),
    ];
    let outgoing: Vec<Outgoing<'_>> = frames.iter().map(|frame| Outgoing::new(frame)).collect();
    assert!(matches!(one.send(&outgoing), (1, Some(SendError::TooBig))));
    assert!(matches!(one.send(&outgoing[2..]), (0, Some(SendError::Invalid))));
    assert!(matches!(one.send(&outgoing[3..]), (1, None)));
    assert!(matches!(one.send(&[]), (0, None)));
    let sizes: Vec<usize> =
        receive_all(&mut other, 2).iter().map(|frame| frame.bytes.len()).collect();
    assert_eq!(sizes, [1514, 60]);
    assert_silent(&mut other);
}

#[test]
fn full_send_buffer_blocks_and_full_queue_loses() {
    if !testkit::tool_or_skip("tc", "iproute2") || !pair(1500) {
        return;
    }
    // A shaper that lets one burst through and then next to nothing, so frames stay queued.
    testkit::command::output("tc", "qdisc add dev v0 root tbf rate 1kbit burst 2000 limit 1000000");
    let options = Options { send_buffer_bytes: Some(16 * 1024), ..Options::default() };
    let mut one = open_with("v0", &options);
    let frames = vec![frame(1000, TYPE_TEST, 1); 100];
    let outgoing: Vec<Outgoing<'_>> = frames.iter().map(|frame| Outgoing::new(frame)).collect();
    let (taken, why_not) = one.send(&outgoing);
    assert!((1..100).contains(&taken), "{taken} taken");
    assert!(matches!(why_not, Some(SendError::WouldBlock)), "{why_not:?}");

    testkit::command::output("tc", "qdisc del dev v0 root");
    testkit::command::output("tc", "qdisc add dev v0 root tbf rate 1kbit burst 2000 limit 3000");
    let (taken, why_not) = open("v0").send(&outgoing);
    assert!((1..100).contains(&taken), "{taken} taken");
    assert!(matches!(why_not, Some(SendError::Lost)), "{why_not:?}");
}

#[test]
fn filter_accepts_what_it_says_and_can_be_replaced() {
    if !pair(1500) {
        return;
    }
    let mut one = open("v0");
    let mut other = open_filtered("v1", &only_type(0x0800, u32::MAX), &Options::default());
    let frames = [frame(60, TYPE_TEST, 1), frame(61, 0x0800, 2), frame(62, TYPE_TEST, 3)];
    let mut sizes = |socket: &mut PacketSocket| -> Vec<usize> {
        send_all(&mut one, &frames);
        std::thread::sleep(std::time::Duration::from_millis(50));
        receive(socket, 8).unwrap_or_default().iter().map(|frame| frame.wire_len).collect()
    };
    assert_eq!(sizes(&mut other), [61]);
    other.set_filter(&only_type(TYPE_TEST, u32::MAX)).expect("replace");
    assert_eq!(sizes(&mut other), [60, 62]);
    other.set_filter(REJECT_ALL).expect("replace");
    assert_eq!(sizes(&mut other), [0; 0]);
    other.set_filter(&[]).expect("take away");
    assert_eq!(sizes(&mut other), [60, 61, 62]);
    other.set_filter(&[]).expect("take away what is not there");
    assert_eq!(sizes(&mut other), [60, 61, 62]);

    let jump_out = [FilterWord { code: 0x05, jt: 0, jf: 0, k: 9 }];
    let refused = other.set_filter(&jump_out).expect_err("a jump out of the program");
    assert!(matches!(refused, Error::Filter { length: 1, .. }), "{refused}");
    let long = vec![REJECT_ALL[0]; 4097];
    let refused = other.set_filter(&long).expect_err("a program too long");
    assert!(matches!(refused, Error::FilterTooLong { length: 4097 }), "{refused}");
    assert_eq!(sizes(&mut other), [60, 61, 62], "the old filter stays");
}

#[test]
fn filter_that_keeps_less_than_the_frame_truncates_it() {
    if !pair(1500) {
        return;
    }
    let mut one = open("v0");
    let mut other = open_filtered("v1", &only_type(TYPE_TEST, 40), &Options::default());
    let mut tagged = frame(60, TYPE_TEST, 2);
    tagged.splice(12..12, [0x81, 0, 0, 9]);
    send_all(&mut one, &[frame(60, TYPE_TEST, 1), tagged]);
    let received = receive_all(&mut other, 2);
    let told: Vec<_> = received.iter().map(|f| (f.bytes.len(), f.wire_len, f.truncated)).collect();
    assert_eq!(told, [(40, 60, true), (44, 64, true)]);

    let addresses_cut = FilterWord { code: 0x06, jt: 0, jf: 0, k: 9 };
    other.set_filter(&[addresses_cut]).expect("replace");
    send_all(&mut one, &[frame(60, 0x8100, 3)]);
    let cut = receive_all(&mut other, 1).remove(0);
    assert!(cut.truncated && cut.bytes.len() == 9, "{cut:?}");
}

#[test]
fn no_frame_comes_in_before_the_filter() {
    if !pair(1500) {
        return;
    }
    let mut one = open("v0");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flood = vec![frame(60, TYPE_TEST, 1); BATCH_MAX];
            while !stop.load(Ordering::Relaxed) {
                send_all(&mut one, &flood);
            }
        });
        for _ in 0..100 {
            let mut socket = open_filtered("v1", REJECT_ALL, &Options::default());
            let result = receive(&mut socket, 4);
            if !matches!(result, Err(ReceiveError::WouldBlock)) {
                stop.store(true, Ordering::Relaxed);
                panic!("received past the filter: {result:?}");
            }
        }
        let passed = || {
            let mut socket = open("v1");
            testkit::wait_until(common::LIMIT, || receive(&mut socket, 1).is_ok())
        };
        let flows = passed();
        stop.store(true, Ordering::Relaxed);
        assert!(flows, "the flood was no flood");
    });
}

#[test]
fn statistics_count_what_passed_and_what_was_dropped() {
    if !pair(1500) {
        return;
    }
    let options = Options { receive_buffer_bytes: Some(64 * 1024), ..Options::default() };
    let mut one = open("v0");
    let mut other = open_filtered("v1", &only_type(TYPE_TEST, u32::MAX), &options);
    for (round, total) in [(1000_u64, 1000_u64), (500, 1500)] {
        let frames = vec![frame(1000, TYPE_TEST, 1); usize::try_from(round).expect("small")];
        send_all(&mut one, &frames);
        send_all(&mut one, &[frame(60, 0x0800, 2)]);
        assert!(
            testkit::wait_until(common::LIMIT, || {
                other.statistics().expect("count").passed >= total
            }),
            "{:?}",
            other.statistics()
        );
    }
    let waiting = std::iter::from_fn(|| receive(&mut other, 16).ok()).map(|b| b.len() as u64);
    let received: u64 = waiting.sum();
    let counted = other.statistics().expect("count");
    assert_eq!(counted.passed, 1500);
    assert_eq!(counted.passed - counted.dropped, received);
    assert!(counted.dropped > 500 && received > 10, "{counted:?}, {received} received");
}
