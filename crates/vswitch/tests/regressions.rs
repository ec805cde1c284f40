//! Moments that went wrong once: ports that end, descriptors that are used again, and watches that
//! fail in the midst of something else. A poller moved by hand stands behind the loop, and ports
//! that do as told.
#![cfg(unix)]

mod common;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use common::HostPoller;
use vswitch::counters::DropReason;
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::framing::prefix;
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::port::unix::StreamPort;
use vswitch::port::{Gone, Inbox, Listener, Outbox, Port, Received, SendFault, Sent};
use vswitch::switch::{ListenerSettings, NetworkId, PortSettings, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};

/// A millisecond, in nanoseconds.
const MS: u64 = 1_000_000;

/// A flooded frame may find out that one of its targets has ended.
#[test]
fn a_target_that_ends_while_a_frame_is_flooded_costs_nobody_else_theirs() {
    let (mut switch, network, hand) = by_hand();
    let (source, dying, others) = (Far::new(1), Far::new(2), [Far::new(3), Far::new(4)]);
    source.add(&mut switch, network, WhenGone::Keep);
    dying.add(&mut switch, network, WhenGone::Remove);
    others.iter().for_each(|other| other.add(&mut switch, network, WhenGone::Keep));
    dying.set(Answer::Full);
    let queue_of_dying = 1100;
    for _ in 0..queue_of_dying {
        source.give(broadcast(1));
    }
    hand.lock().ready.push_back(1);
    while others[1].taken() < queue_of_dying {
        switch.step(Nanos(0)).unwrap();
    }
    // Long silent by now: the flood looks once more whether it has room.
    hand.lock().now = Nanos(100_000_000);
    dying.set(Answer::Gone);
    source.give(broadcast(1));
    hand.lock().ready.push_back(1);
    switch.step(Nanos(0)).unwrap();
    for other in &others {
        assert_eq!(other.taken(), queue_of_dying + 1);
    }
    assert_eq!(switch.report().ports.len(), 3);
}

/// A full target is waited for 25 ms, since it may only lack a processor; one that used those up is
/// waited for 2 ms, for a second.
#[test]
fn a_target_that_used_up_the_patience_has_little_for_a_second() {
    let (mut switch, network, hand) = by_hand();
    let (source, target) = (Far::new(1), Far::new(2));
    source.add(&mut switch, network, WhenGone::Keep);
    target.add(&mut switch, network, WhenGone::Keep);
    target.give(broadcast(2));
    hand.lock().ready.push_back(2);
    switch.step(Nanos(0)).unwrap();
    // Whether the source waits, at each of these moments after the target became full at `from`.
    let mut waits = |from_ms: u64, after_ms: [u64; 2]| {
        let frame = unicast(1, 2);
        hand.lock().now = Nanos(from_ms * MS);
        target.set(Answer::Take);
        source.give(frame.clone());
        hand.lock().ready.push_back(1);
        switch.step(Nanos(0)).unwrap();
        assert_eq!(switch.report().ports[1].queued_frames, 0, "all was taken");
        target.set(Answer::Full);
        (0..1100).for_each(|_| source.give(frame.clone()));
        after_ms.map(|after_ms| {
            for now in [from_ms * MS, (from_ms + after_ms) * MS] {
                hand.lock().now = Nanos(now);
                for _ in 0..40 {
                    hand.lock().ready.push_back(1);
                    switch.step(Nanos(0)).unwrap();
                }
            }
            switch.report().ports[0].held_frames > 0
        })
    };
    assert_eq!(waits(10, [24, 27]), [true, false], "at first");
    assert_eq!(waits(100, [1, 4]), [true, false], "soon after");
    assert_eq!(waits(1_200, [24, 27]), [true, false], "a second later");
}

/// A port that rests has what comes meanwhile read at the end of its rest, and keeps no other from
/// being read; where the loop polls without sleep it does not rest.
#[test]
fn a_port_that_rests_is_read_when_its_rest_is_over() {
    const REST: Duration = Duration::from_micros(50);
    let (mut switch, network, hand) = by_hand();
    let (source, other) = (Far::new(1), Far::new(2));
    source.add(&mut switch, network, WhenGone::Keep);
    other.add(&mut switch, network, WhenGone::Keep);
    source.state.lock().unwrap().rest = Some(REST);
    // Each gives a frame; how many both have been sent since the beginning, after a step.
    let at = |switch: &mut Switch<Hand>, now: Duration| {
        source.give(broadcast(1));
        other.give(broadcast(2));
        hand.lock().now = Nanos(0) + now;
        hand.lock().ready.extend([1, 2]);
        switch.step(Nanos(0)).unwrap();
        let is_watched = hand.lock().watched.contains_key(&1);
        ([source.taken(), other.taken()], is_watched)
    };
    assert_eq!(at(&mut switch, Duration::ZERO), ([1, 1], false), "it begins to rest");
    assert_eq!(at(&mut switch, REST / 2), ([2, 1], false), "it rests, the other is read");
    assert_eq!(at(&mut switch, REST), ([3, 3], false), "both frames, and the next rest");
    assert_eq!(at(&mut switch, 3 * REST / 2), ([4, 3], false), "again");
    switch.set_busy_poll(true);
    assert_eq!(at(&mut switch, 2 * REST), ([5, 5], true), "no rest any more");
    assert_eq!(at(&mut switch, 2 * REST), ([6, 6], true), "at once");
}

/// A port that is still full when all that it had queued was too old has nothing due any more: the
/// next frame for it sets its own time.
#[test]
fn a_frame_queued_at_a_full_port_whose_queue_has_aged_ages_in_time() {
    let (mut switch, network, hand) = by_hand();
    let (source, target) = (Far::new(1), Far::new(2));
    source.add(&mut switch, network, WhenGone::Keep);
    target.add(&mut switch, network, WhenGone::Keep);
    target.set(Answer::Full);
    // What is queued, and was dropped for its age, after a step at that time.
    let mut at = |now_ms: u64| {
        hand.lock().now = Nanos(now_ms * MS);
        hand.lock().ready.push_back(1);
        switch.step(Nanos(0)).unwrap();
        let report = switch.report();
        let aged = report.ports[1].counters.egress.dropped.of(DropReason::Aged);
        (report.ports[1].queued_frames, aged)
    };
    source.give(broadcast(1));
    assert_eq!(at(10), (1, 0));
    assert_eq!(at(1_020), (0, 1));
    assert_eq!(at(2_500), (0, 1));
    source.give(broadcast(1));
    assert_eq!(at(2_510), (1, 1));
    assert_eq!(at(3_500), (1, 1));
    assert_eq!(at(3_520), (0, 2));
}

/// An address that a port was given stays its own while the link is down: the frames for it come
/// there, and none passes, however many come at once.
#[test]
fn no_frame_of_many_passes_a_link_that_is_down() {
    let (mut switch, network, hand) = by_hand();
    let (source, target) = (Far::new(1), Far::new(2));
    source.add(&mut switch, network, WhenGone::Keep);
    let policy = PortPolicy { mac: Some(station(2)), ..PortPolicy::default() };
    target.add_with(policy, &mut switch, network, WhenGone::Keep);
    let index = switch.report().ports[1].index;
    for (is_up, taken, dropped) in [(true, 5, 0), (false, 5, 5), (true, 10, 5)] {
        assert!(switch.set_link(index, is_up));
        for _ in 0..5 {
            source.give(unicast(1, 2));
        }
        hand.lock().ready.push_back(1);
        switch.step(Nanos(0)).unwrap();
        let counters = switch.report().ports[1].counters;
        let link_down = counters.egress.dropped.of(DropReason::LinkDown);
        assert_eq!((target.taken(), link_down), (taken, dropped));
    }
}

/// Each frame from an address that its port had no place for is counted, also where many come at
/// once that are decided on together.
#[test]
fn every_frame_from_an_address_without_a_place_is_counted() {
    let (mut switch, network, hand) = by_hand();
    let (source, target) = (Far::new(1), Far::new(2));
    let policy = PortPolicy { addresses_max: 1, ..PortPolicy::default() };
    source.add_with(policy, &mut switch, network, WhenGone::Keep);
    target.add(&mut switch, network, WhenGone::Keep);
    target.give(broadcast(2));
    source.give(broadcast(1));
    for from in [1, 7] {
        (0..5).for_each(|_| source.give(unicast(from, 2)));
    }
    hand.lock().ready.extend([2, 1]);
    switch.step(Nanos(0)).unwrap();
    assert_eq!(target.taken(), 1 + 5 + 5);
    assert_eq!(switch.report().loops[0].fdbs[0].not_learnt_frames, 5);
}

/// A client that the poller does not take is no client, and leaves its place to the next.
#[test]
fn a_client_that_cannot_be_watched_is_counted_once() {
    let (mut switch, network, hand) = by_hand();
    let gate = Gate::default();
    gate.add(&mut switch, network, 1);
    hand.lock().refused = Some(5);
    gate.0.lock().unwrap().push_back(Far::new(5));
    hand.lock().ready.push_back(GATE);
    switch.step(Nanos(0)).unwrap();
    assert_eq!(switch.report().listeners[0].clients, 0);
    gate.0.lock().unwrap().push_back(Far::new(6));
    hand.lock().ready.push_back(GATE);
    switch.step(Nanos(0)).unwrap();
    let listener = &switch.report().listeners[0];
    assert_eq!((listener.clients, listener.turned_away), (1, 1));
}

/// A port that loses its descriptor by itself (a stream to be connected again) must not have taken
/// from the poller what gets the same number next.
#[test]
fn a_descriptor_used_again_in_the_same_round_stays_watched() {
    let (mut switch, network, hand) = by_hand();
    let (lost, gate) = (Far::new(7), Gate::default());
    lost.add(&mut switch, network, WhenGone::Keep);
    gate.add(&mut switch, network, 4);
    switch.step(Nanos(0)).unwrap();
    lost.set(Answer::Closed);
    gate.0.lock().unwrap().push_back(Far::new(7));
    hand.lock().ready.extend([7, GATE]);
    switch.step(Nanos(0)).unwrap();
    switch.step(Nanos(0)).unwrap();
    assert!(hand.lock().watched.contains_key(&7), "the client is heard");
}

/// What a listener's clients have counted is part of what it ends with.
#[test]
fn a_listener_ends_with_the_sums_of_all_its_clients() {
    let (mut switch, network, hand) = by_hand();
    let (gate, client) = (Gate::default(), Far::new(9));
    let index = gate.add(&mut switch, network, 4);
    gate.0.lock().unwrap().push_back(client.clone());
    client.give(broadcast(1));
    hand.lock().ready.push_back(GATE);
    switch.step(Nanos(0)).unwrap();
    hand.lock().ready.push_back(9);
    switch.step(Nanos(0)).unwrap();
    let ended = switch.remove(index).unwrap();
    assert_eq!(ended.ingress.received_frames, 1);
    assert!(switch.report().ports.is_empty());
}

/// Linux tells of a hang-up whether asked or not: a port that may not be read now must not keep the
/// loop awake by it.
#[test]
fn a_peer_that_hangs_up_while_its_port_is_paused_costs_no_time() {
    let (mut switch, network) = on_the_host();
    let slow = slow_reader(&mut switch, network);
    let (near, mut far) = UnixStream::pair().unwrap();
    let port = Box::new(StreamPort::new(OwnedFd::from(near)));
    add(&mut switch, network, "burst", PortPolicy::default(), port);
    fill(&mut switch, &mut far, 100);
    drop(far);
    let (start, mut steps) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(100) {
        switch.step(Nanos::NEVER).unwrap();
        steps += 1;
    }
    assert!(is_waiting(&mut switch), "it still waits for the slow one");
    assert!(steps < 1000, "{steps} steps in 100 ms, {} frames sent", slow.taken());
}

/// What is held for one port is a small part of the pool, however big its frames.
#[test]
fn big_frames_held_for_a_stream_are_few() {
    let (mut switch, network) = on_the_host();
    let _slow = slow_reader(&mut switch, network);
    let (near, mut far) = UnixStream::pair().unwrap();
    let port = Box::new(StreamPort::new(OwnedFd::from(near)));
    add(&mut switch, network, "burst", PortPolicy::default(), port);
    // Just over a jumbo buffer: a copy of each would take one of 64 KiB.
    let frame_bytes = 9_300;
    fill(&mut switch, &mut far, frame_bytes);
    let held = switch.report().ports.iter().map(|port| port.held_frames).max().unwrap();
    assert!(held * frame_bytes <= 256 << 10, "{held} frames are held, more than one buffer's");
}

/// A slow reader of station 2: takes one frame a millisecond, which is progress.
fn slow_reader(switch: &mut Switch<HostPoller>, network: NetworkId) -> Far {
    let slow = Far::new(-1);
    slow.set(Answer::OneByOne);
    let policy = PortPolicy { mac: Some(station(2)), ..PortPolicy::default() };
    add(switch, network, "slow", policy, Box::new(slow.clone()));
    slow
}

/// Sends frames from station 1 to station 2 until they are not read any more.
fn fill(switch: &mut Switch<HostPoller>, far: &mut UnixStream, size: usize) {
    far.set_nonblocking(true).unwrap();
    let mut frame = broadcast(1);
    frame[..6].copy_from_slice(&station(2).0);
    frame.resize(size, 0);
    let bytes: Vec<u8> = [&prefix(size)[..], &frame].concat();
    // What is written of a frame must be followed by its rest.
    let mut left: &[u8] = &bytes;
    loop {
        match far.write(left) {
            Ok(written) if written < left.len() => left = &left[written..],
            Ok(_) => left = &bytes,
            Err(error) if is_waiting(switch) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return;
            }
            Err(_) => switch.step(Nanos(0)).unwrap(),
        }
    }
}

fn is_waiting(switch: &mut Switch<HostPoller>) -> bool {
    switch.report().ports.iter().any(|port| port.waiting_on.is_some())
}

fn on_the_host() -> (Switch<HostPoller>, NetworkId) {
    let mut switch = Switch::new(common::poller());
    let network = switch.add_network("test", Settings::default());
    (switch, network)
}

fn add(
    switch: &mut Switch<HostPoller>,
    network: NetworkId,
    name: &str,
    policy: PortPolicy,
    port: Box<dyn Port>,
) {
    let (name, when_gone) = (name.to_owned(), WhenGone::Keep);
    let settings = PortSettings { name, network, policy, when_gone, waits: true };
    switch.add_port(settings, port).unwrap();
}

fn station(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn broadcast(from: u8) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&station(from).0);
    frame
}

fn unicast(from: u8, to: u8) -> Vec<u8> {
    let mut frame = broadcast(from);
    frame[..6].copy_from_slice(&station(to).0);
    frame
}

/// What a port's far end does with what it is sent, or says when it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Answer {
    #[default]
    Take,
    OneByOne,
    Full,
    Gone,
    /// It has no descriptor any more, from the next read on.
    Closed,
}

/// A port's far end, and the port itself.
#[derive(Clone, Debug)]
struct Far {
    descriptor: i32,
    state: Arc<Mutex<FarState>>,
}

#[derive(Debug, Default)]
struct FarState {
    answer: Answer,
    closed: bool,
    /// What it says when it has given all frames, and there were some.
    rest: Option<Duration>,
    up: VecDeque<Vec<u8>>,
    taken: usize,
}

impl Far {
    /// A port that is watched by `descriptor`, or by none when that is negative.
    fn new(descriptor: i32) -> Self {
        Self { descriptor, state: Arc::default() }
    }

    fn add(&self, switch: &mut Switch<Hand>, network: NetworkId, when_gone: WhenGone) {
        self.add_with(PortPolicy::default(), switch, network, when_gone);
    }

    fn add_with(
        &self,
        policy: PortPolicy,
        switch: &mut Switch<Hand>,
        network: NetworkId,
        when_gone: WhenGone,
    ) {
        let name = format!("port {}", self.descriptor);
        let settings = PortSettings { name, network, policy, when_gone, waits: true };
        switch.add_port(settings, Box::new(self.clone())).unwrap();
    }

    fn set(&self, answer: Answer) {
        self.state.lock().unwrap().answer = answer;
    }

    fn give(&self, frame: Vec<u8>) {
        self.state.lock().unwrap().up.push_back(frame);
    }

    fn taken(&self) -> usize {
        self.state.lock().unwrap().taken
    }
}

impl Port for Far {
    fn source(&self) -> Option<Source> {
        let is_there = self.descriptor >= 0 && !self.state.lock().unwrap().closed;
        is_there.then_some(Source { descriptor: self.descriptor, generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let mut state = self.state.lock().unwrap();
        state.closed = state.answer == Answer::Closed;
        for place in 0..32 {
            let Some(frame) = state.up.pop_front() else {
                return state.rest.filter(|_| place > 0).map_or(Received::Drained, Received::Later);
            };
            assert!(inbox.copy(&frame), "the pool has room");
        }
        Received::More
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let mut state = self.state.lock().unwrap();
        let frames = match state.answer {
            Answer::Take => outbox.len(),
            Answer::OneByOne => 1.min(outbox.len()),
            Answer::Full | Answer::Closed => 0,
            Answer::Gone => return Sent::until(0, SendFault::Gone(Gone::Closed)),
        };
        state.taken += frames;
        let retry_after = (state.answer == Answer::OneByOne).then_some(Duration::from_millis(1));
        match state.answer {
            Answer::Take => Sent::all(frames),
            _ => Sent::until(frames, SendFault::Full { retry_after }),
        }
    }
}

const GATE: i32 = 1000;

/// A listener, and the clients that wait there.
#[derive(Clone, Debug, Default)]
struct Gate(Arc<Mutex<VecDeque<Far>>>);

impl Gate {
    fn add(
        &self,
        switch: &mut Switch<Hand>,
        network: NetworkId,
        clients_max: usize,
    ) -> vswitch::fabric::PortIndex {
        let (name, policy) = ("gate".to_owned(), PortPolicy::default());
        let settings = ListenerSettings { name, network, policy, clients_max };
        switch.add_listener(settings, Box::new(self.clone())).unwrap()
    }
}

impl Listener for Gate {
    fn source(&self) -> Source {
        Source { descriptor: GATE, generation: 0 }
    }

    fn accept(&mut self) -> io::Result<Option<Box<dyn Port>>> {
        let client = self.0.lock().unwrap().pop_front();
        Ok(client.map(|client| Box::new(client) as Box<dyn Port>))
    }
}

fn by_hand() -> (Switch<Hand>, NetworkId, Hand) {
    let hand = Hand::default();
    let mut switch = Switch::new(hand.clone());
    let network = switch.add_network("test", Settings::default());
    (switch, network, hand)
}

/// A poller that knows descriptors by their numbers alone, as epoll does, and is told what is
/// ready.
#[derive(Clone, Debug, Default)]
struct Hand(Arc<Mutex<HandState>>);

#[derive(Debug, Default)]
struct HandState {
    now: Nanos,
    watched: BTreeMap<i32, (Token, Interest)>,
    ready: VecDeque<i32>,
    /// The descriptor that is not taken.
    refused: Option<i32>,
}

impl Hand {
    fn lock(&self) -> MutexGuard<'_, HandState> {
        self.0.lock().unwrap()
    }
}

#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

impl Poller for Hand {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let mut state = self.lock();
        if state.refused == Some(source.descriptor) {
            return Err(io::Error::from_raw_os_error(28)); // ENOSPC: max_user_watches
        }
        let before = state.watched.insert(source.descriptor, (token, interest));
        assert_eq!(before, None, "{source:?} is watched twice");
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let before = self.lock().watched.insert(source.descriptor, (token, interest));
        assert!(before.is_some(), "{source:?} is not watched");
        Ok(())
    }

    fn remove(&mut self, source: Source) {
        self.lock().watched.remove(&source.descriptor);
    }

    fn wait(&mut self, _deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let mut state = self.lock();
        while let Some(descriptor) = state.ready.pop_front() {
            let Some((token, _)) = state.watched.get(&descriptor).copied() else { continue };
            events.push(Event { token, readable: true, writable: false });
        }
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        self.lock().now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWake)
    }
}
