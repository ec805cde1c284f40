//! Linux's poller: epoll for the many that are quiet, poll(2) for the few that are busy, an eventfd
//! to be woken by, a timerfd for deadlines, the monotonic clock.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use nix::time::{ClockId, clock_gettime};

use super::{Event, Interest, Poller, Source, Token, Wake};
use crate::time::Nanos;

mod alarm;
mod busy;
mod descriptor_hash;
mod sys;

use alarm::Alarm;
use busy::{BusySet, Idle};
use descriptor_hash::BuildDescriptorHasher;
use sys::{EpollSet, EventFd, Ready, Until};

/// A source that moved frames in two of so many waits is busy.
const RECENT_WAITS: u64 = 16;

/// epoll(7) and poll(2), level-triggered: each source is in one of the two, by how busy it is
/// (`busy.rs` says why).
#[derive(Debug)]
pub struct Epoll {
    quiet: EpollSet,
    busy: BusySet,
    watches: HashMap<RawFd, Watch, BuildDescriptorHasher>,
    /// How many waits there have been.
    waits: u64,
    waker: Arc<EventFd>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Watch {
    source: Source,
    token: Token,
    interest: Interest,
    place: Place,
    /// The wait in which it last moved frames.
    used_in: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Quiet,
    Busy,
    /// It is not watched for now. It was busy, and a port that pauses comes back soon.
    Paused,
}

impl Epoll {
    /// A new epoll instance.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let quiet = EpollSet::new()?;
        let waker = Arc::new(EventFd::new()?);
        quiet.add(waker.as_raw_fd(), Interest { readable: true, writable: false })?;
        let alarm = Alarm::new()?;
        quiet.add_edge(alarm.as_raw_fd())?;
        let busy = BusySet::new(quiet.as_raw_fd());
        Ok(Self { quiet, busy, watches: HashMap::default(), waits: 0, waker, alarm })
    }

    fn wait_for_quiet(&mut self, until: Until, events: &mut Vec<Event>) -> io::Result<()> {
        for place in 0..self.quiet.wait(until)? {
            let ready = self.quiet.ready(place);
            if ready.descriptor == self.waker.as_raw_fd() {
                self.waker.drain();
            } else if ready.descriptor == self.alarm.as_raw_fd() {
                self.alarm.rang();
            } else {
                let watch = self.watches.get(&ready.descriptor);
                events.extend(watch.map(|watch| event(watch.token, ready)));
                self.note_use_of(ready.descriptor);
            }
        }
        Ok(())
    }

    /// A source moved frames, or is about to: when it did so lately, it is busy from now on.
    fn note_use_of(&mut self, descriptor: RawFd) {
        let Some(watch) = self.watches.get_mut(&descriptor) else { return };
        let before = watch.used_in.replace(self.waits);
        match watch.place {
            Place::Quiet => {
                let again = before.is_some_and(|before| before != self.waits)
                    && is_recent(before, self.waits);
                if again && !self.busy.is_full() {
                    self.make_busy(descriptor);
                }
            }
            Place::Busy => self.busy.keep(descriptor),
            Place::Paused => {}
        }
    }

    fn make_busy(&mut self, descriptor: RawFd) {
        if let Some(watch) = self.watches.get_mut(&descriptor)
            && self.quiet.remove(descriptor).is_ok()
        {
            self.busy.insert(descriptor, watch.interest);
            watch.place = Place::Busy;
        }
    }

    /// Takes back into the epoll set who has been idle for long, and forgets who is closed, as
    /// epoll does by itself.
    fn settle(&mut self) {
        while let Some((descriptor, why)) = self.busy.take_idle() {
            let Some(watch) = self.watches.get_mut(&descriptor) else { continue };
            match why {
                Idle::Closed => drop(self.watches.remove(&descriptor)),
                Idle::ForLong if self.quiet.add(descriptor, watch.interest).is_ok() => {
                    watch.place = Place::Quiet;
                }
                // No memory for another watch (ENOMEM, ENOSPC): it stays where it was.
                Idle::ForLong => self.busy.insert(descriptor, watch.interest),
            }
        }
    }
}

impl Poller for Epoll {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let descriptor = source.descriptor;
        let before = self.watches.get(&descriptor);
        let used_in = before.filter(|watch| watch.source == source).and_then(|watch| watch.used_in);
        let was_busy = before.is_some_and(|watch| watch.place == Place::Paused);
        let place = if was_busy && is_recent(used_in, self.waits) && !self.busy.is_full() {
            self.busy.insert(descriptor, interest);
            Place::Busy
        } else {
            self.quiet.add(descriptor, interest)?;
            Place::Quiet
        };
        self.watches.insert(descriptor, Watch { source, token, interest, place, used_in });
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let descriptor = source.descriptor;
        let Some(watch) = self.watches.get_mut(&descriptor) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        (watch.token, watch.interest) = (token, interest);
        match watch.place {
            Place::Busy => self.busy.modify(descriptor, interest),
            Place::Quiet | Place::Paused => self.quiet.modify(descriptor, interest)?,
        }
        Ok(())
    }

    fn remove(&mut self, source: Source) {
        let descriptor = source.descriptor;
        let Some(watch) = self.watches.get_mut(&descriptor) else { return };
        if watch.place == Place::Busy {
            self.busy.remove(descriptor);
            watch.place = Place::Paused;
        } else {
            // A closed descriptor has left the set by itself (EBADF or ENOENT).
            let _ = self.quiet.remove(descriptor);
            self.watches.remove(&descriptor);
        }
    }

    fn note_use(&mut self, source: Source) {
        self.note_use_of(source.descriptor);
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        self.waits += 1;
        self.settle();
        let until = if deadline == Nanos(0) {
            Until::Looked
        } else {
            self.alarm.set(deadline)?;
            Until::Ready
        };
        if self.busy.is_empty() {
            return self.wait_for_quiet(until, events);
        }
        let is_quiet_ready = self.busy.wait(until)?;
        for ready in self.busy.ready() {
            if let Some(watch) = self.watches.get_mut(&ready.descriptor) {
                watch.used_in = Some(self.waits);
                events.push(event(watch.token, ready));
            }
        }
        if is_quiet_ready { self.wait_for_quiet(Until::Looked, events) } else { Ok(()) }
    }

    /// Nanoseconds of CLOCK_MONOTONIC.
    fn now(&mut self) -> Nanos {
        // It fails for clocks that do not exist.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Nanos(0), |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
            Nanos(seconds * 1_000_000_000 + nanos)
        })
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }
}

fn event(token: Token, ready: Ready) -> Event {
    Event { token, readable: ready.readable, writable: ready.writable }
}

fn is_recent(used_in: Option<u64>, waits: u64) -> bool {
    used_in.is_some_and(|used_in| waits - used_in <= RECENT_WAITS)
}

#[cfg(test)]
mod tests;
