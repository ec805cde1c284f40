//! What is the ring's own: slots, frames that are longer, and a ring that is blocked.

#[path = "../common/mod.rs"]
mod common;
mod tap;

use afpacket::{NotByRing, Options, Outgoing, PacketSocket, ReceiveError, VnetHdr};
use common::{
    LIMIT, MTU_MAX, TYPE_TEST, assert_silent, frame, ip, open_with, pair, receive, receive_all,
    send_all,
};

/// Frames of every length, some in slots and some as messages, come in the order in which they were
/// sent; several times as many as there are slots.
#[test]
fn frames_of_all_lengths_stay_in_order() {
    if !pair(1500) {
        return;
    }
    let mut other = by_ring("v1", 32, 4 << 20);
    for end in ["v0", "v1"] {
        ip(&format!("link set {end} mtu {MTU_MAX}"));
    }
    let mut one = common::big("v0");
    let slots = other.by_ring().expect("a ring");
    assert!((32..=64).contains(&slots), "{slots} slots");
    let lengths = (14..2100).chain([9014, 9300, 65_535, 60, 60, 65_549, 1519, 1518]);
    let frames: Vec<Vec<u8>> =
        lengths.zip(1..).map(|(length, seed)| frame(length, TYPE_TEST, seed)).collect();
    for some in frames.chunks(slots / 2 + 3) {
        send_all(&mut one, some);
        for (sent, got) in some.iter().zip(receive_all(&mut other, some.len())) {
            assert!(got.bytes == *sent, "{} bytes: {} came", sent.len(), got.bytes.len());
            assert_eq!((got.wire_len, got.truncated), (sent.len(), false));
        }
    }
    let counted = other.statistics().expect("count");
    assert_eq!((counted.passed, counted.dropped), (frames.len() as u64, 0));
}

#[test]
fn full_ring_keeps_the_first_and_counts_the_rest() {
    if !pair(1500) {
        return;
    }
    let (mut one, mut other) = (common::open("v0"), by_ring("v1", 32, 4 << 20));
    let slots = other.by_ring().expect("a ring");
    for round in 0..3_u64 {
        let frames: Vec<_> = (0..200).map(|n| frame(100, TYPE_TEST, 1000 * round + n)).collect();
        send_all(&mut one, &frames);
        let passed = 200 * (round + 1);
        let all = || other.statistics().expect("count").passed == passed;
        assert!(testkit::wait_until(LIMIT, all));
        let received = receive_all(&mut other, slots);
        assert!(received.iter().zip(&frames).all(|(got, sent)| got.bytes == *sent));
        assert_silent(&mut other);
        let counted = other.statistics().expect("count");
        assert_eq!(counted.dropped, (round + 1) * (200 - slots as u64));
        other.upkeep();
        other.upkeep();
    }
    for passed in [650, 700, 750] {
        send_all(&mut one, &vec![frame(60, TYPE_TEST, 1); 50]);
        let all = || other.statistics().expect("count").passed == passed;
        assert!(testkit::wait_until(LIMIT, all));
    }
    assert!(other.by_ring().is_ok(), "a full ring is not a blocked one");
}

/// Longer frames wait in the receive buffer; where that is full, they are lost and counted, and
/// those behind them come.
#[test]
fn longer_frames_without_room_are_lost_alone() {
    if !pair(1500) {
        return;
    }
    let mut other = by_ring("v1", 32, 16 << 10);
    for end in ["v0", "v1"] {
        ip(&format!("link set {end} mtu {MTU_MAX}"));
    }
    let mut one = common::big("v0");
    let mut frames: Vec<_> = (0..8).map(|n| frame(20_000, TYPE_TEST, n)).collect();
    frames.extend((8..16).map(|n| frame(1000, TYPE_TEST, n)));
    send_all(&mut one, &frames);
    assert!(testkit::wait_until(LIMIT, || other.statistics().expect("count").passed == 16));
    let mut received = Vec::new();
    while let Ok(more) = receive(&mut other, 4) {
        received.extend(more);
    }
    let long = received.len() - 8;
    assert!((1..8).contains(&long), "{long} longer frames");
    let kept = frames[..long].iter().chain(&frames[8..]);
    assert!(received.iter().zip(kept).all(|(got, sent)| got.bytes == *sent));
    let counted = other.statistics().expect("count");
    assert_eq!((counted.passed, counted.dropped), (16, 8 - long as u64));
    assert_silent(&mut other);
}

/// A frame that no virtio-net header can express stops Linux's ring for good; the socket then does
/// without. Here it is a datagram that the host's stack is to cut into fragments (UFO), as a guest
/// at a TAP may send it.
#[test]
fn blocked_ring_is_given_up() {
    if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
        return;
    }
    let Some(mut tap) = tap::Tap::plug_in("tap0") else { return };
    let options = Options { vnet_hdr: true, ..options(32, 4 << 20) };
    let mut socket = open_with("tap0", &options);
    let plain = frame(100, TYPE_TEST, 1);
    let send = |tap: &mut tap::Tap, count: usize| {
        (0..count).for_each(|_| tap.send(VnetHdr::default(), &plain));
    };
    send(&mut tap, 3);
    assert_eq!(receive_all(&mut socket, 3)[2].bytes, plain);
    socket.upkeep();
    tap.send(tap::UFO, &tap::datagram(3000));
    send(&mut tap, 5);
    assert!(testkit::wait_until(LIMIT, || socket.statistics().expect("count").passed >= 9));
    assert!(matches!(receive(&mut socket, 4), Err(ReceiveError::WouldBlock)), "not blocked");
    socket.upkeep();
    assert!(matches!(socket.by_ring(), Err(NotByRing::Blocked)), "{:?}", socket.by_ring());
    send(&mut tap, 2);
    assert_eq!(receive_all(&mut socket, 2)[1].bytes, plain);
    // As a message it is lost alone.
    tap.send(tap::UFO, &tap::datagram(3000));
    send(&mut tap, 1);
    let mut told = Vec::new();
    let all = testkit::wait_until(LIMIT, || {
        match receive(&mut socket, 4) {
            Ok(frames) => told.extend(frames.iter().map(|frame| frame.bytes == plain)),
            Err(ReceiveError::Inexpressible) => told.push(false),
            Err(ReceiveError::WouldBlock) => {}
            Err(error) => panic!("{error}"),
        }
        told.len() == 2
    });
    assert!(all && told == [false, true], "{told:?}");
}

#[test]
fn not_asked_for_is_said() {
    if !pair(1500) {
        return;
    }
    let socket = PacketSocket::open("v1", &[], &Options::default()).expect("open");
    assert!(matches!(socket.by_ring(), Err(NotByRing::NotAsked)));
    let refused = by_ring("v1", usize::MAX >> 20, 1 << 20);
    let Err(NotByRing::Call { call, .. }) = refused.by_ring() else { panic!("{refused:?}") };
    assert_eq!(*call, "setsockopt PACKET_RX_RING");
    let (mut one, mut other) = (common::open("v0"), refused);
    send_all(&mut one, &[frame(60, TYPE_TEST, 1)]);
    assert_eq!(receive_all(&mut other, 1).len(), 1, "as a message");
    let outgoing = frame(60, TYPE_TEST, 2);
    assert!(matches!(other.send(&[Outgoing::new(&outgoing)]), (1, None)));
}

fn by_ring(interface: &str, slots: usize, receive_buffer_bytes: usize) -> PacketSocket {
    open_with(interface, &options(slots, receive_buffer_bytes))
}

fn options(slots: usize, receive_buffer_bytes: usize) -> Options {
    Options {
        receive_ring_slots: Some(slots),
        receive_buffer_bytes: Some(receive_buffer_bytes),
        ..Options::default()
    }
}
