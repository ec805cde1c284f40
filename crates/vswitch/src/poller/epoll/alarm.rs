//! The deadline of a wait, which the kernel keeps: a timerfd(2) in the epoll set, which tells once
//! that it rings.
//!
//! A timeout given to poll(2) is a timer that is started for each sleep and ended after it, and
//! wants the clock to be read before. This one is set only when the deadline is another: seldom,
//! where the switch may sleep tens of thousands of times a second.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::time::Nanos;

/// A descriptor that is readable from a deadline on.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
    /// [`Nanos::NEVER`] when it is off.
    deadline: Nanos,
}

impl Alarm {
    /// One that is off.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { timer, deadline: Nanos::NEVER })
    }

    /// Sets it for `deadline`, in nanoseconds of CLOCK_MONOTONIC.
    pub(super) fn set(&mut self, deadline: Nanos) -> io::Result<()> {
        if deadline == self.deadline {
            return Ok(());
        }
        if deadline == Nanos::NEVER {
            self.timer.unset()?;
        } else {
            let seconds = deadline.0 / NANOS_PER_SECOND;
            let seconds = libc::time_t::try_from(seconds).unwrap_or(libc::time_t::MAX);
            let nanos = libc::c_long::try_from(deadline.0 % NANOS_PER_SECOND).unwrap_or(0);
            let at = Expiration::OneShot(TimeSpec::new(seconds, nanos));
            self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        }
        self.deadline = deadline;
        Ok(())
    }

    /// It has rung, and is off. It stays readable until it is set again, which nobody is told.
    pub(super) fn rang(&mut self) {
        self.deadline = Nanos::NEVER;
    }
}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
