//! Guests and the host of the LAN, with their habits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use probe::{Transmit, Wire};
use xnu_sim::{Actor, Polled, Rng};

use crate::checks::Checks;
use crate::frame::{BROADCAST, CONTENT_LEN_MIN, Content, station};

/// How a station behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Reads at once whatever comes, and talks to its partner only: what it loses is the switch's
    /// doing, whatever happens to the uplink.
    Sound { partner: usize },
    /// Reads at its own pace, talks to anybody.
    Slow,
    /// Never reads.
    Deaf,
    /// Dies once.
    Mortal,
}

/// What all stations share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) checks: Checks,
    pub(crate) stations: usize,
    /// Everybody reads, nobody dies.
    pub(crate) is_healed: bool,
    /// Nobody sends by itself.
    pub(crate) is_quiet: bool,
    /// Frames for a station to send next.
    pub(crate) wanted: Vec<(usize, [u8; 6])>,
    pub(crate) dead: Vec<bool>,
}

pub(crate) type Shared = Arc<Mutex<World>>;

pub(crate) fn lock(shared: &Shared) -> MutexGuard<'_, World> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct SimStation {
    pub(crate) number: usize,
    pub(crate) habit: Habit,
    pub(crate) wire: Option<Box<dyn Wire + Send>>,
    pub(crate) shared: Shared,
    pub(crate) rng: Rng,
    pub(crate) acts_at_ns: u64,
    /// The largest frame it sends by itself.
    pub(crate) frame_max: usize,
    /// What it reads into.
    pub(crate) buffer: Vec<u8>,
}

impl SimStation {
    fn read(&mut self, is_healed: bool) -> bool {
        let most = match self.habit {
            Habit::Sound { .. } => usize::MAX,
            _ if is_healed => usize::MAX,
            Habit::Deaf => 0,
            _ => self.rng.place(40),
        };
        let Some(wire) = &mut self.wire else { return false };
        let mut has_read = false;
        for _ in 0..most {
            let Some(len) = wire.receive(&mut self.buffer) else { break };
            has_read = true;
            lock(&self.shared).checks.received(self.number, &self.buffer[..len]);
        }
        has_read
    }

    fn send(&mut self, to: [u8; 6], len: usize) -> bool {
        let Some(wire) = &mut self.wire else { return false };
        let mut world = lock(&self.shared);
        let id = world.checks.number();
        let content = Content { to, from: station(self.number), id, len };
        // Noted before it is on its way: it may arrive at once.
        world.checks.sent(self.number, content);
        drop(world);
        wire.transmit(&content.write()) == Transmit::Taken
    }

    fn send_some(&mut self) -> bool {
        let stations = lock(&self.shared).stations;
        let mut has_sent = false;
        for _ in 0..self.rng.below(12) {
            let to = match self.habit {
                Habit::Sound { partner } => station(partner),
                _ if self.rng.chance(8) => BROADCAST,
                // The two sound ones are left alone.
                _ => station(2 + self.rng.place(stations - 2)),
            };
            let len = match self.rng.below(10) {
                0 => self.frame_max,
                1 => 60,
                _ => usize::try_from(self.rng.range(CONTENT_LEN_MIN as u64..1515)).unwrap(),
            };
            if to != station(self.number) {
                has_sent |= self.send(to, len.min(self.frame_max));
            }
        }
        has_sent
    }
}

impl Actor for SimStation {
    fn poll(&mut self, now_ns: u64) -> Polled {
        let (is_healed, is_quiet, wanted) = {
            let mut world = lock(&self.shared);
            let number = self.number;
            let (mine, others): (Vec<_>, Vec<_>) =
                world.wanted.drain(..).partition(|(by, _)| *by == number);
            world.wanted = others;
            (world.is_healed, world.is_quiet, mine)
        };
        if self.wire.is_none() {
            return Polled { has_acted: false, next_ns: None };
        }
        let mut has_acted = false;
        for (_, to) in wanted {
            has_acted |= self.send(to, 300);
        }
        // A sound one reads whenever it is looked at; the others in their own time.
        if matches!(self.habit, Habit::Sound { .. }) || is_healed {
            has_acted |= self.read(is_healed);
        }
        if now_ns < self.acts_at_ns {
            return Polled { has_acted, next_ns: Some(self.acts_at_ns) };
        }
        has_acted |= self.read(is_healed);
        if self.habit == Habit::Mortal && !is_healed && self.rng.chance(5) {
            self.wire = None;
            lock(&self.shared).dead[self.number] = true;
            return Polled { has_acted: true, next_ns: None };
        }
        if !is_quiet {
            has_acted |= self.send_some();
        }
        let pause = match self.habit {
            _ if is_quiet => Duration::from_millis(5),
            Habit::Sound { .. } => Duration::from_micros(self.rng.range(500..8_000)),
            Habit::Slow if self.rng.chance(3) => Duration::from_millis(self.rng.range(10..60)),
            _ => Duration::from_micros(self.rng.range(500..20_000)),
        };
        self.acts_at_ns = now_ns + u64::try_from(pause.as_nanos()).unwrap();
        Polled { has_acted, next_ns: Some(self.acts_at_ns) }
    }
}
