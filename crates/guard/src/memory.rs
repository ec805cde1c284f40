//! The whole loop without a system call: a switch whose ports and whose poller are in memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use vswitch::fabric::{PortPolicy, Settings};
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::pool::SizeClass;
use vswitch::port::{Inbox, Outbox, Port, Received, SendFault, Sent};
use vswitch::switch::{PortSettings, Switch, WhenGone};
use vswitch::{MacAddr, Nanos};

/// A switch with one network, and what its ports are connected to.
#[derive(Debug)]
pub struct MemorySwitch {
    switch: Switch<MemoryPoller>,
    cables: Cables,
    /// How many ports each of the first port's frames goes to.
    copies: usize,
    frame_bytes: usize,
}

/// What the switch and its ports are like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many ports, 2 to 256. The first sends.
    pub ports: usize,
    /// For whom its frames are.
    pub to: To,
    /// How many bytes each frame has, 14 to 2,000.
    pub frame_bytes: usize,
    /// How many frames a port takes until it says that it is full, which it is for the rest of the
    /// round.
    pub takes_per_round: usize,
}

/// For whom the first port's frames are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The second port's station, all of them.
    One,
    /// The stations of the other ports in turn, so that no two in a row are for the same: three
    /// ports at least.
    EachInTurn,
    /// Everybody.
    All,
}

impl Shape {
    /// From one port to another, which is never full.
    #[must_use]
    pub const fn unicast(frame_bytes: usize) -> Self {
        Self { ports: 2, to: To::One, frame_bytes, takes_per_round: usize::MAX }
    }
}

type Cables = Arc<[Cable]>;

/// What a port is connected to: how many frames that has for the switch, and how many it took.
#[derive(Debug, Default)]
struct Cable {
    to_give: AtomicUsize,
    taken: AtomicUsize,
    taken_bytes: AtomicUsize,
    /// How many more it takes in this round.
    room: AtomicUsize,
}

/// The loop needs fewer rounds than this for a frame, whatever the shape.
const ROUNDS_PER_FRAME_MAX: usize = 4;

impl MemorySwitch {
    /// A switch that has heard every port's station.
    ///
    /// # Panics
    /// When the shape is not as it may be.
    #[must_use]
    pub fn new(shape: Shape) -> Self {
        let Shape { ports, to, frame_bytes, takes_per_round } = shape;
        assert!(to != To::EachInTurn || ports > 2, "nobody to take turns with");
        let cables: Cables = (0..ports).map(|_| Cable::default()).collect();
        let mut switch = Switch::new(MemoryPoller {
            now: Nanos(0),
            watched: Vec::new(),
            cables: Arc::clone(&cables),
            takes_per_round,
        });
        let network = switch.add_network("memory", Settings::default());
        for place in 0..ports {
            let settings = PortSettings {
                name: place.to_string(),
                network,
                policy: PortPolicy::default(),
                when_gone: WhenGone::Keep,
                waits: true,
            };
            let port = MemoryPort::new(shape, place, Arc::clone(&cables));
            switch.add_port(settings, Box::new(port)).expect("a free place");
        }
        let copies = if to == To::All { ports - 1 } else { 1 };
        let mut this = Self { switch, cables, copies, frame_bytes };
        for place in 0..ports {
            this.cables[place].to_give.store(1, Relaxed);
            for _ in 0..ROUNDS_PER_FRAME_MAX {
                this.round();
            }
        }
        this
    }

    /// Has the first port send `frames` frames, and returns when all that came of them was taken.
    ///
    /// # Panics
    /// When a frame was lost.
    pub fn carry(&mut self, frames: usize) {
        let (before, bytes_before) = (self.taken(), self.taken_bytes());
        let expected = before + frames * self.copies;
        self.cables[0].to_give.store(frames, Relaxed);
        for _ in 0..frames * ROUNDS_PER_FRAME_MAX {
            if self.taken() >= expected {
                break;
            }
            self.round();
        }
        assert_eq!(self.taken(), expected, "{:?}", self.switch.report());
        let bytes = self.taken_bytes() - bytes_before;
        assert_eq!(bytes, (expected - before) * self.frame_bytes);
    }

    fn taken(&self) -> usize {
        self.cables.iter().map(|cable| cable.taken.load(Relaxed)).sum()
    }

    fn taken_bytes(&self) -> usize {
        self.cables.iter().map(|cable| cable.taken_bytes.load(Relaxed)).sum()
    }

    fn round(&mut self) {
        self.switch.step(Nanos(0)).expect("a poller that always answers");
    }
}

/// The address of the station behind a port.
fn station(place: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, u8::try_from(place).expect("256 ports at most")])
}

/// A port that sends a few frames again and again.
#[derive(Debug)]
struct MemoryPort {
    frames: Vec<Vec<u8>>,
    /// Which comes next.
    next: usize,
    place: usize,
    cables: Cables,
}

impl MemoryPort {
    fn new(shape: Shape, place: usize, cables: Cables) -> Self {
        let to = match shape.to {
            _ if place > 0 => vec![station(0)],
            To::One => vec![station(1)],
            To::EachInTurn => (1..shape.ports).map(station).collect(),
            To::All => vec![MacAddr::BROADCAST],
        };
        let frame = |to: MacAddr| {
            let mut frame = vec![0; shape.frame_bytes];
            frame[..6].copy_from_slice(&to.0);
            frame[6..12].copy_from_slice(&station(place).0);
            frame
        };
        Self { frames: to.into_iter().map(frame).collect(), next: 0, place, cables }
    }

    fn cable(&self) -> &Cable {
        &self.cables[self.place]
    }
}

impl Port for MemoryPort {
    fn source(&self) -> Option<Source> {
        let descriptor = i32::try_from(self.place).expect("256 ports at most");
        Some(Source { descriptor, generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        const CLASS: SizeClass = SizeClass::Small;
        let left = self.cable().to_give.load(Relaxed);
        let mut given = 0;
        for slot in inbox.slots(CLASS, left) {
            let frame = &self.frames[self.next];
            slot.head[..frame.len()].copy_from_slice(frame);
            given += 1;
            self.next += 1;
            if self.next == self.frames.len() {
                self.next = 0;
            }
        }
        for place in 0..given {
            inbox.arrived(CLASS, place, self.frames[0].len());
        }
        self.cable().to_give.store(left - given, Relaxed);
        match (given, left - given) {
            (_, 0) => Received::Drained,
            (0, _) => Received::NoBuffers,
            _ => Received::More,
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let room = self.cable().room.load(Relaxed);
        let (mut taken, mut taken_bytes) = (0, 0);
        for frame in outbox.iter().take(room) {
            taken += 1;
            taken_bytes += frame.len();
        }
        self.cable().room.store(room - taken, Relaxed);
        self.cable().taken.fetch_add(taken, Relaxed);
        self.cable().taken_bytes.fetch_add(taken_bytes, Relaxed);
        match taken < outbox.len() {
            true => Sent::until(taken, SendFault::Full { retry_after: None }),
            false => Sent::all(taken),
        }
    }
}

/// A poller by whose clock each look takes a tenth of a microsecond.
#[derive(Debug)]
struct MemoryPoller {
    now: Nanos,
    watched: Vec<Watched>,
    cables: Cables,
    takes_per_round: usize,
}

#[derive(Debug)]
struct Watched {
    source: Source,
    token: Token,
    interest: Interest,
}

impl Poller for MemoryPoller {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.watched.push(Watched { source, token, interest });
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        for watched in self.watched.iter_mut().filter(|watched| watched.source == source) {
            (watched.token, watched.interest) = (token, interest);
        }
        Ok(())
    }

    fn remove(&mut self, source: Source) {
        self.watched.retain(|watched| watched.source != source);
    }

    fn wait(&mut self, _: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        for cable in self.cables.iter() {
            cable.room.store(self.takes_per_round, Relaxed);
        }
        for Watched { source, token, interest } in &self.watched {
            let place = usize::try_from(source.descriptor).map_err(io::Error::other)?;
            let readable = interest.readable && self.cables[place].to_give.load(Relaxed) > 0;
            if readable || interest.writable {
                events.push(Event { token: *token, readable, writable: interest.writable });
            }
        }
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        self.now.0 += 100;
        self.now
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(NobodyWakes)
    }
}

#[derive(Debug)]
struct NobodyWakes;

impl Wake for NobodyWakes {
    fn wake(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_carries_all() {
        for frame_bytes in [14, 64, 1514, 2000] {
            for (ports, to) in
                [(2, To::One), (2, To::All), (8, To::One), (8, To::EachInTurn), (8, To::All)]
            {
                let shape = Shape { ports, to, ..Shape::unicast(frame_bytes) };
                MemorySwitch::new(shape).carry(1000);
            }
        }
    }

    #[test]
    fn the_loop_counts_rounds_in_which_it_had_work_and_batches_as_they_came() {
        const BATCH: usize = SizeClass::Small.batch_frames();
        let mut switch = MemorySwitch::new(Shape::unicast(64));
        let counters = |switch: &mut MemorySwitch| {
            let report = switch.switch.report();
            (report.loops[0].counters, report.ports[0].counters.ingress)
        };
        let (loop_before, before) = counters(&mut switch);
        switch.carry(100 * BATCH);
        let (loop_after, after) = counters(&mut switch);
        assert_eq!(after.batches.sum() - before.batches.sum(), (100 * BATCH) as u64);
        assert_eq!(after.batches.count() - before.batches.count(), 100);
        let empty = after.empty_batches - before.empty_batches;
        assert_eq!(empty, 1, "asked once more, there having been more until then");
        let rounds = loop_after.rounds.count() - loop_before.rounds.count();
        // Four batches of the port since it is ready, and four since there was more before.
        assert_eq!(rounds, 100_u64.div_ceil(4 + 4));
        // By this poller's clock each look takes 100 ns: one after each call, one at the end.
        let took = loop_after.rounds.sum() - loop_before.rounds.sum();
        assert_eq!(took, 100 * (100 + empty + rounds));
        (0..50).for_each(|_| switch.round());
        let (idle, _) = counters(&mut switch);
        assert_eq!(idle.rounds, loop_after.rounds, "nothing was there to do");
        assert!(idle.wakeups >= loop_after.wakeups + 50, "{idle:?}");
    }

    #[test]
    fn a_slow_port_has_its_sender_wait_and_loses_nothing() {
        let mut switch = MemorySwitch::new(Shape { takes_per_round: 100, ..Shape::unicast(64) });
        switch.carry(5000);
        let counters = switch.switch.report().ports[0].counters;
        assert!(counters.pauses > 0, "{counters:?}");
        assert_eq!(switch.cables[1].taken.load(Relaxed), 5000 + 1, "and the greeting");
    }
}
