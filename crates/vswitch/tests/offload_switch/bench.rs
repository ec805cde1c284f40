//! A switch between ports in memory, some of which take unfinished frames, one step at a time.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use vswitch::fabric::{PortPolicy, Settings};
use vswitch::offload::{Offload, Offloads, Segmenter, complete_checksum};
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::port::{Inbox, Outbox, Port, Received, SendFault, Sent};
use vswitch::switch::{PortReport, PortSettings, Report, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};

/// A frame with the work left on it.
pub(crate) type Unfinished = (Vec<u8>, Offload);

/// What is behind one port.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) takes: Offloads,
    /// What it takes from its next call of `receive` on.
    pub(crate) takes_then: Option<Offloads>,
    /// To be received by the switch.
    pub(crate) up: VecDeque<Unfinished>,
    /// Sent by the switch.
    pub(crate) down: Vec<Unfinished>,
    /// How many frames it still has room for.
    pub(crate) room: usize,
}

#[derive(Debug)]
struct Ends {
    now: Nanos,
    ends: Vec<End>,
    watched: Vec<(Source, Token, Interest)>,
}

type Shared = Arc<Mutex<Ends>>;

fn lock(shared: &Shared) -> MutexGuard<'_, Ends> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The switch and its ends; the station behind port `n` is [`station`]`(n)`, and known.
#[derive(Debug)]
pub(crate) struct Bench {
    switch: Switch<MemoryPoller>,
    shared: Shared,
}

pub(crate) fn station(port: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(port).unwrap()])
}

/// The station's frame with those bytes behind its addresses.
pub(crate) fn addressed(mut bytes: Vec<u8>, to: MacAddr, from: usize) -> Vec<u8> {
    bytes[..6].copy_from_slice(&to.0);
    bytes[6..12].copy_from_slice(&station(from).0);
    bytes
}

/// What a frame is finished to, by the functions that `offload_kernel.rs` compares with the
/// kernel's; nothing when its offload cannot be followed.
pub(crate) fn finished((bytes, offload): &Unfinished) -> Vec<Unfinished> {
    let plain = |bytes| (bytes, Offload::NONE);
    if offload.is_none() {
        return vec![(bytes.clone(), *offload)];
    }
    if offload.gso.is_none() {
        let mut bytes = bytes.clone();
        return complete_checksum(&mut bytes, offload).map(|()| plain(bytes)).into_iter().collect();
    }
    let Ok(mut segmenter) = Segmenter::new(bytes, offload) else { return Vec::new() };
    let mut buffer = vec![0; segmenter.frame_len_max()];
    let piece = || segmenter.next_into(&mut buffer).map(|len| plain(buffer[..len].to_vec()));
    std::iter::from_fn(piece).collect()
}

impl Bench {
    pub(crate) fn new(takes: &[Offloads]) -> Self {
        let end = |takes: &Offloads| End { takes: *takes, room: usize::MAX, ..End::default() };
        let ends = takes.iter().map(end).collect();
        let shared = Arc::new(Mutex::new(Ends { now: Nanos(1), ends, watched: Vec::new() }));
        let mut switch = Switch::new(MemoryPoller(Arc::clone(&shared)));
        let network = switch.add_network("memory", Settings::default());
        for port in 0..takes.len() {
            let settings = PortSettings {
                name: format!("port{port}"),
                network,
                policy: PortPolicy { mac: Some(station(port)), ..PortPolicy::default() },
                when_gone: WhenGone::Keep,
                waits: true,
            };
            let port = MemoryPort { port, shared: Arc::clone(&shared) };
            switch.add_port(settings, Box::new(port)).unwrap();
        }
        Self { switch, shared }
    }

    /// Has `port` send frames.
    pub(crate) fn send(&self, port: usize, frames: impl IntoIterator<Item = Unfinished>) {
        lock(&self.shared).ends[port].up.extend(frames);
    }

    /// What came to `port` since the last time.
    pub(crate) fn take(&self, port: usize) -> Vec<Unfinished> {
        std::mem::take(&mut lock(&self.shared).ends[port].down)
    }

    pub(crate) fn end<T>(&self, port: usize, change: impl FnOnce(&mut End) -> T) -> T {
        change(&mut lock(&self.shared).ends[port])
    }

    pub(crate) fn steps(&mut self, count: usize) {
        for _ in 0..count {
            let until = lock(&self.shared).now;
            self.switch.step(until).unwrap();
            self.report();
        }
    }

    pub(crate) fn switch(&mut self) -> &mut Switch<MemoryPoller> {
        &mut self.switch
    }

    /// The counters, whose sums hold.
    pub(crate) fn report(&mut self) -> Report {
        let report = self.switch.report();
        for port in &report.ports {
            assert!(port.counters.ingress.balances(), "{port:?}");
            assert!(port.counters.egress.balances(port.queued_frames), "{port:?}");
            assert_counted_in_batches(port);
        }
        report
    }

    /// How many buffers are in use.
    pub(crate) fn filled_slots(&self) -> usize {
        self.switch.memory().1
    }
}

/// What came and went did so in batches.
fn assert_counted_in_batches(port: &PortReport) {
    let (ingress, egress) = (&port.counters.ingress, &port.counters.egress);
    let came = ingress.received_frames + port.held_frames as u64;
    assert_eq!(ingress.batches.sum(), came, "{port:?}");
    assert_eq!(egress.batches.sum(), egress.sent_frames, "{port:?}");
}

#[derive(Debug)]
struct MemoryPort {
    port: usize,
    shared: Shared,
}

impl Port for MemoryPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: i32::try_from(self.port).unwrap(), generation: 0 })
    }

    fn takes(&self) -> Offloads {
        lock(&self.shared).ends[self.port].takes
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let mut ends = lock(&self.shared);
        let end = &mut ends.ends[self.port];
        end.takes = end.takes_then.take().unwrap_or(end.takes);
        for _ in 0..8 {
            let Some((bytes, offload)) = ends.ends[self.port].up.pop_front() else {
                return Received::Drained;
            };
            if !inbox.copy_unfinished(&bytes, offload) {
                ends.ends[self.port].up.push_front((bytes, offload));
                return Received::NoBuffers;
            }
        }
        Received::More
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let end = &mut lock(&self.shared).ends[self.port];
        for (place, (bytes, offload)) in outbox.frames().enumerate() {
            assert!(end.takes.takes(offload), "not taken: {offload:?}");
            if end.room == 0 {
                return Sent::until(place, SendFault::Full { retry_after: None });
            }
            end.room -= 1;
            end.down.push((bytes.to_vec(), *offload));
        }
        Sent::all(outbox.len())
    }
}

#[derive(Debug)]
pub(crate) struct MemoryPoller(Shared);

impl Poller for MemoryPoller {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        lock(&self.0).watched.push((source, token, interest));
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.remove(source);
        self.add(source, token, interest)
    }

    fn remove(&mut self, source: Source) {
        lock(&self.0).watched.retain(|(watched, ..)| *watched != source);
    }

    /// A tenth of a millisecond passes with each round.
    fn wait(&mut self, _: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        let mut shared = lock(&self.0);
        shared.now.0 += 100_000;
        events.clear();
        events.extend(shared.watched.iter().map(|&(source, token, interest)| {
            let end = &shared.ends[usize::try_from(source.descriptor).unwrap()];
            let readable = interest.readable && !end.up.is_empty();
            Event { token, readable, writable: interest.writable && end.room > 0 }
        }));
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        lock(&self.0).now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NoWake)
    }
}

#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}
