//! Who owns an address?

use std::net::IpAddr;
use std::time::Duration;

use super::{Progress, Task};
use crate::core::{GuestCore, NeighborAnswer};
use crate::mac::MacAddress;

/// Asks who owns an address, by ARP or neighbour solicitation, and collects every answer.
#[derive(Clone, Debug)]
pub struct Resolve {
    target: IpAddr,
    listen_for: Duration,
    began_at: Option<Duration>,
    asked: u32,
    asked_at: Duration,
}

/// The answers to a question who owns an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The address.
    pub target: IpAddr,
    /// How often it was asked for.
    pub asked: u32,
    /// All answers, in order; empty when nobody has the address.
    pub answers: Vec<NeighborAnswer>,
}

impl Resolution {
    /// The one station that owns the address; None when there is none, or several say so.
    #[must_use]
    pub fn owner(&self) -> Option<MacAddress> {
        let first = self.answers.first()?.mac;
        self.answers.iter().all(|answer| answer.mac == first).then_some(first)
    }
}

impl Resolve {
    /// Asks for `target` up to three times, a second apart, until there is an answer; listens for
    /// `listen_for` after each question, so that a second answer is seen too.
    #[must_use]
    pub const fn new(target: IpAddr, listen_for: Duration) -> Self {
        Self { target, listen_for, began_at: None, asked: 0, asked_at: Duration::ZERO }
    }
}

impl Task for Resolve {
    type Output = Resolution;

    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<Resolution> {
        if self.began_at.is_none() {
            self.began_at = Some(now);
            guest.collect_answers(self.target);
            return self.ask(guest, now);
        }
        let answers = guest.answers(self.target);
        let heard_out = self.asked_at + self.listen_for;
        let patience = heard_out.max(self.asked_at + ASK_EVERY);
        if answers.is_empty() && now >= patience && self.asked < ASK_MAX {
            return self.ask(guest, now);
        }
        let until = if answers.is_empty() { patience } else { heard_out };
        if now < until {
            return Progress::Waiting(until);
        }
        let answers = answers.to_vec();
        Progress::Done(Ok(Resolution { target: self.target, asked: self.asked, answers }))
    }

    fn stop(&mut self, _: &mut GuestCore) {}
}

impl Resolve {
    fn ask(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<Resolution> {
        self.asked += 1;
        self.asked_at = now;
        match guest.ask(self.target) {
            Ok(()) => Progress::Moved,
            Err(error) => Progress::Done(Err(error)),
        }
    }
}

/// RETRANS_TIMER and MAX_MULTICAST_SOLICIT (RFC 4861, 10).
const ASK_EVERY: Duration = Duration::from_secs(1);
const ASK_MAX: u32 = 3;
