//! Waiting for descriptors: poll(2), the same on all systems.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout};

use super::Interest;
use crate::error::LinkError;

/// Waits for `fd` as `interest` says, for `waker` to be readable, or for `timeout` to pass. Times
/// are rounded up to whole milliseconds, so that nobody wakes just before something is due.
pub(super) fn poll(
    fd: Option<BorrowedFd<'_>>,
    interest: Interest,
    waker: Option<BorrowedFd<'_>>,
    timeout: Duration,
) -> Result<(), LinkError> {
    let until_at = interest.at.map(|at| at.saturating_duration_since(Instant::now()));
    let timeout = until_at.map_or(timeout, |until| until.min(timeout));
    let ms = u16::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u16::MAX);
    let mut flags = PollFlags::POLLIN;
    flags.set(PollFlags::POLLOUT, interest.writable);
    let mut fds = Vec::with_capacity(2);
    fds.extend(fd.map(|fd| PollFd::new(fd, flags)));
    fds.extend(waker.map(|waker| PollFd::new(waker, PollFlags::POLLIN)));
    match nix::poll::poll(&mut fds, PollTimeout::from(ms)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => {
            Err(LinkError::Io { call: "poll", object: "the link".into(), source: errno.into() })
        }
    }
}
