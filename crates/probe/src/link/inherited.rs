//! Descriptors that a process gets from the one that started it.
#![allow(unsafe_code, reason = "a descriptor known by its number is adopted here and nowhere else")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use crate::error::LinkError;

/// Takes ownership of the inherited descriptor `fd`.
///
/// An inherited descriptor is told by its missing close-on-exec flag: it came through exec(2), and
/// nothing that Rust's standard library opens is without that flag. It is set here, so that no
/// second call takes the same descriptor.
pub(super) fn take(fd: i32) -> Result<OwnedFd, LinkError> {
    let error = |why| LinkError::Descriptor { fd, why };
    if fd < 3 {
        return Err(error("0, 1 and 2 are standard input, output and error"));
    }
    // SAFETY: `fd` is not -1, which is all that the type asks for; it lives for one call that takes
    // any number and answers EBADF for one that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let flags = fcntl(borrowed, FcntlArg::F_GETFD).map_err(|_| error("it is not open"))?;
    let flags = FdFlag::from_bits_truncate(flags);
    if flags.contains(FdFlag::FD_CLOEXEC) {
        return Err(error("it was not inherited, or is taken already"));
    }
    fcntl(borrowed, FcntlArg::F_SETFD(flags | FdFlag::FD_CLOEXEC))
        .map_err(|_| error("it cannot be marked close-on-exec"))?;
    // SAFETY: the descriptor is open (F_GETFD answered) and has no other owner in this process: it
    // was inherited, as its missing close-on-exec flag showed, and was not taken before, since
    // taking sets that flag.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether this is a stream or a datagram socket.
pub(super) fn socket_type(fd: &OwnedFd) -> Result<socket2::Type, LinkError> {
    use std::os::fd::AsRawFd;
    let error = |why| LinkError::Descriptor { fd: fd.as_raw_fd(), why };
    let socket = socket2::SockRef::from(fd);
    match socket.r#type() {
        Ok(kind @ (socket2::Type::STREAM | socket2::Type::DGRAM)) => Ok(kind),
        Ok(_) => Err(error("it is a socket of neither datagrams nor a stream")),
        Err(_) => Err(error("it is not a socket")),
    }
}
