//! A simulated kernel whose own allocations are not its caller's: a real one's are not either.
#![allow(unsafe_code, reason = "passes on calls that take pointers")]

use std::ffi::{CStr, c_void};
use std::time::Duration;

use xnu_sim::{SimFd, SimKernel};
use xnu_sys::sys_event::kevent64_s;
use xnu_sys::sys_socket_private::msghdr_x;
use xnu_sys::{Errno, InterfaceAddress, Kernel, SocketAddress};

use crate::counting::uncounted;

/// The kernel, called from outside.
#[derive(Clone, Debug)]
pub(crate) struct Outside(pub(crate) SimKernel);

impl Kernel for Outside {
    type Fd = SimFd;

    fn number(fd: &SimFd) -> i32 {
        SimKernel::number(fd)
    }

    fn open(&self, path: &CStr, flags: i32) -> Result<SimFd, Errno> {
        uncounted(|| self.0.open(path, flags))
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<SimFd, Errno> {
        uncounted(|| self.0.socket(domain, kind, protocol))
    }

    fn socketpair(&self, domain: i32, kind: i32, protocol: i32) -> Result<(SimFd, SimFd), Errno> {
        uncounted(|| self.0.socketpair(domain, kind, protocol))
    }

    fn bind(&self, fd: &SimFd, address: &[u8]) -> Result<(), Errno> {
        uncounted(|| self.0.bind(fd, address))
    }

    fn connect(&self, fd: &SimFd, address: &[u8]) -> Result<(), Errno> {
        uncounted(|| self.0.connect(fd, address))
    }

    fn getsockopt(
        &self,
        fd: &SimFd,
        level: i32,
        name: i32,
        value: &mut [u8],
    ) -> Result<usize, Errno> {
        uncounted(|| self.0.getsockopt(fd, level, name, value))
    }

    fn setsockopt(&self, fd: &SimFd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        uncounted(|| self.0.setsockopt(fd, level, name, value))
    }

    fn fcntl(&self, fd: &SimFd, command: i32, argument: i32) -> Result<i32, Errno> {
        uncounted(|| self.0.fcntl(fd, command, argument))
    }

    fn read(&self, fd: &SimFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        uncounted(|| self.0.read(fd, buffer))
    }

    fn write(&self, fd: &SimFd, bytes: &[u8]) -> Result<usize, Errno> {
        uncounted(|| self.0.write(fd, bytes))
    }

    fn recvfrom(
        &self,
        fd: &SimFd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize, Errno> {
        uncounted(|| self.0.recvfrom(fd, buffer, flags, sender))
    }

    fn sendto(
        &self,
        fd: &SimFd,
        bytes: &[u8],
        flags: i32,
        to: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        uncounted(|| self.0.sendto(fd, bytes, flags, to))
    }

    unsafe fn ioctl(&self, fd: &SimFd, request: u64, argument: *mut c_void) -> Result<(), Errno> {
        // SAFETY: the caller's promise, passed on.
        uncounted(|| unsafe { self.0.ioctl(fd, request, argument) })
    }

    unsafe fn recvmsg_x(
        &self,
        fd: &SimFd,
        messages: *mut msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        // SAFETY: the caller's promise, passed on.
        uncounted(|| unsafe { self.0.recvmsg_x(fd, messages, count, flags) })
    }

    unsafe fn sendmsg_x(
        &self,
        fd: &SimFd,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        // SAFETY: the caller's promise, passed on.
        uncounted(|| unsafe { self.0.sendmsg_x(fd, messages, count, flags) })
    }

    fn kqueue(&self) -> Result<SimFd, Errno> {
        uncounted(|| self.0.kqueue())
    }

    fn kevent64(
        &self,
        kqueue: &SimFd,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
        flags: u32,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        uncounted(|| self.0.kevent64(kqueue, changes, events, flags, timeout))
    }

    fn sysctlbyname(
        &self,
        name: &CStr,
        old: &mut [u8],
        new: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        uncounted(|| self.0.sysctlbyname(name, old, new))
    }

    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>, Errno> {
        uncounted(|| self.0.getifaddrs())
    }

    fn uptime_ns(&self) -> u64 {
        uncounted(|| self.0.uptime_ns())
    }

    fn sleep(&self, span: Duration) {
        uncounted(|| self.0.sleep(span));
    }
}
