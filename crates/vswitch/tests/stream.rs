//! `stream:PATH` and `stream-connect:PATH` on real sockets.
#![cfg(target_os = "linux")]

mod common;

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::peers::{Random, StreamPeer, framed};
use common::{Running, frame, number, station};
use vswitch::counters::DropReason;
use vswitch::port::linux::{Access, StreamConnectPort, StreamListener, UnixgramPort};

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
/// lose frames (it counts as stalled when it takes none for 2 ms), but whole ones, counted.
#[test]
fn a_slow_reader_gets_whole_frames_in_order() {
    const FRAMES: u64 = 1500;
    let dir = testkit::scratch_dir();
    let running = start(dir.path(), 8);
    let (mut a, mut b) = (client(dir.path(), 1), client(dir.path(), 2));
    settle(&running, 2);
    let sent = |n: u64| {
        let size = if n.is_multiple_of(3) { 65_550 } else { 1000 + 13 * n as usize };
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
        done.store(true, Ordering::Relaxed);
    });
    let report = running.stop();
    common::assert_balanced(&report);
    let to_b = report.ports[1].counters.egress;
    let lost = to_b.dropped.of(DropReason::Stalled) + to_b.dropped.of(DropReason::Aged);
    assert_eq!(lost, to_b.dropped.total());
    assert_eq!(got + lost, FRAMES, "each frame arrived or is counted");
    assert!(got > 0);
}

/// A reader that is slower than the sender, but reads: the sender is slowed and nothing is lost. On a
/// busy machine the reader may lack a processor for longer than the 2 ms after which it counts as
/// stalled, so not each attempt has to do.
#[test]
fn a_fast_sender_is_slowed_by_a_slower_client_and_loses_nothing() {
    let mut attempts = Vec::new();
    let lossless = (0..5).any(|_| {
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
        let t0 = Instant::now();
        while next <= FRAMES {
            // Some 30,000 frames a second: the sender alone is several times faster.
            if next.is_multiple_of(16) {
                std::thread::sleep(Duration::from_micros(300));
            }
            let n = number(&b.receive().unwrap());
            assert!(n >= next, "out of order, or twice");
            if n > next {
                eprintln!("gap {} at {next} t={:?}", n - next, t0.elapsed());
            }
            lost += n - next;
            next = n + 1;
        }
        eprintln!("end {:?}", t0.elapsed());
        done.store(true, Ordering::Relaxed);
    });
    let report = running.stop();
    common::assert_balanced(&report);
    (lost, report.ports[0].counters.pauses)
}
