//! What is ready, what time it is, and how to be woken: the second of the two seams.
//!
//! A [`Poller`] is epoll on Linux, kqueue on macOS, virtual time in a simulation. The loop is
//! written once over this face and [`Port`](crate::port::Port).

use std::io;
use std::sync::Arc;

use crate::time::Nanos;

#[cfg(target_os = "linux")]
mod epoll;
mod kqueue;
#[cfg(target_os = "linux")]
pub use epoll::Epoll;
pub use kqueue::Kqueue;

/// What a poller watches: a descriptor's number, and which of the descriptors that had this number
/// one after the other it is, so that a port that reconnected is not taken for what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The descriptor (or, in a simulation, the simulated one).
    pub descriptor: i32,
    /// Counts up each time the port opens another descriptor.
    pub generation: u32,
}

/// What the loop asked to be told with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What to watch a source for. Both are level-triggered: told again for as long as they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Interest {
    pub readable: bool,
    pub writable: bool,
}

/// A source is ready. An error or a hang-up shows as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Event {
    pub token: Token,
    pub readable: bool,
    pub writable: bool,
}

/// Wakes a poller's `wait` from another thread.
pub trait Wake: Send + Sync + std::fmt::Debug {
    /// Makes the wait that runs now, or the next one, return at once. May be called at any time.
    fn wake(&self);
}

/// Readiness, time and timers for one loop.
pub trait Poller: 'static {
    /// Starts watching. A source may be watched once.
    ///
    /// # Errors
    /// What the system says: too many watches, a bad descriptor.
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()>;

    /// Changes what a watched source is watched for.
    ///
    /// # Errors
    /// As [`Self::add`].
    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()>;

    /// Stops watching. A source that was closed already is no longer watched: that is no error.
    fn remove(&mut self, source: Source);

    /// Frames go out through a watched source: a poller that treats busy sources differently learns
    /// it from this, since such a source may never be ready to read.
    fn note_use(&mut self, _source: Source) {}

    /// Waits until a source is ready, somebody wakes the poller, or `deadline` is past; fills
    /// `events` (emptied first) with what is ready. [`Nanos::NEVER`] waits without limit.
    ///
    /// # Errors
    /// What the system says; an interrupted call is no error but an early return.
    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()>;

    /// The time now. Called a few times per step, never per frame.
    fn now(&mut self) -> Nanos;

    /// A handle with which other threads wake this poller.
    fn waker(&self) -> Arc<dyn Wake>;
}
