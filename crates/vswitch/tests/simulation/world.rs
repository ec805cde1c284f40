//! The simulated kernel and its guests: sockets with Linux's rules of failure, in virtual time.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use vswitch::offload::{Offload, Offloads};
use vswitch::poller::{Event, Interest, Poller, Source, Token, Wake};
use vswitch::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use vswitch::{MacAddr, Nanos};

use crate::checks::Checks;
use crate::frame::{CONTENT_LEN_MIN, Content, station};
use crate::rng::Rng;
use crate::unfinished::{self, Raw};

/// How a guest behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Reads at once whatever comes, and talks to its partner only: what it loses or waits for is
    /// the switch's doing.
    Sound,
    /// Reads at its own pace.
    Slow,
    /// Never reads.
    Deaf,
    /// Dies and comes back.
    Mortal,
}

/// What stands behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A unix datagram socket whose peer never connects: eleven frames, EAGAIN, told when writable.
    Unconnected,
    /// One whose peer is connected: as much as the sender's buffer holds, and told when writable
    /// only when three quarters of it are free.
    Connected,
    /// A packet socket: frames over the MTU are refused, some are lost with ENOBUFS.
    Interface,
    /// A queue whose room nobody tells of: the port asks for a retry after a while (XNU's rule,
    /// which the loop knows already).
    Untold,
}

/// One port's far end.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) habit: Habit,
    pub(crate) kind: Kind,
    pub(crate) partner: usize,
    pub(crate) alive: bool,
    /// What it takes, and will take from the next call on: with another peer, something else.
    takes: Offloads,
    takes_then: Offloads,
    /// Sent by the guest, not read by the switch.
    pub(crate) up: VecDeque<Raw>,
    /// Sent by the switch, not read by the guest: when it came, and the frame.
    pub(crate) down: VecDeque<Vec<u8>>,
    limit_frames: usize,
    mtu_bytes: usize,
    generation: u32,
    /// When the guest next does something.
    acts_at: Nanos,
    /// Frames a guest may send in one go.
    burst: u64,
    /// To whom it sent last.
    sent_to: Option<MacAddr>,
    /// Since when there has been room for a frame.
    room_since: Option<Nanos>,
}

impl End {
    fn tells_room(&self) -> bool {
        match self.kind {
            Kind::Untold => false,
            Kind::Connected => 4 * self.down.len() <= self.limit_frames,
            Kind::Unconnected | Kind::Interface => self.down.len() < self.limit_frames,
        }
    }

    /// For how long the switch could have sent.
    pub(crate) fn room_for(&self, now: Nanos) -> Option<Duration> {
        self.room_since.map(|since| now.since(since))
    }

    fn note_room(&mut self, now: Nanos) {
        let room = self.down.len() < self.limit_frames;
        self.room_since = room.then_some(self.room_since.unwrap_or(now));
    }
}

#[derive(Debug)]
struct Watched {
    source: Source,
    token: Token,
    interest: Interest,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) now: Nanos,
    pub(crate) rng: Rng,
    pub(crate) ends: Vec<End>,
    watched: Vec<Watched>,
    pub(crate) checks: Checks,
    next_id: u64,
    /// Everything works, everybody reads.
    pub(crate) healed: bool,
    /// Nobody sends any more.
    pub(crate) quiet: bool,
    pub(crate) calls: u64,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A frame waits at most so long in a sound guest's socket before it is read by that guest.
const SOUND_READ: Duration = Duration::from_micros(50);

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let guests = usize::try_from(rng.range(3..9)).unwrap();
        let kinds = [Kind::Unconnected, Kind::Connected, Kind::Interface, Kind::Untold];
        let habits = [Habit::Slow, Habit::Slow, Habit::Deaf, Habit::Mortal];
        let ends: Vec<End> = (0..guests)
            .map(|guest| {
                // The first two are each other's only partners.
                let sound = guest < 2;
                let kind = if sound { Kind::Connected } else { kinds[rng.place(4)] };
                End {
                    habit: if sound { Habit::Sound } else { habits[rng.place(4)] },
                    kind,
                    partner: if sound { 1 - guest } else { guest },
                    alive: true,
                    takes: Offloads::NONE,
                    takes_then: unfinished::any_set(&mut rng),
                    up: VecDeque::new(),
                    down: VecDeque::new(),
                    limit_frames: match kind {
                        Kind::Unconnected => 11,
                        _ if sound => 4000,
                        _ => usize::try_from(rng.range(4..200)).unwrap(),
                    },
                    mtu_bytes: if rng.chance(30) { 1514 } else { 9014 },
                    generation: 0,
                    acts_at: Nanos(rng.below(1_000_000)),
                    room_since: Some(Nanos(0)),
                    burst: if sound { 8 } else { rng.range(1..120) },
                    sent_to: None,
                }
            })
            .collect();
        let checks = Checks::new(ends.len());
        Self {
            now: Nanos(1),
            rng,
            ends,
            watched: Vec::new(),
            checks,
            next_id: 0,
            healed: false,
            quiet: false,
            calls: 0,
        }
    }

    fn is_full(&self, guest: usize) -> bool {
        let end = &self.ends[guest];
        end.down.len() >= end.limit_frames
    }

    fn ready(&self, watched: &Watched) -> Event {
        let end = &self.ends[usize::try_from(watched.source.descriptor).unwrap()];
        Event {
            token: watched.token,
            readable: watched.interest.readable && !end.up.is_empty(),
            writable: watched.interest.writable && end.tells_room(),
        }
    }

    /// Lets guests act until `until`, or until the first moment at which something is ready.
    fn run(&mut self, until: Nanos, events: &mut Vec<Event>) {
        loop {
            events.extend(
                self.watched.iter().map(|w| self.ready(w)).filter(|e| e.readable || e.writable),
            );
            let next = self.ends.iter().map(|end| end.acts_at).min().unwrap_or(Nanos::NEVER);
            if !events.is_empty() || self.now >= until {
                return;
            }
            if next > until {
                self.now = until;
                return;
            }
            self.now = self.now.max(next);
            for guest in 0..self.ends.len() {
                if self.ends[guest].acts_at <= self.now {
                    self.act(guest);
                }
            }
        }
    }

    /// One moment of a guest's life.
    fn act(&mut self, guest: usize) {
        self.read(guest);
        if !self.healed && self.ends[guest].habit == Habit::Mortal && self.rng.chance(10) {
            self.die_or_return(guest);
        }
        if self.ends[guest].alive && !self.quiet {
            self.send_some(guest);
        }
        let pause = match self.ends[guest].habit {
            Habit::Sound => Duration::from_nanos(self.rng.range(10_000..50_000)),
            _ if self.healed => SOUND_READ,
            // Now and then for longer than the time after which a reader counts as stalled.
            Habit::Slow if self.rng.chance(3) => Duration::from_millis(self.rng.range(1..60)),
            _ => Duration::from_micros(self.rng.range(20..1500)),
        };
        self.ends[guest].acts_at = self.now + pause;
    }

    fn read(&mut self, guest: usize) {
        let end = &mut self.ends[guest];
        let most = match end.habit {
            _ if !end.alive => 0,
            Habit::Sound => usize::MAX,
            _ if self.healed => usize::MAX,
            Habit::Deaf => 0,
            _ => usize::try_from(self.rng.below(40)).unwrap(),
        };
        for _ in 0..most.min(end.down.len()) {
            let frame = end.down.pop_front().unwrap();
            self.checks.delivered(guest, &frame, self.now);
        }
        self.ends[guest].note_room(self.now);
    }

    fn die_or_return(&mut self, guest: usize) {
        let takes = unfinished::any_set(&mut self.rng);
        let end = &mut self.ends[guest];
        end.alive = !end.alive;
        end.takes_then = takes;
        // What was in its sockets dies with it.
        end.down.clear();
        end.note_room(self.now);
        self.checks.lost_with_guest(guest, end.up.drain(..).len());
    }

    fn send_some(&mut self, guest: usize) {
        let burst = self.ends[guest].burst;
        for _ in 0..self.rng.below(burst + 1) {
            // The guest's own send buffer: beyond it, it would have to wait.
            if self.ends[guest].up.len() >= 200 {
                return;
            }
            if self.ends[guest].habit != Habit::Sound && !self.healed && self.rng.chance(2) {
                let runt = vec![2; self.rng.place(14)];
                self.ends[guest].up.push_back((runt, Offload::NONE));
                continue;
            }
            self.send(guest);
        }
    }

    /// Sends one frame from a guest, to whomever it likes.
    fn send(&mut self, guest: usize) {
        let sound = self.ends[guest].habit == Habit::Sound;
        let sent_to = self.ends[guest].sent_to.filter(|_| self.rng.chance(70));
        let to = match self.rng.below(20) {
            _ if sound => station(self.ends[guest].partner),
            _ if let Some(same) = sent_to => same,
            0 => MacAddr::BROADCAST,
            1 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
            2 => station(900 + self.rng.place(50)),
            // Not the sound ones: their sockets are to be free for each other.
            _ => station(2 + self.rng.place(self.ends.len() - 2)),
        };
        self.ends[guest].sent_to = Some(to);
        if !sound && self.rng.chance(8) {
            self.send_unfinished(guest, to, false);
            return;
        }
        let len = match self.rng.below(12) {
            _ if sound => 200,
            0 if self.rng.chance(10) => self.rng.range(9_000..65_551),
            1 => self.rng.range(1_515..9_014),
            _ => self.rng.range(CONTENT_LEN_MIN as u64..1_515),
        };
        self.send_frame(guest, to, usize::try_from(len).unwrap());
    }

    pub(crate) fn send_frame(&mut self, guest: usize, to: MacAddr, len: usize) {
        let content = Content { to, from: station(guest), id: self.next_id, len };
        self.next_id += 1;
        self.checks.sent(guest, content, self.now);
        self.ends[guest].up.push_back((content.write(), Offload::NONE));
    }

    /// Sends a frame with work left on it, which is told rightly when it is to be `valid`.
    pub(crate) fn send_unfinished(&mut self, guest: usize, to: MacAddr, valid: bool) {
        let from = station(guest);
        let make = if valid { unfinished::valid } else { unfinished::any };
        let raw = make(&mut self.rng, to, from);
        let content = Content { to, from, id: self.next_id, len: raw.0.len() };
        self.next_id += 1;
        self.checks.sent_unfinished(guest, content, self.now, raw.clone());
        self.ends[guest].up.push_back(raw);
    }

    /// The number that the next frame gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id
    }

    /// From here on everything works.
    pub(crate) fn heal(&mut self) {
        self.healed = true;
        for end in &mut self.ends {
            end.alive = true;
            end.acts_at = self.now;
        }
    }
}

/// A port of the simulated kernel.
#[derive(Debug)]
pub(crate) struct SimPort {
    pub(crate) guest: usize,
    pub(crate) shared: Shared,
}

impl Port for SimPort {
    fn source(&self) -> Option<Source> {
        let world = lock(&self.shared);
        let generation = world.ends[self.guest].generation;
        Some(Source { descriptor: i32::try_from(self.guest).unwrap(), generation })
    }

    fn takes(&self) -> Offloads {
        lock(&self.shared).ends[self.guest].takes
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let mut world = lock(&self.shared);
        world.calls += 1;
        let end = &mut world.ends[self.guest];
        end.takes = end.takes_then;
        // Short batches too, as a kernel may give them.
        let most = usize::try_from(world.rng.range(1..33)).unwrap();
        for place in 0..most {
            let Some(frame) = world.ends[self.guest].up.pop_front() else {
                return match world.rng.range(0..4) {
                    0 if place > 0 => Received::Later(Duration::from_micros(50)),
                    _ => Received::Drained,
                };
            };
            if !inbox.copy_unfinished(&frame.0, frame.1) {
                world.ends[self.guest].up.push_front(frame);
                return Received::NoBuffers;
            }
            world.checks.read_by_switch(self.guest, &frame);
        }
        Received::More
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let mut world = lock(&self.shared);
        world.calls += 1;
        let guest = self.guest;
        let most = usize::try_from(world.rng.range(1..65)).unwrap();
        for (place, (frame, offload)) in outbox.frames().enumerate().take(most) {
            // An interface cuts segments to its MTU, others are told the size to cut to.
            let is_big = frame.len() > world.ends[guest].mtu_bytes && offload.gso.is_none();
            let fault = if !world.ends[guest].alive {
                Some(SendFault::NoPeer)
            } else if is_big && world.ends[guest].kind == Kind::Interface {
                Some(SendFault::TooBig)
            } else if world.is_full(guest) {
                let untold = world.ends[guest].kind == Kind::Untold;
                let retry_after = untold.then_some(Duration::from_micros(200));
                Some(SendFault::Full { retry_after })
            } else if world.ends[guest].kind == Kind::Interface
                && !world.healed
                && world.rng.chance(2)
            {
                Some(SendFault::Lost)
            } else {
                None
            };
            if let Some(fault) = fault {
                return Sent::until(place, fault);
            }
            let (now, takes) = (world.now, world.ends[guest].takes);
            world.checks.given(guest, &(frame.to_vec(), *offload), takes, now);
            world.ends[guest].down.push_back(frame.to_vec());
            world.ends[guest].note_room(now);
        }
        Sent::all(outbox.len().min(most))
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        let end = &mut lock(&self.shared).ends[self.guest];
        end.takes = end.takes_then;
        Ok(now + Duration::from_millis(250))
    }
}

/// The poller of virtual time.
#[derive(Debug)]
pub(crate) struct SimPoller(pub(crate) Shared);

impl Poller for SimPoller {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let mut world = lock(&self.0);
        let twice = world.watched.iter().any(|watched| watched.source == source);
        assert!(!twice, "{source:?} is watched already");
        world.watched.push(Watched { source, token, interest });
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let mut world = lock(&self.0);
        let watched = world.watched.iter_mut().find(|watched| watched.source == source);
        let watched = watched.expect("only what is watched can be modified");
        (watched.token, watched.interest) = (token, interest);
        Ok(())
    }

    fn remove(&mut self, source: Source) {
        lock(&self.0).watched.retain(|watched| watched.source != source);
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let mut guard = lock(&self.0);
        let world = &mut *guard;
        world.calls += 1;
        // A system call takes its time, and the loop's own work since the last one did too.
        world.now = Nanos(world.now.0 + 2_000);
        world.run(deadline.max(world.now), events);
        world.rng.shuffle(events);
        if world.rng.chance(5) {
            // Not everything at once.
            events.truncate(1);
        }
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        let mut world = lock(&self.0);
        world.now = Nanos(world.now.0 + 100);
        world.now
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
