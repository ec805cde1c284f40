//! Hosts that are no Mac: there is no XNU, and every call says so.
#![allow(unsafe_code, reason = "the face has unsafe methods; here they can never be called")]

use std::ffi::{CStr, c_void};
use std::time::Duration;

use crate::sys_event::kevent64_s;
use crate::sys_socket_private::msghdr_x;
use crate::{Errno, InterfaceAddress, Kernel, SocketAddress};

/// The kernel that this program runs on. This is no Mac: each call is `ENOSYS`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

/// A descriptor of a kernel that is not there: there is none.
#[derive(Debug)]
pub enum NoFd {}

impl Kernel for Host {
    type Fd = NoFd;

    fn number(fd: &NoFd) -> i32 {
        match *fd {}
    }

    fn open(&self, _: &CStr, _: i32) -> Result<NoFd, Errno> {
        Err(Errno::ENOSYS)
    }

    fn socket(&self, _: i32, _: i32, _: i32) -> Result<NoFd, Errno> {
        Err(Errno::ENOSYS)
    }

    fn socketpair(&self, _: i32, _: i32, _: i32) -> Result<(NoFd, NoFd), Errno> {
        Err(Errno::ENOSYS)
    }

    fn bind(&self, fd: &NoFd, _: &[u8]) -> Result<(), Errno> {
        match *fd {}
    }

    fn connect(&self, fd: &NoFd, _: &[u8]) -> Result<(), Errno> {
        match *fd {}
    }

    fn getsockopt(&self, fd: &NoFd, _: i32, _: i32, _: &mut [u8]) -> Result<usize, Errno> {
        match *fd {}
    }

    fn setsockopt(&self, fd: &NoFd, _: i32, _: i32, _: &[u8]) -> Result<(), Errno> {
        match *fd {}
    }

    fn fcntl(&self, fd: &NoFd, _: i32, _: i32) -> Result<i32, Errno> {
        match *fd {}
    }

    fn read(&self, fd: &NoFd, _: &mut [u8]) -> Result<usize, Errno> {
        match *fd {}
    }

    fn write(&self, fd: &NoFd, _: &[u8]) -> Result<usize, Errno> {
        match *fd {}
    }

    fn recvfrom(
        &self,
        fd: &NoFd,
        _: &mut [u8],
        _: i32,
        _: Option<&mut SocketAddress>,
    ) -> Result<usize, Errno> {
        match *fd {}
    }

    fn sendto(&self, fd: &NoFd, _: &[u8], _: i32, _: Option<&[u8]>) -> Result<usize, Errno> {
        match *fd {}
    }

    unsafe fn ioctl(&self, fd: &NoFd, _: u64, _: *mut c_void) -> Result<(), Errno> {
        match *fd {}
    }

    unsafe fn recvmsg_x(
        &self,
        fd: &NoFd,
        _: *mut msghdr_x,
        _: u32,
        _: i32,
    ) -> Result<usize, Errno> {
        match *fd {}
    }

    unsafe fn sendmsg_x(
        &self,
        fd: &NoFd,
        _: *const msghdr_x,
        _: u32,
        _: i32,
    ) -> Result<usize, Errno> {
        match *fd {}
    }

    fn kqueue(&self) -> Result<NoFd, Errno> {
        Err(Errno::ENOSYS)
    }

    fn kevent64(
        &self,
        fd: &NoFd,
        _: &[kevent64_s],
        _: &mut [kevent64_s],
        _: u32,
        _: Option<Duration>,
    ) -> Result<usize, Errno> {
        match *fd {}
    }

    fn sysctlbyname(&self, _: &CStr, _: &mut [u8], _: Option<&[u8]>) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>, Errno> {
        Err(Errno::ENOSYS)
    }

    fn uptime_ns(&self) -> u64 {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        let elapsed = START.get_or_init(Instant::now).elapsed();
        u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}
