//! The system calls: an epoll set, poll(2), an eventfd.
#![allow(unsafe_code, reason = "epoll, poll and eventfd by their system calls")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::poller::{Interest, Wake};

/// How many events one wait takes. More stay ready and come with the next.
const EVENTS_PER_WAIT: usize = 256;

/// How long a wait is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// It only looks.
    Looked,
    /// Until something is ready.
    Ready,
}

impl Until {
    fn timeout_ms(self) -> i32 {
        match self {
            Self::Looked => 0,
            Self::Ready => -1,
        }
    }
}

/// epoll(7), level-triggered unless said otherwise; each descriptor is its own key.
#[derive(Debug)]
pub(super) struct EpollSet {
    epoll: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

/// What a descriptor is ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) descriptor: RawFd,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

impl EpollSet {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a fresh descriptor or -1 comes back.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: epoll_create1 has just made this descriptor, and nobody else owns it.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Ok(Self { epoll, ready: vec![empty; EVENTS_PER_WAIT] })
    }

    pub(super) fn add(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, events(interest))
    }

    /// Tells once each time that `fd` becomes readable, and not again while it only stays so.
    pub(super) fn add_edge(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN | libc::EPOLLET)
    }

    pub(super) fn modify(&self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, events(interest))
    }

    pub(super) fn remove(&self, fd: RawFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, 0)
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32) -> io::Result<()> {
        let events = events.cast_unsigned();
        let mut event = libc::epoll_event { events, u64: u64::from(fd.cast_unsigned()) };
        // SAFETY: `event` lives across the call, which only reads it; a bad descriptor is an error.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &raw mut event) })?;
        Ok(())
    }

    /// Waits; how many are ready. An interrupted wait tells of none.
    pub(super) fn wait(&mut self, until: Until) -> io::Result<usize> {
        let timeout_ms = until.timeout_ms();
        let capacity = i32::try_from(self.ready.len()).unwrap_or(i32::MAX);
        // SAFETY: `ready` has room for `capacity` events and lives across the call.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), self.ready.as_mut_ptr(), capacity, timeout_ms)
        };
        unless_interrupted(count)
    }

    /// What was ready in the last wait, in any of the places that it counted.
    pub(super) fn ready(&self, place: usize) -> Ready {
        let libc::epoll_event { events, u64: key } = self.ready[place];
        let bits = events.cast_signed();
        let broken = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
        Ready {
            descriptor: RawFd::try_from(key).unwrap_or(-1),
            readable: broken || bits & libc::EPOLLIN != 0,
            writable: broken || bits & libc::EPOLLOUT != 0,
        }
    }
}

fn events(interest: Interest) -> i32 {
    let readable = if interest.readable { libc::EPOLLIN } else { 0 };
    let writable = if interest.writable { libc::EPOLLOUT } else { 0 };
    readable | writable
}

impl AsRawFd for EpollSet {
    fn as_raw_fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

/// What poll(2) takes to ask `fd`.
pub(super) fn question(fd: RawFd, interest: Interest) -> libc::pollfd {
    let mut events = 0;
    if interest.readable {
        events |= libc::POLLIN;
    }
    if interest.writable {
        events |= libc::POLLOUT;
    }
    libc::pollfd { fd, events, revents: 0 }
}

/// What poll(2) answered: `None` where nothing is ready.
pub(super) fn answer(polled: &libc::pollfd) -> Option<Ready> {
    let bits = polled.revents;
    let broken = bits & (libc::POLLERR | libc::POLLHUP) != 0;
    let readable = broken || bits & libc::POLLIN != 0;
    let writable = broken || bits & libc::POLLOUT != 0;
    let ready = Ready { descriptor: polled.fd, readable, writable };
    (readable || writable).then_some(ready)
}

/// Whether there is no such descriptor.
pub(super) fn is_closed(polled: &libc::pollfd) -> bool {
    polled.revents & libc::POLLNVAL != 0
}

/// Asks all of them. An interrupted wait tells nothing.
pub(super) fn poll(questions: &mut [libc::pollfd], until: Until) -> io::Result<()> {
    let count = libc::nfds_t::try_from(questions.len()).unwrap_or(0);
    // SAFETY: the slice has room for `count` and lives across the call; a bad descriptor is
    // answered with POLLNVAL.
    let ready = unsafe { libc::poll(questions.as_mut_ptr(), count, until.timeout_ms()) };
    if unless_interrupted(ready)? == 0 {
        for question in questions {
            question.revents = 0;
        }
    }
    Ok(())
}

/// An eventfd(2): a counter that is readable until it is drained.
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; a fresh descriptor or -1 comes back.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: eventfd has just made this descriptor, and nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn drain(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: `count` has the eight bytes that an eventfd gives.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
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

fn unless_interrupted(count: i32) -> io::Result<usize> {
    match check(count) {
        Ok(count) => Ok(usize::try_from(count).unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) => Err(error),
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
