//! A trunk as its two loops see it, without them.

use super::*;
use crate::frame::{FRAME_MAX_BYTES, Frame};
use crate::offload::{Checksum, Gso};
use crate::port::InboxBuffers;
use crate::queue::EgressQueue;
use crate::time::Nanos;

/// A port in a loop: its queue, and what it received.
struct End {
    port: TrunkPort,
    pool: Pool,
    queue: EgressQueue,
    inbox: InboxBuffers,
}

fn ends(direction_bytes: usize) -> (End, End) {
    let (one, two) = TrunkPort::pair(direction_bytes).unwrap();
    (End::new(one), End::new(two))
}

impl End {
    fn new(port: TrunkPort) -> Self {
        let pool = Pool::new(64 << 20);
        Self { port, pool, queue: EgressQueue::new(), inbox: InboxBuffers::default() }
    }

    fn queue(&mut self, bytes: &[u8], offload: Offload) {
        let mut frame = self.pool.copy(bytes).unwrap();
        frame.offload = offload;
        self.queue.push(frame, Nanos(0), &mut self.pool);
    }

    /// Sends as the loop does, until nothing is left or the trunk is full; how many it took.
    fn flush(&mut self) -> (usize, Option<SendFault>) {
        let mut taken = 0;
        while !self.queue.is_empty() {
            let sent = self.port.send(&Outbox::new(&self.queue, &self.pool));
            assert!(sent.taken_frames > 0 || sent.then.is_some(), "it says why");
            assert!(sent.taken_frames <= BATCH_FRAMES_MAX);
            for _ in 0..sent.taken_frames {
                let frame = self.queue.pop().unwrap();
                self.pool.release(frame);
            }
            taken += sent.taken_frames;
            if sent.then.is_some() {
                return (taken, sent.then);
            }
        }
        (taken, None)
    }

    fn receive(&mut self) -> (Vec<(Vec<u8>, Offload)>, Received) {
        let received = self.port.receive(&mut Inbox::new(&mut self.inbox, &mut self.pool));
        let frames: Vec<Frame> = self.inbox.frames.drain(..).collect();
        let taken = frames.into_iter().map(|frame| {
            let taken = (self.pool.bytes(&frame).to_vec(), frame.offload);
            self.pool.release(frame);
            taken
        });
        (taken.collect(), received)
    }

    /// All that is there.
    fn receive_all(&mut self) -> Vec<(Vec<u8>, Offload)> {
        let mut all = Vec::new();
        loop {
            let (frames, received) = self.receive();
            all.extend(frames);
            match received {
                Received::More => {}
                Received::Drained => return all,
                other => panic!("{other:?}"),
            }
        }
    }
}

fn numbered(number: usize, len: usize) -> Vec<u8> {
    let mut frame = vec![number.to_le_bytes()[0]; len];
    frame[..8].copy_from_slice(&number.to_le_bytes());
    frame
}

#[test]
fn frames_of_all_sizes_pass_in_order_both_ways() {
    let (mut one, mut two) = ends(4 << 20);
    let sizes = [14, 60, 1514, 2096, 2097, 9000, 9264, 9265, 40_000, FRAME_MAX_BYTES];
    for round in 0..30 {
        let there: Vec<_> = (0..100).map(|n| numbered(n, sizes[(n + round) % 10])).collect();
        let back: Vec<_> =
            (0..7).map(|n| numbered(1000 + n, sizes[(n * 3 + round) % 10])).collect();
        there.iter().for_each(|frame| one.queue(frame, Offload::NONE));
        back.iter().for_each(|frame| two.queue(frame, Offload::NONE));
        assert!(matches!(one.flush(), (100, None)) && matches!(two.flush(), (7, None)));
        let bytes = |frames: Vec<(Vec<u8>, Offload)>| -> Vec<Vec<u8>> {
            frames.into_iter().map(|(bytes, _)| bytes).collect()
        };
        assert_eq!(bytes(two.receive_all()), there);
        assert_eq!(bytes(one.receive_all()), back);
    }
    assert_eq!((one.pool.filled_slots(), two.pool.filled_slots()), (0, 0));
}

#[test]
fn what_is_left_to_do_goes_with_the_frame() {
    let (mut one, mut two) = ends(1 << 20);
    assert_eq!(one.port.takes(), Offloads::ALL);
    let big = Offload {
        checksum: Checksum::Unfinished,
        gso: Gso::TcpV4,
        segment_bytes: 1448,
        header_bytes: 66,
        checksum_start: 34,
        checksum_offset: 16,
        ecn: true,
    };
    let summed = Offload { gso: Gso::None, segment_bytes: 0, ecn: false, ..big };
    let sent = [(60_000, big), (60, Offload::NONE), (1514, summed)];
    for (len, offload) in sent {
        one.queue(&numbered(1, len), offload);
    }
    assert!(matches!(one.flush(), (3, None)));
    let arrived = two.receive_all();
    let told: Vec<_> = arrived.iter().map(|(bytes, offload)| (bytes.len(), *offload)).collect();
    assert_eq!(told, sent);
}

#[test]
fn it_is_bounded_and_goes_on_where_it_was_full() {
    let most = 100;
    let (mut one, mut two) = ends(most * SizeClass::Small.bytes());
    (0..3 * most).for_each(|n| one.queue(&numbered(n, 60), Offload::NONE));
    let (taken, fault) = one.flush();
    assert_eq!(taken, most);
    let pauses = |fault| match fault {
        Some(SendFault::Full { retry_after: Some(pause) }) => pause,
        other => panic!("{other:?}"),
    };
    let first = pauses(fault);
    let (taken, fault) = one.flush();
    assert!(taken == 0 && pauses(fault) > first, "who is still full is tried less often");
    // The other direction has a room of its own.
    two.queue(&numbered(7, 60), Offload::NONE);
    assert!(matches!(two.flush(), (1, None)));
    let mut arrived = Vec::new();
    for _ in 0..10 {
        let (frames, _) = two.receive();
        let freed = frames.len().min(one.queue.len());
        arrived.extend(frames);
        let (taken, fault) = one.flush();
        assert_eq!(taken, freed, "as many as were taken out");
        if !one.queue.is_empty() {
            assert_eq!(pauses(fault), first);
        }
        if arrived.len() == 3 * most {
            break;
        }
    }
    let numbers = arrived.iter().map(|(bytes, _)| bytes.clone());
    assert!(numbers.eq((0..3 * most).map(|n| numbered(n, 60))), "in order, once each");
    one.port.outgoing.take_back();
    assert_eq!(one.port.outgoing.in_flight_bytes, 0);
}

/// A direction that was full of one size takes another, and no buffer is made twice.
#[test]
fn buffers_are_used_again() {
    let (mut one, mut two) = ends(1 << 20);
    let mut fill = |len: usize| {
        (0..200).for_each(|n| one.queue(&numbered(n, len), Offload::NONE));
        let mut arrived = 0;
        while !one.queue.is_empty() {
            one.flush();
            arrived += two.receive_all().len();
        }
        assert_eq!(arrived, 200);
        one.flush();
        one.port.outgoing.take_back();
        one.port.outgoing.buffers.allocated_bytes()
    };
    let lens = [60, 60_000, 9000];
    let made: Vec<usize> = lens.into_iter().map(&mut fill).collect();
    assert!(made[0] < made[1] && made[1] < made[2] && made[2] <= 3 << 20, "{made:?}");
    for _ in 0..5 {
        lens.into_iter().for_each(|len| assert_eq!(fill(len), made[2]));
    }
}

#[test]
fn the_biggest_frame_passes_whatever_the_bound() {
    let (mut one, mut two) = ends(1);
    for n in 0..3 {
        one.queue(&numbered(n, FRAME_MAX_BYTES), Offload::NONE);
    }
    for n in 0..3 {
        assert_eq!(one.flush().0, 1);
        assert_eq!(two.receive_all(), [(numbered(n, FRAME_MAX_BYTES), Offload::NONE)]);
    }
}

#[test]
fn a_low_pool_loses_nothing() {
    let (mut one, mut two) = ends(1 << 20);
    two.pool = Pool::new(10 * SizeClass::Small.bytes());
    (0..25).for_each(|n| one.queue(&numbered(n, 60), Offload::NONE));
    assert!(matches!(one.flush(), (25, None)));
    let mut arrived = Vec::new();
    for _ in 0..2 {
        let (frames, received) = two.receive();
        assert_eq!(frames.len(), 10);
        assert!(matches!(received, Received::NoBuffers), "{received:?}");
        arrived.extend(frames);
    }
    let (frames, received) = two.receive();
    arrived.extend(frames);
    assert!(matches!(received, Received::More), "it has not looked for others meanwhile");
    assert!(two.receive_all().is_empty());
    assert!(arrived.iter().map(|(bytes, _)| bytes.clone()).eq((0..25).map(|n| numbered(n, 60))));
}

#[test]
fn an_end_that_goes_is_told_after_what_it_sent() {
    let (mut one, mut two) = ends(1 << 20);
    (0..70).for_each(|n| one.queue(&numbered(n, 60), Offload::NONE));
    assert!(matches!(one.flush(), (70, None)));
    drop(one);
    let (frames, received) = two.receive();
    assert!(frames.len() == BATCH_FRAMES_MAX && matches!(received, Received::More));
    let (frames, received) = two.receive();
    assert!(frames.len() == 6 && matches!(received, Received::Gone(Gone::Closed)), "{received:?}");
    two.queue(&numbered(1, 60), Offload::NONE);
    assert!(matches!(two.flush(), (0, Some(SendFault::Gone(Gone::Closed)))));
}

/// Two threads, each asleep until its bell rings: no frame is left lying.
#[cfg(target_os = "linux")]
#[test]
fn the_other_loop_is_woken_for_every_frame() {
    use crate::poller::{Epoll, Interest, Poller, Token};

    const FRAMES: usize = 20_000;
    let (mut one, two) = ends(8 * SizeClass::Small.bytes());
    let watch = |end: &End| {
        let mut poller = Epoll::new().unwrap();
        let interest = Interest { readable: true, writable: false };
        poller.add(end.port.source().unwrap(), Token(1), interest).unwrap();
        poller
    };
    let wait = |poller: &mut Epoll| {
        let mut events = Vec::new();
        let deadline = poller.now() + std::time::Duration::from_secs(10);
        poller.wait(deadline, &mut events).unwrap();
        assert!(!events.is_empty(), "it slept on");
    };
    // Sends each frame back that comes, and ends with its peer.
    let echo = std::thread::spawn(move || {
        let mut two = two;
        let mut poller = watch(&two);
        loop {
            wait(&mut poller);
            loop {
                let (frames, received) = two.receive();
                for (frame, offload) in frames {
                    two.queue(&frame, offload);
                }
                while !two.queue.is_empty() {
                    if let (_, Some(SendFault::Gone(_))) = two.flush() {
                        return;
                    }
                }
                match received {
                    Received::More => {}
                    Received::Drained => break,
                    _ => return,
                }
            }
        }
    });
    let mut poller = watch(&one);
    let (mut sent, mut back) = (0, 0);
    while back < FRAMES {
        let burst = (sent % 7 + 1).min(FRAMES - sent);
        for n in sent..sent + burst {
            one.queue(&numbered(n, 60), Offload::NONE);
        }
        sent += burst;
        assert!(matches!(one.flush(), (_, None)), "it has room for a burst");
        while back < sent {
            wait(&mut poller);
            for (frame, _) in one.receive_all() {
                assert_eq!(frame, numbered(back, 60));
                back += 1;
            }
        }
    }
    drop(one);
    echo.join().unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_bell_that_was_heard_is_silent() {
    use crate::poller::{Epoll, Interest, Poller, Token};

    let (mut one, mut two) = ends(1 << 20);
    let mut poller = Epoll::new().unwrap();
    let interest = Interest { readable: true, writable: false };
    poller.add(two.port.source().unwrap(), Token(1), interest).unwrap();
    let mut rings = || {
        let mut events = Vec::new();
        poller.wait(Nanos(0), &mut events).unwrap();
        !events.is_empty()
    };
    for round in 0..3 {
        assert!(!rings());
        (0..100).for_each(|n| one.queue(&numbered(n, 60), Offload::NONE));
        one.flush();
        let (_, received) = two.receive();
        assert!(matches!(received, Received::More), "it is to look again, bell or none");
        assert_eq!(two.receive_all().len(), 100 - BATCH_FRAMES_MAX);
        // It may ring once more for what was taken already.
        assert!(two.receive_all().is_empty() && !rings(), "round {round}");
    }
}
