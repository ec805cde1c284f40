//! Guests on socketpairs, as Virtualization.framework has them.

use std::time::Duration;

use vswitch::counters::DropReason;
use vswitch::port::xnu::Buffers;
use xnu_sim::{BootOptions, Fault, FaultAction, MacOs};
use xnu_sys::{Errno, Kernel};

use crate::support::{APPLE, Rig, on_every_version};

const MS: Duration = Duration::from_millis(1);

#[test]
fn frames_of_every_size_arrive_in_order() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
        a.announce();
        b.announce();
        rig.run(MS);
        let sizes = [60, 1514, 1518, 2100, 9014, 60, 65_549];
        for (number, len) in (0..).zip(sizes.iter().cycle().take(200)) {
            a.send(&a.frame_to(&b, number, *len)).unwrap();
        }
        rig.run(20 * MS);
        assert_eq!(b.numbers(), (0..200).collect::<Vec<_>>());
        assert_eq!(rig.counters("vm1").pauses, 0);
    });
}

/// Contract §7: a receiver that does not set its buffers has room for 4,096 bytes. The frames wait
/// in the switch and go by a timer: no version tells of the room, or some tell a lie.
#[test]
fn a_full_peer_is_tried_again_and_loses_nothing() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let a = rig.plug(1, APPLE);
        let b = rig.plug(2, Buffers { send_bytes: 2048, receive_bytes: 4096 });
        a.announce();
        b.announce();
        rig.run(MS);
        let _ = b.numbers();
        for number in 0..100 {
            a.send(&a.frame_to(&b, number, 1514)).unwrap();
        }
        let mut numbers = Vec::new();
        for _ in 0..400 {
            rig.run(MS / 4);
            numbers.extend(b.numbers());
        }
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        assert_eq!(rig.report("vm2").queued_frames, 0);
    });
}

/// Contract §7, "Seed vs kernel": a full peer is no reason to spin.
#[test]
fn a_peer_that_never_reads_costs_little_and_holds_up_nobody() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
        let deaf = rig.plug(3, Buffers { send_bytes: 2048, receive_bytes: 4096 });
        a.announce();
        b.announce();
        deaf.announce();
        rig.run(MS);
        for number in 0..50 {
            a.send(&a.frame_to(&deaf, number, 1514)).unwrap();
        }
        rig.run(10 * MS);
        for number in 0..50 {
            a.send(&a.frame_to(&b, number, 1514)).unwrap();
        }
        rig.run(2 * MS);
        assert_eq!(b.numbers(), (0..50).collect::<Vec<_>>(), "whoever reads is served");
        let before = rig.kernel.counters();
        rig.run(1000 * MS);
        let calls = rig.kernel.counters().since(&before).total_calls();
        assert!(calls < 5_000, "{calls} calls in a second for a peer that never reads");
        rig.run(1000 * MS);
        let counters = rig.counters("vm3");
        assert_eq!(rig.report("vm3").queued_frames, 0, "frames do not wait for ever");
        assert!(counters.egress.dropped.of(DropReason::Aged) > 0, "{counters:?}");
    });
}

/// Whether a batch that meets the peer's end gives what it had read before (`recvmsg_x`, since
/// macOS 14; before, those datagrams are lost with the error).
fn keeps_last_words(version: MacOs) -> bool {
    version >= MacOs::V14_0
}

/// Contract C26 and "Seed vs kernel": a dead peer shows by no event; what it sent is passed on
/// first, and the port ends without spinning.
#[test]
fn a_dead_peer_is_noticed_and_what_it_sent_is_passed_on() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
        a.announce();
        b.announce();
        rig.run(MS);
        for number in 0..10 {
            a.send(&a.frame_to(&b, number, 300)).unwrap();
        }
        drop(a);
        rig.run(600 * MS);
        let last_words = b.numbers();
        assert!(last_words == (0..10).collect::<Vec<_>>() || !keeps_last_words(version));
        let before = rig.kernel.counters();
        rig.run(1000 * MS);
        let calls = rig.kernel.counters().since(&before).total_calls();
        assert!(calls < 50, "{calls} calls in a second beside a dead port");
        b.announce();
        rig.run(MS);
        assert_eq!(rig.counters("vm1").egress.dropped.of(DropReason::NoPeer), 1);
    });
}

/// The same when the switch finds out by a write.
#[test]
fn a_peer_that_dies_with_frames_for_it_ends_its_port_alone() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b, c) = (rig.plug(1, APPLE), rig.plug(2, APPLE), rig.plug(3, APPLE));
        a.announce();
        b.announce();
        c.announce();
        rig.run(MS);
        let to_b = a.frame_to(&b, 0, 300);
        for number in 0..5 {
            b.send(&b.frame_to(&c, number, 300)).unwrap();
        }
        drop(b);
        for number in 0..100 {
            a.send(&to_b).unwrap();
            a.send(&a.frame_to(&c, 1000 + number, 300)).unwrap();
        }
        rig.run(10 * MS);
        let numbers = c.numbers();
        let last_words = numbers.iter().filter(|number| **number < 5).count();
        assert!(last_words == 5 || !keeps_last_words(version), "{numbers:?}");
        assert_eq!(numbers.iter().filter(|number| **number >= 1000).count(), 100);
        let counters = rig.counters("vm2");
        assert_eq!(counters.egress.dropped.of(DropReason::NoPeer), 100, "{counters:?}");
    });
}

/// Contract M23: an empty datagram looks like a dead peer until it is read.
#[test]
fn an_empty_datagram_is_a_runt_and_no_end() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
        a.announce();
        b.announce();
        rig.run(MS);
        a.send(&[]).unwrap();
        a.send(&a.frame_to(&b, 7, 100)).unwrap();
        rig.run(MS);
        assert_eq!(b.numbers(), [7]);
        assert_eq!(rig.counters("vm1").ingress.dropped.of(DropReason::Runt), 1);
    });
}

/// A system without the private calls: they are tried once, then each frame goes by a call of its
/// own.
#[test]
fn without_calls_of_many_messages_frames_go_one_by_one() {
    let options = BootOptions { seed: 1, without_message_calls: true, ..BootOptions::default() };
    let mut rig = Rig::with(options);
    let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
    a.announce();
    b.announce();
    rig.run(MS);
    let before = rig.kernel.counters();
    for (number, len) in (0..).zip([60, 1514, 9014, 65_549].iter().cycle().take(100)) {
        a.send(&a.frame_to(&b, number, *len)).unwrap();
    }
    rig.run(20 * MS);
    assert_eq!(b.numbers(), (0..100).collect::<Vec<_>>());
    let counters = rig.kernel.counters().since(&before);
    assert_eq!(counters.of("recvmsg_x") + counters.of("sendmsg_x"), 0, "asked once, not again");
}

/// Contract C24: up to macOS 13 an error after some messages hides how many went. Frames longer
/// than the socket takes never get so far.
#[test]
fn a_frame_longer_than_the_largest_datagram_is_dropped_and_nothing_comes_twice() {
    on_every_version(|version| {
        let mut rig = Rig::new(version);
        let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
        a.announce();
        b.announce();
        rig.run(MS);
        for number in 0..40 {
            a.send(&a.frame_to(&b, number, 1514)).unwrap();
            // No frame, and longer than any.
            a.send(&a.frame_to(&b, 1000 + number, 65_551)).unwrap();
        }
        rig.run(20 * MS);
        assert_eq!(b.numbers(), (0..40).collect::<Vec<_>>());
        assert_eq!(rig.counters("vm1").ingress.dropped.of(DropReason::Oversize), 40);
    });
}

/// Contract §7: a refused buffer size leaves the old one. What is there counts.
#[test]
fn buffers_are_read_back() {
    on_every_version(|version| {
        let rig = Rig::new(version);
        let (near, _far) = rig.kernel.socketpair(1, 2, 0).unwrap();
        let socket = xnu_sys::Descriptor::new(rig.kernel.clone(), near);
        let wanted = Buffers { send_bytes: 8 << 20, receive_bytes: 8 << 20 };
        let granted = vswitch::port::xnu::set_buffers(&socket, wanted).unwrap();
        let bytes = if version >= MacOs::V14_4 { 8 << 20 } else { 4 << 20 };
        assert_eq!(granted, Buffers { send_bytes: bytes, receive_bytes: bytes });
        let asked = socket.option_u32(0xffff, 0x1001).unwrap();
        assert_eq!(asked, granted.send_bytes);
    });
}

/// A passing need of the kernel's is no end.
#[test]
fn errors_that_pass_do_not_end_a_port() {
    let mut rig = Rig::new(MacOs::V15);
    let (a, b) = (rig.plug(1, APPLE), rig.plug(2, APPLE));
    a.announce();
    b.announce();
    rig.run(MS);
    for (call, errno) in [
        ("recvmsg_x", Errno::ENOMEM),
        ("recvmsg_x", Errno::ENOBUFS),
        ("sendmsg_x", Errno::ENOBUFS),
        ("sendmsg_x", Errno::ENOMEM),
    ] {
        let action = FaultAction::Fail(errno);
        rig.kernel.add_fault(Fault { call, object: None, after: 0, times: 1, action });
    }
    a.send(&a.frame_to(&b, 1, 100)).unwrap();
    rig.run(20 * MS);
    assert_eq!(b.numbers(), [1]);
}
