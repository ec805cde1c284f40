//! A guest in real time, in the caller's thread.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::GuestConfig;
use crate::core::GuestCore;
use crate::core::watch::Event;
use crate::error::{Error, TaskError};
use crate::link::Link;
use crate::task::{
    Dhcp, Lease, Ping, PingConfig, PingReport, Progress, Resolution, Resolve, Task, Transfer,
    TransferConfig,
};
use crate::throughput::TransferReport;

/// A guest on a cable. It acts only while one of its methods runs; a guest that should answer all
/// the time belongs into a [`crate::GuestHandle`].
#[derive(Debug)]
pub struct Guest {
    core: GuestCore,
    link: Link,
    epoch: Instant,
    times_up: u64,
    stop: Option<Arc<AtomicBool>>,
}

impl Guest {
    /// Plugs a guest in. The first thing it does is to announce its addresses.
    ///
    /// # Errors
    /// When the guest cannot be as described.
    pub fn new(config: GuestConfig, link: Link) -> Result<Self, Error> {
        let core = GuestCore::new(config, Duration::ZERO)?;
        Ok(Self { core, link, epoch: Instant::now(), times_up: 0, stop: None })
    }

    /// The guest's stack.
    #[must_use]
    pub const fn core(&self) -> &GuestCore {
        &self.core
    }

    /// The guest's stack.
    pub const fn core_mut(&mut self) -> &mut GuestCore {
        &mut self.core
    }

    /// The guest's cable.
    #[must_use]
    pub const fn link(&self) -> &Link {
        &self.link
    }

    /// Makes every run of this guest end soon after `stop` was set to true, by a signal's handler
    /// for instance: tasks fail with [`TaskError::Stopped`], and [`Guest::run_until`] says false.
    pub fn stop_on(&mut self, stop: Arc<AtomicBool>) {
        self.stop = Some(stop);
    }

    /// Time since the guest's epoch: what its core and its tasks call now.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Carries out `task`; meanwhile the guest answers what others ask.
    ///
    /// # Errors
    /// What the task says, or what ended the link for good.
    pub fn run<T: Task>(&mut self, mut task: T) -> Result<T::Output, Error> {
        let done = self.drive(&mut task);
        task.stop(&mut self.core);
        // Let the last acknowledgements out: the peer would wait for them.
        let settled = |core: &mut GuestCore| !core.is_closing();
        let settling = self.run_until(Some(Instant::now() + SETTLE_MAX), settled);
        let output = done?;
        settling?;
        Ok(output)
    }

    /// Answers what others ask until `condition` holds, or until `deadline`; says whether it holds.
    /// The condition is looked at whenever something moved, and every 50 ms.
    ///
    /// # Errors
    /// What ended the link for good.
    pub fn run_until(
        &mut self,
        deadline: Option<Instant>,
        mut condition: impl FnMut(&mut GuestCore) -> bool,
    ) -> Result<bool, Error> {
        loop {
            let moved = self.turn()?;
            if condition(&mut self.core) {
                return Ok(true);
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) || self.is_stopped() {
                return Ok(false);
            }
            if !moved {
                let left = deadline.map_or(LOOK_EVERY, |deadline| deadline - now);
                self.sleep(Some(self.now() + left.min(LOOK_EVERY)), None)?;
            }
        }
    }

    /// Pings; missing replies are no error ([`PingReport::lost`]).
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn ping(&mut self, config: PingConfig) -> Result<PingReport, Error> {
        self.run(Ping::new(config))
    }

    /// Asks who owns `target`, and listens for `listen_for` for every answer; that there is none is
    /// no error ([`Resolution::owner`]).
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn resolve(&mut self, target: IpAddr, listen_for: Duration) -> Result<Resolution, Error> {
        self.run(Resolve::new(target, listen_for))
    }

    /// Gets and takes an address from a DHCP server.
    ///
    /// # Errors
    /// As [`Guest::run`]; without a lease in time the error says which step had no answer.
    pub fn dhcp(&mut self, timeout: Duration) -> Result<Lease, Error> {
        self.run(Dhcp::new(timeout))
    }

    /// Transfers bytes over TCP, checking each.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn transfer(&mut self, config: TransferConfig) -> Result<TransferReport, Error> {
        self.run(Transfer::new(config))
    }

    /// One turn: reconnects if need be, and polls the stack; says whether anything moved.
    pub(crate) fn turn(&mut self) -> Result<bool, Error> {
        self.link.tend()?;
        if self.link.times_up() != self.times_up {
            if self.times_up > 0 {
                self.core.watch().tell(Event::LinkBack);
            }
            self.times_up = self.link.times_up();
            self.core.announce();
        }
        let now = self.now();
        Ok(self.core.poll(now, &mut self.link))
    }

    /// Waits until there may be something to do: at `until`, when the stack says, when a frame
    /// comes, when the cable takes one again, or when `waker` is readable.
    pub(crate) fn sleep(
        &mut self,
        until: Option<Duration>,
        waker: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let now = self.now();
        let at = [self.core.poll_at(now), until].into_iter().flatten().min();
        let timeout = at.map_or(SLEEP_MAX, |at| at.saturating_sub(now));
        let longest = if self.stop.is_some() { LOOK_EVERY } else { SLEEP_MAX };
        let timeout = timeout.clamp(SLEEP_MIN, longest);
        Ok(self.link.wait(timeout, self.core.is_blocked(), waker)?)
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    fn drive<T: Task>(&mut self, task: &mut T) -> Result<T::Output, Error> {
        loop {
            let moved = self.turn()?;
            if self.is_stopped() {
                return Err(TaskError::Stopped.into());
            }
            let now = self.now();
            let until = match task.step(&mut self.core, now) {
                Progress::Done(output) => return Ok(output?),
                // What was queued may still find the cable full.
                Progress::Moved if moved || !self.core.is_blocked() => continue,
                Progress::Moved => now + SLEEP_MAX,
                Progress::Waiting(_) if moved => continue,
                Progress::Waiting(until) => until,
            };
            self.sleep(Some(until), None)?;
        }
    }
}

/// For connections to end after a task; one that takes longer is cut.
const SETTLE_MAX: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// A stack that is due and has nothing to say must not spin.
const SLEEP_MIN: Duration = Duration::from_micros(200);
