//! Descriptors known by their numbers.
#![allow(unsafe_code, reason = "a descriptor known by its number is adopted")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Whether a descriptor is passed on by exec(2): what was inherited is, until it is taken over.
pub(super) fn is_inheritable(number: RawFd) -> io::Result<bool> {
    // SAFETY: no pointers; a number that is not open is EBADF.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    Ok(flags & libc::FD_CLOEXEC == 0)
}

/// Takes over a descriptor that this process was started with. From now on it is closed with the
/// value returned, and not passed on to children.
///
/// Each number may be taken over once; that is the caller's to see to (`inherited::inherit` does).
pub(super) fn take_over(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a number that is not open is EBADF.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // SAFETY: the descriptor is open (it has just been asked), came to this process from the one
    // that started it, and nothing in this process owns it: `inherit` hands out each number once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
