//! What these tests say often.
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::Duration;

use xnu_sim::{SimFd, SimKernel};
use xnu_sys::Kernel;
use xnu_sys::sys_event::{EV_ADD, EVFILT_READ, EVFILT_WRITE, kevent64_s};
use xnu_sys::sys_fcntl::{F_SETFL, O_NONBLOCK};
use xnu_sys::sys_socket::{AF_LOCAL, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET};

/// Two connected sockets.
pub(crate) fn pair(kernel: &SimKernel) -> (SimFd, SimFd) {
    kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0).expect("socketpair")
}

/// Two connected non-blocking sockets with room for a megabyte in datagrams of 64 KiB.
pub(crate) fn roomy_pair(kernel: &SimKernel) -> (SimFd, SimFd) {
    let (one, other) = pair(kernel);
    for fd in [&one, &other] {
        set(kernel, fd, SO_SNDBUF, 64 << 10).expect("SO_SNDBUF");
        set(kernel, fd, SO_RCVBUF, 1 << 20).expect("SO_RCVBUF");
        nonblocking(kernel, fd);
    }
    (one, other)
}

/// A socket that is not connected, and does not block.
pub(crate) fn socket(kernel: &SimKernel) -> SimFd {
    let fd = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).expect("socket");
    nonblocking(kernel, &fd);
    fd
}

/// Makes a descriptor non-blocking.
pub(crate) fn nonblocking(kernel: &SimKernel, fd: &SimFd) {
    kernel.fcntl(fd, F_SETFL, O_NONBLOCK).expect("F_SETFL");
}

/// Sets an option that is a number.
pub(crate) fn set(
    kernel: &SimKernel,
    fd: &SimFd,
    name: i32,
    value: i32,
) -> Result<(), xnu_sys::Errno> {
    kernel.setsockopt(fd, SOL_SOCKET, name, &value.to_le_bytes())
}

/// An option that is a number.
pub(crate) fn get(kernel: &SimKernel, fd: &SimFd, name: i32) -> i32 {
    let mut value = [0; 4];
    assert_eq!(kernel.getsockopt(fd, SOL_SOCKET, name, &mut value), Ok(4));
    i32::from_le_bytes(value)
}

/// The address of a path: length, family, path.
pub(crate) fn address(path: &str) -> Vec<u8> {
    let len = u8::try_from(path.len() + 2).expect("a short path");
    [&[len, 1], path.as_bytes()].concat()
}

/// One datagram.
pub(crate) fn receive(kernel: &SimKernel, fd: &SimFd) -> Result<Vec<u8>, xnu_sys::Errno> {
    let mut buffer = vec![0; 1 << 20];
    let len = kernel.read(fd, &mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

/// Sends datagrams of `len` until one does not go: how many went, and why that one did not.
pub(crate) fn fill(kernel: &SimKernel, fd: &SimFd, len: usize) -> (usize, xnu_sys::Errno) {
    let datagram = vec![7; len];
    let mut count = 0;
    loop {
        match kernel.write(fd, &datagram) {
            Ok(sent) => assert_eq!(sent, len),
            Err(errno) => return (count, errno),
        }
        count += 1;
    }
}

/// A change about a descriptor.
pub(crate) fn change(fd: &SimFd, filter: i16, flags: u16) -> kevent64_s {
    let ident = u64::try_from(SimKernel::number(fd)).expect("a number");
    kevent64_s { ident, filter, flags, ..kevent64_s::default() }
}

/// A kqueue with descriptors' `EVFILT_READ`.
pub(crate) fn readers(kernel: &SimKernel, fds: &[&SimFd]) -> SimFd {
    let queue = kernel.kqueue().expect("kqueue");
    for fd in fds {
        apply(kernel, &queue, change(fd, EVFILT_READ, EV_ADD)).expect("EV_ADD");
    }
    queue
}

/// A kqueue with a descriptor's `EVFILT_WRITE`.
pub(crate) fn writer(kernel: &SimKernel, fd: &SimFd) -> SimFd {
    let queue = kernel.kqueue().expect("kqueue");
    apply(kernel, &queue, change(fd, EVFILT_WRITE, EV_ADD)).expect("EV_ADD");
    queue
}

/// Makes one change, and takes no event.
pub(crate) fn apply(
    kernel: &SimKernel,
    queue: &SimFd,
    of: kevent64_s,
) -> Result<(), xnu_sys::Errno> {
    kernel.kevent64(queue, &[of], &mut [], 0, Some(Duration::ZERO)).map(drop)
}

/// The events that are there now.
pub(crate) fn events(kernel: &SimKernel, queue: &SimFd) -> Vec<kevent64_s> {
    wait(kernel, queue, Duration::ZERO)
}

/// The events that come within a span.
pub(crate) fn wait(kernel: &SimKernel, queue: &SimFd, span: Duration) -> Vec<kevent64_s> {
    let mut events = [kevent64_s::default(); 16];
    let count = kernel.kevent64(queue, &[], &mut events, 0, Some(span)).expect("kevent64");
    events[..count].to_vec()
}
