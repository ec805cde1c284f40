//! A network of guests in virtual time: every frame goes through a hub, which may lose or repeat
//! it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use std::net::IpAddr;
use std::time::Duration;

use probe::{
    GuestConfig, GuestCore, MacAddress, MemoryWire, Progress, Task, TaskError, Transmit, Wire,
};

/// What the hub does with a frame.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Lose,
    Repeat,
}

type Judge = Box<dyn FnMut(usize, &[u8]) -> Fate>;
type Station = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;

pub struct Lab {
    pub now: Duration,
    pub guests: Vec<GuestCore>,
    /// Each guest's end of its cable, and the hub's.
    cables: Vec<(MemoryWire, MemoryWire)>,
    /// Takes the sender's number and the frame.
    pub fate: Judge,
    /// A station that is no guest: takes a frame, gives frames.
    pub station: Option<Station>,
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub fn config(number: u8) -> GuestConfig {
    GuestConfig::new(MacAddress([2, 0, 0, 0, 0, number]))
        .with_address(format!("192.0.2.{number}/24").parse().expect("an address"))
        .with_address(format!("2001:db8::{number}/64").parse().expect("an address"))
}

impl Lab {
    /// Guests as described, all on one hub.
    pub fn new(configs: impl IntoIterator<Item = GuestConfig>) -> Self {
        let guest = |config| GuestCore::new(config, Duration::ZERO).expect("a guest");
        let guests: Vec<GuestCore> = configs.into_iter().map(guest).collect();
        let cables = guests.iter().map(|_| MemoryWire::pair(64)).collect();
        let fate = Box::new(|_: usize, _: &[u8]| Fate::Pass);
        Self { now: Duration::ZERO, guests, cables, fate, station: None }
    }

    /// Carries out `task` as guest `who`; an hour of virtual time is a test's end.
    pub fn run<T: Task>(&mut self, who: usize, mut task: T) -> Result<T::Output, TaskError> {
        let end = self.now + Duration::from_secs(3600);
        while self.now < end {
            self.settle();
            match task.step(&mut self.guests[who], self.now) {
                Progress::Done(output) => {
                    task.stop(&mut self.guests[who]);
                    self.settle();
                    return output;
                }
                Progress::Moved => {}
                Progress::Waiting(until) => self.pass_time(until),
            }
        }
        panic!("no end within an hour of virtual time");
    }

    /// Lets time pass up to `until`, with all that is due on the way.
    pub fn run_until(&mut self, until: Duration) {
        self.settle();
        while self.now < until {
            self.pass_time(until);
            self.settle();
        }
    }

    /// Moves frames until all is quiet.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for (guest, (cable, _)) in self.guests.iter_mut().zip(&mut self.cables) {
                moved |= guest.poll(self.now, cable);
            }
            moved |= self.carry();
            if !moved {
                return;
            }
        }
    }

    /// Puts a frame on the hub, as if from a station that is no guest.
    pub fn inject(&mut self, frame: &[u8]) {
        self.deliver(usize::MAX, frame);
    }

    fn pass_time(&mut self, until: Duration) {
        let now = self.now;
        let due = self.guests.iter_mut().filter_map(|guest| guest.poll_at(now)).min();
        let next = due.map_or(until, |due| due.min(until));
        self.now = next.max(now + Duration::from_micros(50));
    }

    fn carry(&mut self) -> bool {
        let mut moved = false;
        for from in 0..self.cables.len() {
            // A few at a time from each, so that cables fill and drain as real ones do.
            for _ in 0..16 {
                let Some(frame) = self.cables[from].1.take() else { break };
                moved = true;
                match (self.fate)(from, &frame) {
                    Fate::Lose => {}
                    Fate::Pass => self.deliver(from, &frame),
                    Fate::Repeat => {
                        self.deliver(from, &frame);
                        self.deliver(from, &frame);
                    }
                }
            }
        }
        moved
    }

    fn deliver(&mut self, from: usize, frame: &[u8]) {
        for (number, (_, hub_end)) in self.cables.iter_mut().enumerate() {
            if number != from {
                // A cable that is full loses it, as a hub would.
                let _: Transmit = hub_end.transmit(frame);
            }
        }
        if from != usize::MAX
            && let Some(mut station) = self.station.take()
        {
            for reply in station(frame) {
                self.deliver(usize::MAX, &reply);
            }
            self.station = Some(station);
        }
    }
}

/// A small generator of numbers (xorshift64*), so that a test's losses are the same each time.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % bound
    }
}
