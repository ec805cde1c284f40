//! A switch with its networks, from start to end.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vswitch::Nanos;
use vswitch::switch::{Handle, Report};

use crate::capture::{Capture, CaptureError, CaptureRequest};
use crate::config::Configuration;
use crate::events::Events;
use crate::loops::Loops;
use crate::platform::Platform;
use crate::report::{Applied, Ready, Stopped};

mod control;
mod desk;
mod edit;
mod error;
mod network_up;

pub use control::Control;
pub use edit::Plug;
pub use error::ServiceError;

use desk::Desk;

/// A running switch, with what was made for it.
#[derive(Debug)]
pub struct Service<P: Platform> {
    loops: Loops<P::Poller>,
    desk: Arc<Mutex<Desk<P>>>,
}

impl<P: Platform> Service<P> {
    /// Brings up networks, each with its uplink first, so that nothing is announced that has none,
    /// then its ports in their order.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is left behind then.
    pub fn start(
        platform: P,
        wanted: impl Into<Configuration>,
    ) -> Result<Self, ServiceError<P::Error>> {
        Self::start_on(platform, wanted, NonZeroUsize::MIN)
    }

    /// As [`Self::start`], with the ports of each network dealt in turn to so many loops, or as
    /// many as there are ports and uplinks. [`Self::run`] gives each a thread of its own; each has
    /// its own budget of buffers.
    ///
    /// # Errors
    /// [`ServiceError`]; also where the platform has no trunks.
    pub fn start_on(
        mut platform: P,
        wanted: impl Into<Configuration>,
        threads: NonZeroUsize,
    ) -> Result<Self, ServiceError<P::Error>> {
        let wanted = wanted.into();
        let threads = threads.min(wanted.members().try_into().unwrap_or(NonZeroUsize::MIN));
        let mut loops =
            Loops::new(&mut platform, threads).map_err(ServiceError::of("the event loop"))?;
        let events = Events::default();
        let told = events.clone();
        loops.set_observer(move |notice| told.notice(notice));
        platform.listen_with(events.clone());
        let desk = Arc::new(Mutex::new(Desk::new(platform, events)));
        // From here on, dropped, it takes away what came up.
        let mut this = Self { loops, desk };
        lock(&this.desk).bring_up(&mut this.loops, &wanted)?;
        Ok(this)
    }

    /// What is up, for the line that says so.
    #[must_use]
    pub fn ready(&self) -> Ready {
        ready(&lock(&self.desk), self.loops.count())
    }

    /// How other threads reach the switch: with several loops the first, with whose end all end.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Poller> {
        self.loops.handles().first()
    }

    /// How other threads change what is up while this runs.
    #[must_use]
    pub fn control(&self) -> Control<P> {
        Control { handles: self.loops.handles(), desk: Arc::clone(&self.desk) }
    }

    /// [`Control::apply`], for who drives the switch itself: between two rounds.
    ///
    /// # Errors
    /// As there.
    pub fn apply(&mut self, wanted: &Configuration) -> Result<Applied, ServiceError<P::Error>> {
        lock(&self.desk).apply(&mut self.loops, wanted)
    }

    /// [`Control::capture`], for who drives the switch itself. The capture's end, too, comes with
    /// the next round.
    ///
    /// # Errors
    /// As there.
    pub fn capture(&mut self, request: &CaptureRequest) -> Result<Capture, CaptureError> {
        lock(&self.desk).check_capture(request)?;
        Capture::start(&self.loops.handles(), &mut self.loops, request)
    }

    /// Has each loop poll busily ([`Switch::set_busy_poll`](vswitch::switch::Switch::set_busy_poll)).
    pub fn set_busy_poll(&mut self, is_on: bool) {
        self.loops.set_busy_poll(is_on);
    }

    /// Carries frames until it is stopped by its [`Handle`].
    ///
    /// # Errors
    /// When a poller cannot wait any more, or there is no thread to be had for a loop. All loops
    /// have ended then.
    pub fn run(&mut self) -> io::Result<()> {
        self.loops.run()
    }

    /// One round of the switch's loop: waits until something is ready or due, at most until `until`
    /// of the platform's clock. For who drives the switch itself: a simulation, in virtual time.
    ///
    /// # Errors
    /// When the poller cannot wait any more, and when there are several loops.
    pub fn step(&mut self, until: Nanos) -> io::Result<()> {
        self.loops.step(until)
    }

    /// The counters now, in the order of the ports' loops. A port's index is its place in its loop.
    pub fn report(&mut self) -> Report {
        self.loops.report()
    }

    /// Takes away all that was made, and tells the last counters, in the order of the networks and
    /// ports.
    pub fn finish(mut self) -> Stopped {
        let mut report = self.loops.report();
        let threads = self.loops.count();
        // First, so that whoever is about to change something is told that it is over.
        self.loops.clear();
        ready(&lock(&self.desk), threads).sort(&mut report);
        self.take_down();
        Stopped::new(&report)
    }

    /// The ports are closed before their interfaces go.
    fn take_down(&mut self) {
        self.loops.clear();
        lock(&self.desk).networks.clear();
    }
}

impl<P: Platform> Drop for Service<P> {
    fn drop(&mut self) {
        self.take_down();
    }
}

fn ready<P: Platform>(desk: &Desk<P>, threads: usize) -> Ready {
    Ready::new(desk.ready(), threads)
}

/// A panic elsewhere leaves networks that can still be taken down.
fn lock<P: Platform>(desk: &Mutex<Desk<P>>) -> MutexGuard<'_, Desk<P>> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
