//! Which of many descriptors can be read, by epoll.

use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// The descriptors that are waited for, by their number in the order in which they were given.
pub(super) struct Ready {
    epoll: Epoll,
    events: Vec<EpollEvent>,
}

impl Ready {
    /// Waits for these, which stay open as long.
    pub(super) fn of<'fd>(descriptors: impl Iterator<Item = BorrowedFd<'fd>>) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut events = Vec::new();
        for (number, descriptor) in descriptors.enumerate() {
            epoll.add(descriptor, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
            events.push(EpollEvent::empty());
        }
        Ok(Self { epoll, events })
    }

    /// Sleeps until there are some; none, if a signal ended the sleep.
    pub(super) fn wait(&mut self) -> io::Result<impl Iterator<Item = usize>> {
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Err(nix::Error::EINTR) => 0,
            count => count?,
        };
        let number = |event: &EpollEvent| usize::try_from(event.data()).unwrap_or(0);
        Ok(self.events[..count].iter().map(number))
    }
}
