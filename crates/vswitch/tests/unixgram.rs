//! `unixgram:PATH` on real sockets, each peer as QEMU or vfkit behaves.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::peers::{Finish, qemu, receive, vfkit};
use common::{Running, frame, station};
use vswitch::port::linux::UnixgramPort;
use vswitch::port::unix::Access;

fn start(dir: &std::path::Path) -> Running {
    Running::start(|switch, network| {
        for name in ["a", "b"] {
            let port = UnixgramPort::bind(&dir.join(name), Access::default()).unwrap();
            common::add(switch, network, name, Box::new(port));
        }
    })
}

#[test]
fn the_handshake_is_consumed_and_any_other_first_datagram_is_a_frame() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let b = qemu(dir.path(), "b.vm");
    let hello = frame(station(1), station(2), 60, 1);
    b.send_to(&hello, dir.path().join("b")).unwrap();
    assert_eq!(receive(&a), hello, "B's first datagram was a frame and came through");
    let answer = frame(station(2), station(1), 1514, 2);
    a.send(&answer).unwrap();
    assert_eq!(receive(&b), answer);
    let report = running.stop();
    assert_eq!(report.ports[0].counters.ingress.received_frames, 1, "the handshake is no frame");
    common::assert_balanced(&report);
}

#[test]
fn every_size_passes_and_what_is_none_is_counted() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let b = vfkit(dir.path(), "b.vm", "b");
    b.send(&frame(station(1), station(2), 60, 0)).unwrap();
    assert_eq!(receive(&a).len(), 60);
    for (n, size) in (1..)
        .zip([14, 15, 59, 60, 64, 1514, 1518, 2095, 2096, 2097, 9014, 9264, 9265, 65_549, 65_550])
    {
        let sent = frame(station(2), station(1), size, n);
        a.send(&sent).unwrap();
        assert_eq!(receive(&b), sent, "{size} bytes");
    }
    for size in [0, 1, 13, 65_551, 66_000] {
        a.send(&vec![2; size]).unwrap();
    }
    let after = frame(station(2), station(1), 100, 99);
    a.send(&after).unwrap();
    assert_eq!(receive(&b), after);
    let report = running.stop();
    let dropped = report.ports[0].counters.ingress.dropped;
    assert_eq!(dropped.of(vswitch::counters::DropReason::Runt), 3);
    assert_eq!(dropped.of(vswitch::counters::DropReason::Oversize), 2);
    common::assert_balanced(&report);
}

#[test]
fn a_peer_that_goes_and_comes_back_is_taken_again() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let b = qemu(dir.path(), "b.vm");
    let to_b = |n| frame(station(2), station(1), 100, n);
    b.send_to(&frame(station(1), station(2), 60, 0), dir.path().join("b")).unwrap();
    receive(&a);
    // On the same path, and silent: the switch finds it without hearing from it.
    drop(b);
    let b = qemu(dir.path(), "b.vm");
    std::thread::sleep(Duration::from_millis(600));
    a.send(&to_b(1)).unwrap();
    assert_eq!(receive(&b), to_b(1));
    // On a new path, nobody sending to it meanwhile: its own first frame is taken within a second.
    drop(b);
    std::fs::remove_file(dir.path().join("b.vm")).unwrap();
    let b = qemu(dir.path(), "b.other");
    let hello = frame(station(1), station(2), 60, 7);
    let taken = testkit::wait_until(Duration::from_secs(1), || {
        b.send_to(&hello, dir.path().join("b")).is_ok()
    });
    assert!(taken, "the new VM is let in within a second");
    assert_eq!(receive(&a), hello);
    a.send(&to_b(2)).unwrap();
    assert_eq!(receive(&b), to_b(2));
    common::assert_balanced(&running.stop());
}

#[test]
fn a_new_switch_is_found_by_a_peer_that_kept_running() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let (a, b) = (qemu(dir.path(), "a.vm"), qemu(dir.path(), "b.vm"));
    let send = |from: &UnixDatagram, port: &str, frame: &[u8]| {
        testkit::wait_until(Duration::from_secs(2), || {
            from.send_to(frame, dir.path().join(port)).is_ok()
        })
    };
    assert!(send(&b, "b", &frame(station(1), station(2), 60, 0)));
    assert!(send(&a, "a", &frame(station(2), station(1), 60, 0)));
    receive(&b);
    drop(running);
    let running = start(dir.path());
    assert!(send(&b, "b", &frame(station(1), station(2), 60, 1)));
    let answer = frame(station(2), station(1), 60, 2);
    assert!(send(&a, "a", &answer));
    assert_eq!(receive(&b), answer);
    common::assert_balanced(&running.stop());
}

/// A killed switch leaves a record of its peer; here it is put back after a clean end, which
/// removes it.
#[test]
fn a_silent_peer_is_found_again_after_the_switch_was_killed() {
    let dir = testkit::scratch_dir();
    let record = dir.path().join("b.peer");
    let running = start(dir.path());
    let (a, b) = (qemu(dir.path(), "a.vm"), qemu(dir.path(), "b.vm"));
    let hello = frame(station(1), station(2), 60, 0);
    b.send_to(&hello, dir.path().join("b")).unwrap();
    let learnt = testkit::wait_until(Duration::from_secs(2), || record.is_symlink());
    assert!(learnt, "the peer is recorded");
    assert_eq!(std::fs::read_link(&record).unwrap(), dir.path().join("b.vm"));
    drop(running);
    assert!(!record.is_symlink(), "nothing is left after a clean end");
    std::os::unix::fs::symlink(dir.path().join("b.vm"), &record).unwrap();
    let running = start(dir.path());
    // B says nothing, and is reached by A's very first frame.
    std::thread::sleep(Duration::from_millis(50));
    let first = frame(station(2), station(1), 60, 1);
    a.send_to(&first, dir.path().join("a")).unwrap();
    assert_eq!(receive(&b), first);
    common::assert_balanced(&running.stop());
}

#[test]
fn what_a_peer_said_before_it_went_is_passed_on() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    for n in 0..20 {
        let last_words = frame(station(1), station(2), 60, n);
        let sent = testkit::wait_until(Duration::from_secs(2), || {
            // Gone before the switch can have looked, as often as not.
            qemu(dir.path(), "b.vm").send_to(&last_words, dir.path().join("b")).is_ok()
        });
        assert!(sent, "let in");
        assert_eq!(receive(&a), last_words);
    }
    common::assert_balanced(&running.stop());
}

#[test]
fn a_sender_without_an_address_is_counted_and_harms_nobody() {
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let nameless = UnixDatagram::unbound().unwrap();
    nameless.connect(dir.path().join("a")).unwrap();
    for n in 0..5 {
        nameless.send(&frame(station(2), station(9), 60, n)).unwrap();
    }
    let a = vfkit(dir.path(), "a.vm", "a");
    let b = vfkit(dir.path(), "b.vm", "b");
    std::thread::sleep(Duration::from_millis(50));
    let sent = frame(station(2), station(1), 60, 9);
    a.send(&sent).unwrap();
    assert_eq!(receive(&b), sent);
    let report = running.stop();
    let dropped = report.ports[0].counters.ingress.dropped;
    assert_eq!(dropped.of(vswitch::counters::DropReason::NoAddress), 5);
}

/// On a busy machine the reader may be without a processor for more than the 2 ms after which it
/// counts as stalled, so an attempt may lose frames; but only so, counted so, and not every time.
#[test]
fn a_fast_sender_is_slowed_by_a_slower_reader_and_loses_nothing() {
    for kind in [Reader::Qemu, Reader::Vfkit] {
        let mut attempts = Vec::new();
        let lossless = (0..40).any(|_| {
            let (lost, pauses) = fast_to_slow(kind);
            attempts.push((lost, pauses));
            lost == 0 && pauses > 0
        });
        assert!(lossless, "{kind:?}: (lost, pauses) in each attempt: {attempts:?}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Reader {
    /// Eleven frames in its queue, then it is full.
    Qemu,
    /// Connected: it is full when the switch's buffer is, and the kernel tells of room only when
    /// three quarters of that are free.
    Vfkit,
}

/// Sends as fast as can be to a slower reader. How many frames were lost, and how often the sender
/// was paused.
fn fast_to_slow(reader: Reader) -> (u64, u64) {
    const FRAMES: u64 = 20_000;
    let dir = testkit::scratch_dir();
    let running = start(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let b = match reader {
        Reader::Qemu => qemu(dir.path(), "b.vm"),
        Reader::Vfkit => vfkit(dir.path(), "b.vm", "b"),
    };
    b.send_to(&frame(station(1), station(2), 60, 0), dir.path().join("b")).unwrap();
    receive(&a);
    let (done, ends) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut next, mut lost) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..FRAMES {
                a.send(&frame(station(2), station(1), 200, n)).unwrap();
            }
            // Should the last one be lost, the next ends the reader.
            while !done.load(Ordering::Relaxed) {
                a.send(&frame(station(2), station(1), 60, FRAMES)).unwrap();
                ends.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _finish = Finish(&done);
        while next < FRAMES {
            if matches!(reader, Reader::Vfkit) && next.is_multiple_of(16) {
                std::thread::sleep(Duration::from_micros(300));
            }
            let number = common::number(&receive(&b));
            assert!(number >= next, "out of order, or twice");
            lost += number - next;
            next = number + 1;
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    let dropped = report.ports[1].counters.egress.dropped;
    // Those that end the reader may be lost as well, and are not among the numbers.
    let stalled = dropped.of(vswitch::counters::DropReason::Stalled);
    assert!((lost..=lost + ends.into_inner()).contains(&stalled), "{stalled} for {lost} lost");
    assert_eq!(dropped.total(), stalled, "for no other reason");
    (lost, report.ports[0].counters.pauses)
}
