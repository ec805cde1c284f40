//! Two loops joined by a trunk, in turn and in virtual time, so that nothing depends on when
//! threads run: who waits for whom across it, and what passes untouched.
#![cfg(unix)]

#[path = "../src/offload/testing.rs"]
#[allow(dead_code, reason = "this test binary uses its part")]
mod testing;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use testing::{Shape, V4};
use vswitch::counters::{DropReason, PortCounters};
use vswitch::fabric::{PortPolicy, Settings};
use vswitch::offload::{self, Offload, Offloads, Segmenter};
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::port::{Inbox, Outbox, Port, Received, SendFault, Sent, TrunkPort};
use vswitch::switch::{NetworkId, PortReport, PortSettings, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};

/// So much later is each round.
const ROUND: u64 = 10_000;

#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicU64>);

/// A poller to which all that is watched is always ready, and that never waits.
#[derive(Debug, Default)]
struct Always {
    clock: Clock,
    watched: HashMap<Source, (Token, Interest)>,
}

impl Poller for Always {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.watched.insert(source, (token, interest));
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.add(source, token, interest)
    }

    fn remove(&mut self, source: Source) {
        self.watched.remove(&source);
    }

    fn wait(&mut self, _: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let ready = self.watched.values().map(|&(token, Interest { readable, writable })| Event {
            token,
            readable,
            writable,
        });
        events.extend(ready);
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        Nanos(self.clock.0.load(Ordering::Relaxed))
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(Nobody)
    }
}

#[derive(Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// A card in memory.
#[derive(Clone, Debug)]
struct Card(Arc<Mutex<CardState>>);

#[derive(Debug)]
struct CardState {
    clock: Clock,
    descriptor: i32,
    takes: Offloads,
    /// It takes four frames in so many nanoseconds; none at all for `None`.
    four_in_ns: Option<u64>,
    takes_again_at: u64,
    up: VecDeque<(Vec<u8>, Offload)>,
    got: Vec<(Vec<u8>, Offload)>,
}

impl Card {
    fn state(&self) -> MutexGuard<'_, CardState> {
        self.0.lock().unwrap()
    }

    fn give(&self, bytes: Vec<u8>) {
        self.state().up.push_back((bytes, Offload::NONE));
    }
}

impl Port for Card {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.state().descriptor, generation: 0 })
    }

    fn takes(&self) -> Offloads {
        self.state().takes
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let mut state = self.state();
        for _ in 0..32 {
            let Some((bytes, offload)) = state.up.front() else { return Received::Drained };
            if !inbox.copy_unfinished(bytes, *offload) {
                return Received::NoBuffers;
            }
            state.up.pop_front();
        }
        Received::More
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let mut state = self.state();
        let now = state.clock.0.load(Ordering::Relaxed);
        let full = SendFault::Full { retry_after: Some(Duration::from_micros(50)) };
        let Some(four_in_ns) = state.four_in_ns else { return Sent::until(0, full) };
        if now < state.takes_again_at {
            return Sent::until(0, full);
        }
        state.takes_again_at = now + four_in_ns;
        let frames = outbox.frames().take(4).map(|(bytes, offload)| (bytes.to_vec(), *offload));
        let before = state.got.len();
        state.got.extend(frames);
        Sent::until(state.got.len() - before, full)
    }
}

/// Two loops, and the trunk between them.
struct Pair {
    clock: Clock,
    switches: [Switch<Always>; 2],
    network: NetworkId,
    cards: u8,
}

impl Pair {
    fn new() -> Self {
        let clock = Clock::default();
        let mut switches = [(), ()]
            .map(|()| Switch::new(Always { clock: clock.clone(), watched: HashMap::default() }));
        let [network, _] =
            switches.each_mut().map(|switch| switch.add_network("test", Settings::default()));
        let (near, far) = TrunkPort::pair(1 << 20).unwrap();
        for (switch, end) in switches.iter_mut().zip([near, far]) {
            let policy = PortPolicy { trunk: true, ..PortPolicy::default() };
            switch.add_port(settings("trunk", network, policy), Box::new(end)).unwrap();
        }
        Self { clock, switches, network, cards: 0 }
    }

    /// Adds a card whose address is known everywhere: that of `station` with its number.
    fn add(&mut self, at: usize, takes: Offloads, four_in_ns: Option<u64>) -> Card {
        let number = self.cards;
        self.cards += 1;
        let card = Card(Arc::new(Mutex::new(CardState {
            clock: self.clock.clone(),
            // Beyond the trunk's.
            descriptor: 10_000 + i32::from(number),
            takes,
            four_in_ns,
            takes_again_at: 0,
            up: VecDeque::new(),
            got: Vec::new(),
        })));
        let policy = PortPolicy { mac: Some(station(number)), ..PortPolicy::default() };
        let settings = settings(&format!("{number}"), self.network, policy);
        self.switches[at].add_port(settings, Box::new(card.clone())).unwrap();
        let other = &mut self.switches[1 - at];
        let trunk = other.report().trunks[0].index;
        other.add_static(trunk, station(number)).unwrap();
        card
    }

    fn run_until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        for _ in 0..1_000_000 {
            for switch in &mut self.switches {
                switch.step(Nanos(0)).unwrap();
            }
            self.clock.0.fetch_add(ROUND, Ordering::Relaxed);
            if done() {
                return;
            }
        }
        panic!("never: {what}; {:?}", self.reports());
    }

    fn reports(&mut self) -> Vec<PortReport> {
        let all = self.switches.each_mut().map(|switch| {
            let report = switch.report();
            report.ports.into_iter().chain(report.trunks)
        });
        all.into_iter().flatten().collect()
    }

    /// The counters of a port, those of all being sound.
    fn counters(&mut self, name: &str) -> PortCounters {
        let reports = self.reports();
        for port in &reports {
            assert!(port.counters.ingress.balances(), "{port:?}");
            assert!(port.counters.egress.balances(port.queued_frames), "{port:?}");
        }
        reports.iter().find(|port| port.name == name).expect("a port").counters
    }
}

fn settings(name: &str, network: NetworkId, policy: PortPolicy) -> PortSettings {
    let when_gone = WhenGone::Keep;
    PortSettings { name: name.to_owned(), network, policy, when_gone, waits: true }
}

fn station(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn numbered(to: u8, from: u8, number: u64) -> Vec<u8> {
    let numbers = number.to_le_bytes();
    [&station(to).0[..], &station(from).0, &[0x88, 0xb5], &numbers, &[0; 300]].concat()
}

/// The numbers of the frames that a card got from `from`.
fn numbers(card: &Card, from: u8) -> Vec<u64> {
    let state = card.state();
    let its = state.got.iter().filter(|(bytes, _)| bytes[6..12] == station(from).0);
    its.map(|(bytes, _)| u64::from_le_bytes(bytes[14..22].try_into().unwrap())).collect()
}

#[test]
fn a_sender_is_slowed_by_a_slow_reader_in_the_other_loop_and_loses_nothing() {
    const FRAMES: u64 = 20_000;
    let mut pair = Pair::new();
    let sender = pair.add(0, Offloads::NONE, Some(0));
    // Its queue takes far longer to go down than a silent port is waited for.
    let slow = pair.add(1, Offloads::NONE, Some(400_000));
    (0..FRAMES).for_each(|n| sender.give(numbered(1, 0, n)));
    pair.run_until("the slow one has all", || slow.state().got.len() as u64 == FRAMES);
    assert!(numbers(&slow, 0).into_iter().eq(0..FRAMES), "in order");
    assert!(pair.counters("0").pauses > 10, "the sender was not read meanwhile");
    for port in pair.reports() {
        let PortCounters { ingress, egress, .. } = port.counters;
        assert_eq!((ingress.dropped.total(), egress.dropped.total()), (0, 0), "{port:?}");
    }
}

#[test]
fn a_dead_reader_in_the_other_loop_holds_nobody_up() {
    const FRAMES: u64 = 20_000;
    let mut pair = Pair::new();
    let sender = pair.add(0, Offloads::NONE, Some(0));
    let dead = pair.add(1, Offloads::NONE, None);
    let quick = pair.add(1, Offloads::NONE, Some(0));
    for n in 0..FRAMES {
        sender.give(numbered(1, 0, n));
        sender.give(numbered(2, 0, n));
    }
    pair.run_until("the quick one has all", || quick.state().got.len() as u64 == FRAMES);
    assert!(numbers(&quick, 0).into_iter().eq(0..FRAMES), "in order");
    assert_eq!(dead.state().got.len(), 0);
    let dropped = pair.counters("1").egress.dropped;
    assert!(dropped.of(DropReason::Stalled) > 1000, "{dropped:?}");
    assert_eq!(pair.counters("trunk").egress.dropped.total(), 0);
}

/// What the sender left to do passes the trunk with the frame, and is done at the last port only.
#[test]
fn segments_cross_whole_and_are_cut_where_they_must_be() {
    let mut pair = Pair::new();
    let sender = pair.add(0, Offloads::ALL, Some(0));
    let able = pair.add(1, Offloads::ALL, Some(0));
    let unable = pair.add(1, Offloads::NONE, Some(0));
    let shape = Shape {
        version: V4,
        tcp: true,
        tags: 0,
        network_options: 0,
        tcp_options: 0,
        flags: 0x18,
        payload: 50_000,
        segment: 1400,
        seed: 7,
    };
    let example = shape.build();
    let addressed = |to: u8| {
        let mut bytes = example.bytes.clone();
        bytes[..6].copy_from_slice(&station(to).0);
        bytes[6..12].copy_from_slice(&station(0).0);
        bytes
    };
    for to in [1, 2] {
        sender.state().up.push_back((addressed(to), example.offload));
    }
    let mut expected = Vec::new();
    let whole = addressed(2);
    let mut segmenter = Segmenter::new(&whole, &example.offload).unwrap();
    let mut buffer = [0; 2048];
    while let Some(len) = segmenter.next_into(&mut buffer) {
        expected.push((buffer[..len].to_vec(), Offload::NONE));
    }
    pair.run_until("all is there", || unable.state().got.len() == expected.len());
    assert_eq!(able.state().got, [(addressed(1), example.offload)], "untouched");
    assert_eq!(unable.state().got, expected);
    assert_eq!(pair.counters("trunk").egress.sent_frames, 2, "a segment is one frame until then");
}
