//! Linux's poller: epoll, an eventfd to be woken by, the monotonic clock.
#![allow(unsafe_code, reason = "epoll and eventfd by their system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::{Event, Interest, Poller, Source, Token, Wake};
use crate::time::Nanos;

/// How many events one wait takes. More stay ready and come with the next.
const EVENTS_PER_WAIT: usize = 256;

/// The waker's token: no port has it.
const WAKER: u64 = u64::MAX;

/// epoll(7), level-triggered.
#[derive(Debug)]
pub struct Epoll {
    epoll: OwnedFd,
    waker: Arc<EventFd>,
    ready: Vec<libc::epoll_event>,
    start: Instant,
}

impl Epoll {
    /// A new epoll instance.
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a fresh descriptor or -1 comes back.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: epoll_create1 has just made this descriptor, and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let waker = Arc::new(EventFd::new()?);
        let empty = libc::epoll_event { events: 0, u64: 0 };
        let this =
            Self { epoll, waker, ready: vec![empty; EVENTS_PER_WAIT], start: Instant::now() };
        let interest = Interest { readable: true, writable: false };
        this.control(libc::EPOLL_CTL_ADD, this.waker.0.as_raw_fd(), Token(WAKER), interest)?;
        Ok(this)
    }

    fn control(&self, operation: i32, fd: i32, token: Token, interest: Interest) -> io::Result<()> {
        let mut events = 0;
        if interest.readable {
            events |= libc::EPOLLIN.cast_unsigned();
        }
        if interest.writable {
            events |= libc::EPOLLOUT.cast_unsigned();
        }
        let mut event = libc::epoll_event { events, u64: token.0 };
        // SAFETY: `event` lives across the call, which only reads it; a bad descriptor is an error.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }

    /// The wait in whole milliseconds, rounded up: waking early would spin until the deadline.
    fn timeout_ms(&self, deadline: Nanos) -> i32 {
        if deadline == Nanos::NEVER {
            return -1;
        }
        let left = deadline.since(self.clock());
        i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    }

    fn clock(&self) -> Nanos {
        Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Poller for Epoll {
    fn add(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, source.descriptor, token, interest)
    }

    fn modify(&mut self, source: Source, token: Token, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, source.descriptor, token, interest)
    }

    fn remove(&mut self, source: Source) {
        // A closed descriptor has left the set by itself (EBADF or ENOENT): nothing to do then.
        let _ = self.control(libc::EPOLL_CTL_DEL, source.descriptor, Token(0), Interest::default());
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        events.clear();
        let timeout_ms = if deadline == Nanos(0) { 0 } else { self.timeout_ms(deadline) };
        let capacity = i32::try_from(self.ready.len()).unwrap_or(i32::MAX);
        // SAFETY: `ready` has room for `capacity` events and lives across the call.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), capacity, timeout_ms)
        };
        let count = match check(count) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        };
        for ready in &self.ready[..count] {
            let (bits, token) = (ready.events.cast_signed(), ready.u64);
            if token == WAKER {
                self.waker.drain();
                continue;
            }
            let broken = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
            events.push(Event {
                token: Token(token),
                readable: broken || bits & libc::EPOLLIN != 0,
                writable: broken || bits & libc::EPOLLOUT != 0,
            });
        }
        Ok(())
    }

    fn now(&mut self) -> Nanos {
        self.clock()
    }

    fn waker(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.waker) as Arc<dyn Wake>
    }
}

/// An eventfd(2): a counter that makes epoll return.
#[derive(Debug)]
struct EventFd(OwnedFd);

impl EventFd {
    fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a fresh descriptor or -1 comes back.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: eventfd has just made this descriptor, and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    fn drain(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: `count` has the eight bytes that an eventfd gives.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl Wake for EventFd {
    fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: `one` has the eight bytes that an eventfd takes. A counter that is full (EAGAIN)
        // wakes as well.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::*;

    const READ: Interest = Interest { readable: true, writable: false };

    fn source(stream: &UnixStream) -> Source {
        Source { descriptor: stream.as_raw_fd(), generation: 0 }
    }

    #[test]
    fn tells_what_is_ready_for_as_long_as_it_is() {
        let mut poller = Epoll::new().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        poller.add(source(&far), Token(7), READ).unwrap();
        let mut events = Vec::new();
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, []);
        near.write_all(b"x").unwrap();
        let expected = [Event { token: Token(7), readable: true, writable: false }];
        for _ in 0..2 {
            poller.wait(Nanos::NEVER, &mut events).unwrap();
            assert_eq!(events, expected);
        }
        poller.modify(source(&far), Token(7), Interest::default()).unwrap();
        poller.wait(Nanos(0), &mut events).unwrap();
        assert_eq!(events, []);
        drop(far);
        poller.remove(Source { descriptor: 1_000_000, generation: 0 });
    }

    #[test]
    fn a_deadline_is_not_missed_and_not_early() {
        let mut poller = Epoll::new().unwrap();
        let mut events = Vec::new();
        let deadline = poller.now() + Duration::from_micros(1500);
        poller.wait(deadline, &mut events).unwrap();
        assert!(poller.now() >= deadline);
    }

    #[test]
    fn another_thread_wakes_it_even_beforehand() {
        let mut poller = Epoll::new().unwrap();
        let mut events = Vec::new();
        poller.waker().wake();
        poller.wait(Nanos::NEVER, &mut events).unwrap();
        let waker = poller.waker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            waker.wake();
        });
        poller.wait(Nanos::NEVER, &mut events).unwrap();
        thread.join().unwrap();
        let before = poller.now();
        poller.wait(before + Duration::from_millis(5), &mut events).unwrap();
        assert!(poller.now().since(before) >= Duration::from_millis(5), "one wake, one return");
    }
}
