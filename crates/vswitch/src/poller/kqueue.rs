//! XNU's poller: kqueue, level-triggered, over any [`Kernel`].
//!
//! What follows from XNU `bsd/kern/kern_event.c`:
//!
//! - Each descriptor is registered once, with its token as `udata`, and changed only when its
//!   interest does. Changes travel with the next wait; only a registration is a call of its own,
//!   since it may be refused.
//! - A knote is looked at when its object says something happened, or when it is touched. What
//!   happens silently (a dead peer, an interface that goes) no event tells: ports look for it from
//!   time to time.
//! - Only as many events as the call says are there; what stands behind them is old.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use xnu_sys::sys_event::{
    EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_ENABLE, EV_ERROR, EV_RECEIPT, EVFILT_READ,
    EVFILT_USER, EVFILT_WRITE, KEVENT_FLAG_IMMEDIATE, NOTE_TRIGGER, kevent64_s,
};
use xnu_sys::{Descriptor, Errno, Host, Kernel, Kqueue as KqueueKind, SyscallError};

use super::{Event, Interest, Poller, Source, Token, Wake};
use crate::time::Nanos;

/// How many events one wait takes. More stay ready and come with the next.
const EVENTS_PER_WAIT: usize = 256;

/// The waker's token: no port has it.
const WAKER: u64 = u64::MAX;

/// The waker's ident, among those of `EVFILT_USER`.
const WAKER_IDENT: u64 = 1;

/// kqueue(2).
#[derive(Debug)]
pub struct Kqueue<K: Kernel = Host> {
    queue: Arc<Queue<K>>,
    watched: HashMap<i32, Watched>,
    /// Changes that go with the next wait.
    changes: Vec<kevent64_s>,
    ready: Vec<kevent64_s>,
}

/// The kqueue's descriptor, shared with who wakes it.
#[derive(Debug)]
struct Queue<K: Kernel>(Descriptor<K, KqueueKind>);

/// What is registered for a descriptor.
#[derive(Clone, Copy, Debug)]
struct Watched {
    token: Token,
    interest: Interest,
    /// Whether there is an `EVFILT_WRITE` knote; there is none until it is asked for, since not
    /// every descriptor takes one.
    has_write: bool,
}

impl<K: Kernel> Kqueue<K> {
    /// A new kqueue.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    pub fn new(kernel: K) -> Result<Self, SyscallError> {
        let failed = |call| move |errno| SyscallError { call, errno };
        let fd = kernel.kqueue().map_err(failed("kqueue"))?;
        let queue = Queue(Descriptor::new(kernel, fd));
        let wake = kevent64_s {
            ident: WAKER_IDENT,
            filter: EVFILT_USER,
            flags: EV_ADD | EV_CLEAR,
            udata: WAKER,
            ..kevent64_s::default()
        };
        queue.register(&[wake]).map_err(failed("kevent64"))?;
        Ok(Self {
            queue: Arc::new(queue),
            watched: HashMap::new(),
            changes: Vec::new(),
            ready: vec![kevent64_s::default(); EVENTS_PER_WAIT],
        })
    }

    /// Forgets changes of a descriptor that were not made yet: its number may be another's now.
    fn drop_changes(&mut self, descriptor: i32) {
        let ident = ident(descriptor);
        self.changes.retain(|change| change.ident != ident);
    }

    fn clock(&self) -> Nanos {
        Nanos(self.queue.0.kernel().uptime_ns())
    }
}

impl<K: Kernel> Queue<K> {
    /// Makes changes at once, each with its receipt; the first error.
    fn register(&self, changes: &[kevent64_s]) -> Result<(), Errno> {
        let mut receipts = [kevent64_s::default(); 2];
        for change in changes {
            let change = kevent64_s { flags: change.flags | EV_RECEIPT, ..*change };
            let count = self.0.kernel().kevent64(
                self.0.fd(),
                &[change],
                &mut receipts[..1],
                KEVENT_FLAG_IMMEDIATE,
                None,
            )?;
            let receipt = receipts[..count].first();
            let error = receipt.filter(|r| r.flags & EV_ERROR != 0).map_or(0, |r| r.data);
            if error != 0 {
                return Err(Errno(i32::try_from(error).unwrap_or(Errno::EIO.0)));
            }
        }
        Ok(())
    }
}

impl<K: Kernel> Poller for Kqueue<K> {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.drop_changes(source.descriptor);
        let read = knote(source, EVFILT_READ, token, able(interest.readable) | EV_ADD);
        let write = knote(source, EVFILT_WRITE, token, able(true) | EV_ADD);
        let both = [read, write];
        let knotes = if interest.writable { &both[..] } else { &both[..1] };
        self.queue.register(knotes)?;
        let watched = Watched { token, interest, has_write: interest.writable };
        self.watched.insert(source.descriptor, watched);
        Ok(())
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        let Some(watched) = self.watched.get_mut(&source.descriptor) else {
            return self.add(source, token, interest);
        };
        let (had, is_renamed) = (watched.interest, watched.token != token);
        if had.readable != interest.readable || is_renamed {
            // Touched by this, the knote is looked at again: nothing that came meanwhile is missed.
            let flags = able(interest.readable) | EV_ADD;
            self.changes.push(knote(source, EVFILT_READ, token, flags));
        }
        let write_changes = match watched.has_write {
            true => had.writable != interest.writable || is_renamed,
            false => interest.writable,
        };
        if write_changes {
            let flags = able(interest.writable) | EV_ADD;
            self.changes.push(knote(source, EVFILT_WRITE, token, flags));
            watched.has_write = true;
        }
        (watched.token, watched.interest) = (token, interest);
        Ok(())
    }

    fn remove(&mut self, source: Source) {
        let Some(watched) = self.watched.remove(&source.descriptor) else { return };
        self.drop_changes(source.descriptor);
        let read = knote(source, EVFILT_READ, watched.token, EV_DELETE);
        let write = knote(source, EVFILT_WRITE, watched.token, EV_DELETE);
        let both = [read, write];
        let knotes = if watched.has_write { &both[..] } else { &both[..1] };
        for knote in knotes {
            // With a closed descriptor its knotes went (ENOENT, EBADF): nothing to do then.
            let _ = self.queue.register(std::slice::from_ref(knote));
        }
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let (flags, timeout) = match deadline {
            Nanos(0) => (KEVENT_FLAG_IMMEDIATE, None),
            Nanos::NEVER => (0, None),
            deadline => (0, Some(deadline.since(self.clock()))),
        };
        let kernel = self.queue.0.kernel();
        let waited =
            kernel.kevent64(self.queue.0.fd(), &self.changes, &mut self.ready, flags, timeout);
        let count = match waited {
            Ok(count) => count,
            // Whether the changes were made before the signal came, nobody says. Each can be made
            // twice, so they go with the next wait again.
            Err(Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        self.changes.clear();
        for ready in &self.ready[..count] {
            if ready.udata == WAKER {
                continue;
            }
            // A change that failed shows as an event of its own: its port finds out why.
            let failed = ready.flags & EV_ERROR != 0;
            let known = i32::try_from(ready.ident).ok().and_then(|fd| self.watched.get(&fd));
            let Some(watched) = known else { continue };
            let event = Event {
                token: Token(ready.udata),
                readable: watched.interest.readable && (failed || ready.filter == EVFILT_READ),
                writable: watched.interest.writable && (failed || ready.filter == EVFILT_WRITE),
            };
            if event.readable || event.writable {
                events.push(event);
            }
        }
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        self.clock()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.queue) as Arc<dyn Wake>
    }
}

impl<K: Kernel> Wake for Queue<K> {
    fn wake(&self) {
        let trigger = kevent64_s {
            ident: WAKER_IDENT,
            filter: EVFILT_USER,
            fflags: NOTE_TRIGGER,
            udata: WAKER,
            ..kevent64_s::default()
        };
        // The knote is there as long as the kqueue is, and this value holds it.
        let timeout = Some(Duration::ZERO);
        let _ = self.0.kernel().kevent64(self.0.fd(), &[trigger], &mut [], 0, timeout);
    }
}

fn knote(source: Source, filter: i16, token: Token, flags: u16) -> kevent64_s {
    kevent64_s {
        ident: ident(source.descriptor),
        filter,
        flags,
        udata: token.0,
        ..kevent64_s::default()
    }
}

const fn able(is: bool) -> u16 {
    if is { EV_ENABLE } else { EV_DISABLE }
}

fn ident(descriptor: i32) -> u64 {
    u64::try_from(descriptor).unwrap_or(u64::MAX)
}
