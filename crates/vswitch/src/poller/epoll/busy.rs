//! The sources that are asked directly, by poll(2).
//!
//! A source in an epoll set has its waiter at all times: each frame that comes, and each that the
//! other side takes, calls it (`ep_poll_callback` in fs/eventpoll.c), on the time of whoever sends
//! or takes. poll(2) leaves a waiter only while it sleeps, and none when it does not wait; in
//! exchange it looks at every source each time. So those few that move frames are asked directly.

use std::os::fd::RawFd;

use super::sys::{self, Ready, Until};
use crate::poller::Interest;

/// How many there are at most. Each costs some 50 ns a wait.
const SOURCES_MAX: usize = 64;

/// A source that did nothing in so many waits goes back to the epoll set.
pub(super) const IDLE_WAITS_MAX: u32 = 64;

/// What poll(2) is asked: first the epoll set, then the busy sources.
#[derive(Debug)]
pub(super) struct BusySet {
    questions: Vec<libc::pollfd>,
    /// For how many waits each has been idle; the epoll set, in place 0, does not count.
    idle_waits: Vec<u32>,
}

impl BusySet {
    pub(super) fn new(epoll: RawFd) -> Self {
        let readable = Interest { readable: true, writable: false };
        let mut questions = Vec::with_capacity(1 + SOURCES_MAX);
        questions.push(sys::question(epoll, readable));
        let mut idle_waits = Vec::with_capacity(1 + SOURCES_MAX);
        idle_waits.push(0);
        Self { questions, idle_waits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.questions.len() == 1
    }

    pub(super) fn is_full(&self) -> bool {
        self.questions.len() > SOURCES_MAX
    }

    pub(super) fn insert(&mut self, fd: RawFd, interest: Interest) {
        self.questions.push(sys::question(fd, interest));
        self.idle_waits.push(0);
    }

    /// Asks `fd` for something else.
    pub(super) fn modify(&mut self, fd: RawFd, interest: Interest) {
        if let Some(place) = self.place(fd) {
            self.questions[place] = sys::question(fd, interest);
        }
    }

    pub(super) fn remove(&mut self, fd: RawFd) {
        if let Some(place) = self.place(fd) {
            self.questions.swap_remove(place);
            self.idle_waits.swap_remove(place);
        }
    }

    /// It moves frames, whether it is ready or not.
    pub(super) fn keep(&mut self, fd: RawFd) {
        if let Some(place) = self.place(fd) {
            self.idle_waits[place] = 0;
        }
    }

    fn place(&self, fd: RawFd) -> Option<usize> {
        self.questions.iter().skip(1).position(|question| question.fd == fd).map(|place| place + 1)
    }

    /// Waits; whether the epoll set has something to tell.
    pub(super) fn wait(&mut self, until: Until) -> std::io::Result<bool> {
        sys::poll(&mut self.questions, until)?;
        for (question, idle_waits) in self.questions.iter().zip(&mut self.idle_waits) {
            *idle_waits = if question.revents == 0 { idle_waits.saturating_add(1) } else { 0 };
        }
        Ok(self.questions[0].revents != 0)
    }

    /// What was ready in the last wait.
    pub(super) fn ready(&self) -> impl Iterator<Item = Ready> {
        self.questions.iter().skip(1).filter_map(sys::answer)
    }

    /// Takes out a source that turned out to be closed, or has been idle for long.
    pub(super) fn take_idle(&mut self) -> Option<(RawFd, Idle)> {
        let questions = self.questions.iter().zip(&self.idle_waits).skip(1);
        let mut idle = questions.filter_map(|(question, &idle_waits)| {
            if sys::is_closed(question) {
                return Some((question.fd, Idle::Closed));
            }
            (idle_waits >= IDLE_WAITS_MAX).then_some((question.fd, Idle::ForLong))
        });
        let first = idle.next()?;
        self.remove(first.0);
        Some(first)
    }
}

/// Why a source is not asked directly any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Idle {
    Closed,
    ForLong,
}
