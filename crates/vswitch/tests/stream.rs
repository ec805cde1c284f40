//! `stream:PATH` and `stream-connect:PATH` on real sockets.
#![cfg(unix)]

mod common;

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use common::peers::{Finish, Random, StreamPeer, framed, receive, send, vfkit};
use common::{Running, UnixgramPort, frame, number, station};
use vswitch::counters::DropReason;
use vswitch::port::unix::{Access, StreamConnectPort, StreamListener};

/// Held for writing by what needs the processors for itself.
static ALONE: RwLock<()> = RwLock::new(());

/// A switch that listens at `dir/s`, for so many clients.
fn start(dir: &Path, clients_max: usize) -> Running {
    Running::start(|switch, network| {
        let listener = StreamListener::bind(&dir.join("s"), Access::default()).unwrap();
        common::add_listener(switch, network, "s", clients_max, Box::new(listener));
    })
}

/// A client whose address the switch has learnt.
fn client(dir: &Path, n: u8) -> StreamPeer {
    let mut peer = StreamPeer::connect(&dir.join("s"));
    // To itself: it is learnt, and nobody else hears of it.
    peer.send(&frame(station(n), station(n), 60, 0));
    peer
}

/// Waits until the switch has taken in what was sent: so many frames by all clients.
fn settle(running: &Running, received_frames: u64) {
    let settled = testkit::wait_until(Duration::from_secs(5), || {
        let report = running.handle.report().unwrap();
        let alive: u64 = report.ports.iter().map(|p| p.counters.ingress.received_frames).sum();
        let ended: u64 = report.listeners.iter().map(|l| l.ended.ingress.received_frames).sum();
        alive + ended >= received_frames
    });
    assert!(settled, "{:?}", running.handle.report());
}

#[test]
fn frames_cut_at_any_byte_both_ways() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    // Byte by byte: each write is a turn of its own for the switch, each read for the reader.
    for (n, size) in (1..).zip([14, 60, 61, 333]) {
        let sent = frame(station(2), station(1), size, n);
        for byte in framed(&sent) {
            a.0.write_all(&[byte]).unwrap();
        }
        assert_eq!(b.receive_in_pieces(1), Some(sent));
    }
    // In random pieces, while the reader takes random pieces too.
    let mut random = Random(7);
    let sizes: Vec<usize> = (0..400)
        .map(|_| match random.below(10) {
            0 => 65_550 - random.below(3),
            1 => 14 + random.below(3),
            2 => 9000 + random.below(600),
            _ => 14 + random.below(1600),
        })
        .collect();
    let frames: Vec<Vec<u8>> =
        (0..).zip(&sizes).map(|(n, size)| frame(station(2), station(1), *size, n)).collect();
    let stream: Vec<u8> = frames.iter().flat_map(|frame| framed(frame)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let most = [5, 2000, 100_000][random.below(3)];
                let (piece, behind) = rest.split_at((1 + random.below(most)).min(rest.len()));
                a.0.write_all(piece).unwrap();
                rest = behind;
            }
        });
        let mut pieces = Random(8);
        for frame in &frames {
            let piece = 1 + pieces.below(70_000);
            assert!(b.receive_in_pieces(piece).as_ref() == Some(frame), "a frame was changed");
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    assert_eq!(report.ports.iter().map(|p| p.counters.egress.dropped.total()).sum::<u64>(), 0);
}

/// The kernel takes only the beginning of a frame again and again, since the reader is slow. It may
/// lose frames (it counts as stalled when it takes none for long), but whole ones, counted.
#[test]
fn a_slow_reader_gets_whole_frames_in_order() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    const FRAMES: u64 = 1500;
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    let sent = |n: u64| {
        let size =
            if n.is_multiple_of(3) { 65_550 } else { 1000 + 13 * usize::try_from(n).unwrap() };
        frame(station(2), station(1), size.min(65_550), n)
    };
    let done = AtomicBool::new(false);
    let mut got = 0_u64;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=FRAMES {
                a.send(&sent(n));
            }
            settle(&running, 2 + FRAMES);
            // The last one is sent again until it arrives: it ends the reader.
            while !done.load(Ordering::Relaxed) {
                a.send(&frame(station(2), station(1), 60, FRAMES + 1));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _finish = Finish(&done);
        let (mut random, mut last) = (Random(3), 0);
        loop {
            if got.is_multiple_of(50) {
                std::thread::sleep(Duration::from_millis(6));
            }
            let frame = b.receive_in_pieces(1 + random.below(30_000)).expect("it stays open");
            let n = number(&frame);
            if n > FRAMES {
                break;
            }
            assert!(n > last, "{n} after {last}");
            assert!(frame == sent(n), "frame {n} was changed");
            (last, got) = (n, got + 1);
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    let to_b = report.ports[1].counters.egress;
    let lost = to_b.dropped.of(DropReason::Stalled) + to_b.dropped.of(DropReason::Aged);
    assert_eq!(lost, to_b.dropped.total());
    assert_eq!(got + lost, FRAMES, "each frame arrived or is counted");
    assert!(got > 0);
}

/// A reader that is slower than the sender, but reads: the sender is slowed and nothing is lost. On
/// a busy machine the reader may lack a processor for longer than the 2 ms after which it counts as
/// stalled, so not each attempt has to do.
#[test]
fn a_fast_sender_is_slowed_by_a_slower_client_and_loses_nothing() {
    let _alone = ALONE.write().unwrap_or_else(PoisonError::into_inner);
    let mut attempts = Vec::new();
    let lossless = (0..40).any(|_| {
        let (lost, pauses) = fast_to_slow();
        attempts.push((lost, pauses));
        lost == 0 && pauses > 0
    });
    assert!(lossless, "(lost, pauses) in each attempt: {attempts:?}");
}

/// How many frames were lost, and how often the sender was paused.
fn fast_to_slow() -> (u64, u64) {
    const FRAMES: u64 = 20_000;
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    let done = AtomicBool::new(false);
    let (mut next, mut lost) = (1, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=FRAMES {
                a.send(&frame(station(2), station(1), 1514, n));
            }
            // Should the last one be lost, the next ends the reader.
            while !done.load(Ordering::Relaxed) {
                a.send(&frame(station(2), station(1), 60, FRAMES + 1));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let _finish = Finish(&done);
        while next <= FRAMES {
            // Some 30,000 frames a second: the sender alone is several times faster.
            if next.is_multiple_of(16) {
                std::thread::sleep(Duration::from_micros(300));
            }
            let n = number(&b.receive().unwrap());
            assert!(n >= next, "out of order, or twice");
            lost += n - next;
            next = n + 1;
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    (lost, report.ports[0].counters.pauses)
}

#[test]
fn a_length_that_cannot_be_closes_that_client_alone() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    const FRAMES: u64 = 3000;
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..=FRAMES {
                a.send(&frame(station(2), station(1), 200, n));
                // At a pace at which nothing can be lost to a busy machine.
                if n.is_multiple_of(10) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        scope.spawn(|| {
            for length in [0, 65_551, 0x0100_0000, u32::MAX] {
                let mut bad = client(dir.path(), 9);
                let mut bytes = framed(&frame(station(8), station(9), 80, 1));
                bytes.extend_from_slice(&length.to_be_bytes());
                bytes.extend_from_slice(&framed(&frame(station(2), station(9), 80, 666)));
                bad.0.write_all(&bytes).unwrap();
                assert!(bad.is_closed(), "after a length of {length}");
            }
            // The end inside a frame, inside a length and between two is an end like any other.
            for sent in [&[0, 0, 1, 0, 7, 7][..], &[0, 0, 1], &[]] {
                client(dir.path(), 9).0.write_all(sent).unwrap();
            }
        });
        let mut next = 1;
        while next <= FRAMES {
            let received = b.receive().expect("the others stay");
            if received[..6] == station(8).0 {
                continue; // flooded: the good frame before a bad length
            }
            assert_eq!(number(&received), next, "lost, or from behind a bad length");
            next += 1;
        }
    });
    settle(&running, 2 + FRAMES + 4 * 3 + 3);
    let gone = testkit::wait_until(Duration::from_secs(2), || {
        running.handle.report().unwrap().listeners[0].clients == 2
    });
    let report = running.stop();
    assert!(gone, "{report:?}");
    common::assert_balanced(&report);
    let ended = report.listeners[0].ended.ingress;
    assert!(ended.balances());
    assert_eq!(ended.dropped.of(DropReason::BadFraming), 4);
    assert_eq!(ended.flooded_frames, 4, "the good frame before each bad length");
    assert_eq!(report.listeners[0].accepted, 9);
}

#[test]
fn more_clients_than_may_be_are_turned_away() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 2);
    let (mut a, b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    for _ in 0..3 {
        assert!(StreamPeer::connect(&dir.path().join("s")).is_closed(), "the third");
    }
    let listener = |running: &Running| running.handle.report().unwrap().listeners[0].clone();
    assert_eq!((listener(&running).clients, listener(&running).turned_away), (2, 3));
    drop(b);
    assert!(testkit::wait_until(Duration::from_secs(2), || listener(&running).clients == 1));
    let mut c = client(dir.path(), 3);
    settle(&running, 3);
    let sent = frame(station(3), station(1), 1514, 4);
    a.send(&sent);
    assert_eq!(c.receive(), Some(sent), "a place that became free is taken again");
    common::assert_balanced(&running.stop());
}

#[test]
fn what_a_full_client_leaves_is_given_back() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    let full = testkit::wait_until(Duration::from_secs(10), || {
        a.send(&frame(station(2), station(1), 60_000, 1));
        running.handle.report().unwrap().ports[1].queued_frames > 5
    });
    assert!(full, "{:?}", running.handle.report());
    drop(b);
    let gone = testkit::wait_until(Duration::from_secs(2), || {
        running.handle.report().unwrap().listeners[0].clients == 1
    });
    assert!(gone);
    assert_eq!(running.handle.call(|switch| switch.memory()).unwrap().1, 0, "frames left behind");
    let report = running.stop();
    let ended = report.listeners[0].ended.egress;
    assert!(ended.balances(0), "{ended:?}");
    assert!(ended.dropped.of(DropReason::NoPeer) + ended.dropped.of(DropReason::Removed) > 0);
}

#[test]
fn a_thousand_clients_come_and_go_and_leave_nothing() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    const CLIENTS: u64 = 1000;
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 2000);
    let path = dir.path().join("s");
    let memory = || running.handle.call(|switch| switch.memory()).unwrap();
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    let sent = frame(station(2), station(1), 1514, 1);
    a.send(&sent);
    assert_eq!(b.receive(), Some(sent.clone()));
    let before = memory();
    for n in 0..CLIENTS {
        let mut client = StreamPeer::connect(&path);
        match n % 4 {
            0 => {}
            1 => client.0.write_all(&[0, 0]).unwrap(),
            2 => client.send(&frame(station(9), station(9), 60, n)),
            // Something in its queue when it goes.
            _ => a.send(&frame(station(250), station(1), 60, n)),
        }
    }
    let gone = testkit::wait_until(Duration::from_secs(10), || {
        let listener = &running.handle.report().unwrap().listeners[0];
        listener.clients == 2 && listener.accepted + listener.turned_away == CLIENTS + 2
    });
    assert!(gone, "{:?}", running.handle.report());
    #[cfg(target_os = "linux")]
    assert_eq!(switchs_ends(&path), 3, "the listener's and two clients'; more were left open");
    let after = memory();
    assert_eq!(after.1, 0, "a frame was forgotten in the pool");
    assert!(after.0 <= before.0 + (2 << 20), "{before:?} {after:?}");
    // The flood is still on its way to B.
    a.send(&sent);
    while b.receive().unwrap() != sent {}
    let report = running.stop();
    assert!(report.listeners[0].ended.ingress.balances());
    assert!(report.listeners[0].ended.egress.balances(0));
    common::assert_balanced(&report);
}

/// How many sockets have the listener's path: the switch's ends.
#[cfg(target_os = "linux")]
fn switchs_ends(path: &Path) -> usize {
    let table = std::fs::read_to_string("/proc/net/unix").unwrap();
    table.lines().filter(|line| line.ends_with(path.to_str().unwrap())).count()
}

/// A switch that connects to `dir/q`, with a port `a` beside it.
fn start_connecting(dir: &Path) -> Running {
    Running::start(|switch, network| {
        let port = UnixgramPort::bind(&dir.join("a"), Access::default()).unwrap();
        common::add(switch, network, "a", Box::new(port));
        let port = StreamConnectPort::new(&dir.join("q")).unwrap();
        common::add(switch, network, "q", Box::new(port));
    })
}

/// The switch's connection to a VM that has just begun to listen, within a second.
fn accept(listener: &UnixListener) -> StreamPeer {
    listener.set_nonblocking(true).unwrap();
    let mut taken = None;
    let connected = testkit::wait_until(Duration::from_secs(1), || {
        taken = listener.accept().ok();
        taken.is_some()
    });
    assert!(connected, "the switch connects within a second");
    let (stream, _) = taken.unwrap();
    stream.set_nonblocking(false).unwrap();
    StreamPeer::on(stream)
}

#[test]
fn a_vm_that_listens_is_connected_to_whenever_it_comes() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let dir = testkit::scratch_dir();
    let running = start_connecting(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let path = dir.path().join("q");
    let mut number = 0;
    for round in 0..4 {
        // Nobody is there (at first no file, later one that a dead process left): counted.
        number += 1;
        send(&a, &frame(station(2), station(1), 60, number));
        let counted = testkit::wait_until(Duration::from_secs(2), || {
            let report = running.handle.report().unwrap();
            report.ports[1].counters.egress.dropped.of(DropReason::NoPeer) > round
        });
        assert!(counted, "round {round}: {:?}", running.handle.report());
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let mut vm = accept(&listener);
        vm.send(&frame(station(1), station(2), 333, number));
        assert_eq!(receive(&a), frame(station(1), station(2), 333, number));
        for size in [60, 1514, 65_550] {
            number += 1;
            let sent = frame(station(2), station(1), size, number);
            send(&a, &sent);
            assert_eq!(vm.receive(), Some(sent));
        }
        // The listener stays, the connection goes: connected to again.
        if round == 1 {
            drop(vm);
            vm = accept(&listener);
            vm.send(&frame(station(1), station(2), 60, 9));
            assert_eq!(receive(&a).len(), 60);
        }
        if round == 2 {
            // Broken framing closes, is counted, and the VM is connected to again.
            vm.0.write_all(&[0; 4]).unwrap();
            assert!(vm.is_closed());
            vm = accept(&listener);
        }
        drop(vm);
    }
    let report = running.stop();
    assert_eq!(report.ports[1].counters.ingress.dropped.of(DropReason::BadFraming), 1);
    common::assert_balanced(&report);
}

/// The VM goes in the midst of a stream of frames, of which the kernel had taken the beginning of
/// one, and comes back: the new stream begins with a whole frame, and no frame comes twice.
#[test]
fn no_frame_is_split_or_sent_twice_across_a_reconnection() {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    let dir = testkit::scratch_dir();
    let running = start_connecting(dir.path());
    let a = vfkit(dir.path(), "a.vm", "a");
    let listener = UnixListener::bind(dir.path().join("q")).unwrap();
    let done = AtomicBool::new(false);
    let sent =
        |n: u64| frame(station(2), station(1), 20_000 + usize::try_from(n % 7).unwrap() * 6000, n);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1.. {
                send(&a, &sent(n));
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _finish = Finish(&done);
        let (mut last, mut random) = (0, Random(5));
        for round in 0..12 {
            let mut vm = accept(&listener);
            for _ in 0..20 + random.below(200) {
                let frame = vm.receive().expect("it stays");
                let n = number(&frame);
                assert!(n > last, "{n} after {last} in round {round}");
                assert!(frame == sent(n), "frame {n} was changed in round {round}");
                last = n;
            }
            // It stops reading until the stream is full, and goes.
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    let report = running.stop();
    common::assert_balanced(&report);
    assert!(report.ports[1].counters.egress.sent_frames > 12 * 20);
}
