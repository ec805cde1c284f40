//! How the records of several loops become one file, with loops and clocks that are moved by hand.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use pcap_file::pcapng::{Block, PcapNgReader};
use proptest::prelude::*;
use vswitch::Nanos;
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::poller::{Event, Interest, Source, Token, Wake};
use vswitch::port::{Inbox, Outbox, Port, Received, Sent};
use vswitch::switch::{PortSettings, Switch, WhenGone};

use super::*;

const HELD_BACK_NS: u64 = HELD_BACK.subsec_nanos() as u64;

/// A loop's clock, and the frames that wait at its only port.
#[derive(Debug, Default)]
struct State {
    now: Nanos,
    frames: Vec<Vec<u8>>,
    watched: Option<Token>,
}

#[derive(Clone, Debug, Default)]
struct Hand(Arc<Mutex<State>>);

impl Hand {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }
}

impl Poller for Hand {
    fn add(&mut self, _: Source, token: Token, _: Interest) -> io::Result<()> {
        self.lock().watched = Some(token);
        Ok(())
    }

    fn modify(&mut self, _: Source, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: Source) {}

    fn wait(&mut self, _: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        let ready = self.lock().watched;
        events.clear();
        events.extend(ready.map(|token| Event { token, readable: true, writable: false }));
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        self.lock().now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWake)
    }
}

impl Port for Hand {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: 0, generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        for frame in self.lock().frames.drain(..) {
            assert!(inbox.copy(&frame), "the pool has room");
        }
        Received::Drained
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        Sent::all(outbox.len())
    }
}

#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// A loop that is captured, and stands still between the frames that come to it.
struct Loop {
    hand: Hand,
    switch: Switch<Hand>,
}

impl Loop {
    /// Its clock says the time of the wall.
    fn start(number: usize) -> (Self, Lane) {
        let hand = Hand::default();
        let mut switch = Switch::new(hand.clone());
        let network = switch.add_network("test", Settings::default());
        let settings = PortSettings {
            name: format!("p{number}"),
            network,
            policy: PortPolicy::default(),
            when_gone: WhenGone::Keep,
            waits: true,
        };
        switch.add_port(settings, Box::new(hand.clone())).expect("a port");
        let request = CaptureRequest { ring_bytes: RING_BYTES_MIN, ..CaptureRequest::default() };
        let (tap, reader) = tap(request).expect("a ring");
        switch.attach_tap(tap, UNIX_EPOCH).expect("a place");
        (Self { hand, switch }, Lane { reader, attached: None, detached: None, has_ended: false })
    }

    /// A frame comes, in a round that began at `time_ns`.
    fn carry(&mut self, time_ns: u64) {
        let mut state = self.hand.lock();
        state.now = Nanos(time_ns);
        state.frames.push([&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0; 48]].concat());
        drop(state);
        self.switch.step(Nanos(time_ns)).expect("a step");
    }
}

fn capture(loops: usize) -> (Vec<Option<Loop>>, Capture) {
    let (mut all, mut lanes) = (Vec::new(), Vec::new());
    for number in 0..loops {
        let (one, lane) = Loop::start(number);
        all.push(Some(one));
        lanes.push(lane);
    }
    let clock = Clock { start: Instant::now(), start_ns: 0 };
    let (counted, recording) = (clock.start, None);
    (all, Capture { lanes, clock, snap_bytes: 0, recording, counted, is_over: false })
}

/// When the packets of a file were, as they stand there.
fn packet_times(file: &[u8]) -> Vec<u64> {
    let mut reader = PcapNgReader::new(file).expect("a section");
    let mut times = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.expect("well-formed") {
            times.push(u64::try_from(packet.timestamp.as_nanos()).expect("a time"));
        }
    }
    times
}

/// What happens next, so long after what happened before.
#[derive(Clone, Copy, Debug)]
struct Happening {
    after_ns: u64,
    to: To,
}

#[derive(Clone, Copy, Debug)]
enum To {
    /// Of a loop's round that began so long ago, a frame is told.
    Carry { at: usize, late_ns: u64 },
    /// The capture is read.
    Read,
    /// A loop ends.
    End { at: usize },
}

const LOOPS: usize = 3;

fn any_happening() -> impl Strategy<Value = Happening> {
    let after_ns = prop_oneof![8 => 0..2_000_000_u64, 1 => 0..2 * HELD_BACK_NS];
    let late_ns = prop_oneof![Just(0), 0..HELD_BACK_NS];
    let to = prop_oneof![
        20 => (0..LOOPS, late_ns).prop_map(|(at, late_ns)| To::Carry { at, late_ns }),
        10 => Just(To::Read),
        1 => (0..LOOPS).prop_map(|at| To::End { at }),
    ];
    (after_ns, to).prop_map(|(after_ns, to)| Happening { after_ns, to })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Of loops whose rounds are told of up to [`HELD_BACK`] late, all frames come in the order of
    /// time, and none is held for longer than that.
    #[test]
    fn frames_of_several_loops_come_in_the_order_of_time_and_all_come(
        happenings in prop::collection::vec(any_happening(), 1..100),
    ) {
        let (mut loops, mut capture) = capture(LOOPS);
        let mut now_ns = HELD_BACK_NS;
        let mut last_ns = [0; LOOPS];
        let (mut carried, mut file) = (Vec::new(), Vec::new());
        for Happening { after_ns, to } in happenings {
            now_ns += after_ns;
            match to {
                To::Carry { at, late_ns } => if let Some(one) = &mut loops[at] {
                    last_ns[at] = last_ns[at].max(now_ns - late_ns);
                    one.carry(last_ns[at]);
                    carried.push(last_ns[at]);
                },
                To::End { at } => loops[at] = None,
                To::Read => {
                    capture.pass_on(&mut file, usize::MAX, now_ns.into());
                    let due = carried.iter().filter(|ns| **ns + HELD_BACK_NS <= now_ns).count();
                    prop_assert!(packet_times(&file).len() >= due, "held for too long");
                }
            }
        }
        capture.pass_on(&mut file, usize::MAX, (now_ns + HELD_BACK_NS).into());
        carried.sort_unstable();
        prop_assert_eq!(packet_times(&file), carried);
        prop_assert_eq!(capture.is_over, loops.iter().all(Option::is_none));
    }
}

/// The frame of one loop waits for as long as another may have an earlier one, and no longer.
#[test]
fn a_frame_is_held_back_until_no_loop_can_have_an_earlier_one() {
    let (mut loops, mut capture) = capture(2);
    let mut file = Vec::new();
    let mut read_at = |now_ns: u64| {
        capture.pass_on(&mut file, usize::MAX, now_ns.into());
        packet_times(&file)
    };
    let mut carry = |at: usize, time_ns| loops[at].as_mut().expect("it runs").carry(time_ns);
    carry(0, 1000);
    assert_eq!(read_at(1000), [0; 0], "the other may have an earlier one");
    assert_eq!(read_at(999 + HELD_BACK_NS), [0; 0], "and still");
    assert_eq!(read_at(1000 + HELD_BACK_NS), [1000], "it had its time");
    carry(1, 3000);
    assert_eq!(read_at(3000), [1000]);
    carry(0, 2000);
    assert_eq!(read_at(3000), [1000, 2000], "the first loop may have one before 3000 still");
    carry(0, 4000);
    assert_eq!(read_at(4000), [1000, 2000, 3000], "it has not: its next is later");
    drop(loops[1].take());
    assert_eq!(read_at(4000), [1000, 2000, 3000, 4000], "there is no other loop any more");
}
