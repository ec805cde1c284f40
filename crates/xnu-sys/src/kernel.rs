//! The one face through which this project talks to XNU.
#![allow(unsafe_code, reason = "declares calls that take pointers")]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::time::Duration;

use crate::sys_event::kevent64_s;
use crate::sys_socket_private::msghdr_x;
use crate::{Errno, InterfaceName};

/// The system calls that this project makes of XNU: those of [`Host`](crate::Host), the real one,
/// or of a simulated one.
///
/// A value is a handle to a kernel, as one process sees it; clones are the same process. All
/// numbers (flags, options, errors) are XNU's, on every host. Interrupted calls (`EINTR`) are made
/// again by the implementation, [`Self::kevent64`] excepted. No call but [`Self::kevent64`],
/// [`Self::sleep`] and reads of descriptors that were not made non-blocking waits.
///
/// Safe calls have the kernel write nowhere but where their arguments say. So those commands,
/// options and filters are refused that would have it follow a pointer within a value: each call
/// names what it lets through.
///
/// # Errors
/// Each call gives the [`Errno`] that XNU gives; `ENOSYS` where the call does not exist.
pub trait Kernel: Clone + fmt::Debug + Send + Sync + 'static {
    /// An open descriptor, closed when dropped.
    type Fd: fmt::Debug + Send + Sync + 'static;

    /// The descriptor's number, for `kevent64` and for people.
    fn number(fd: &Self::Fd) -> i32;

    /// `open(2)`.
    fn open(&self, path: &CStr, flags: i32) -> Result<Self::Fd, Errno>;

    /// `socket(2)`.
    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<Self::Fd, Errno>;

    /// `socketpair(2)`.
    fn socketpair(
        &self,
        domain: i32,
        kind: i32,
        protocol: i32,
    ) -> Result<(Self::Fd, Self::Fd), Errno>;

    /// `bind(2)`; `address` is a whole socket address, its length byte first.
    fn bind(&self, fd: &Self::Fd, address: &[u8]) -> Result<(), Errno>;

    /// `connect(2)`.
    fn connect(&self, fd: &Self::Fd, address: &[u8]) -> Result<(), Errno>;

    /// `getsockopt(2)`; the length written. Lets through the options of `SOL_SOCKET`, and of
    /// `SOL_LOCAL` those about the peer; `ENOPROTOOPT` for others.
    fn getsockopt(
        &self,
        fd: &Self::Fd,
        level: i32,
        name: i32,
        value: &mut [u8],
    ) -> Result<usize, Errno>;

    /// `setsockopt(2)`.
    fn setsockopt(&self, fd: &Self::Fd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno>;

    /// `fcntl(2)` with an integer argument. Lets through `F_GETFD`, `F_SETFD`, `F_GETFL` and
    /// `F_SETFL`; `EINVAL` for others.
    fn fcntl(&self, fd: &Self::Fd, command: i32, argument: i32) -> Result<i32, Errno>;

    /// `read(2)`.
    fn read(&self, fd: &Self::Fd, buffer: &mut [u8]) -> Result<usize, Errno>;

    /// `write(2)`.
    fn write(&self, fd: &Self::Fd, bytes: &[u8]) -> Result<usize, Errno>;

    /// `recvfrom(2)`; with `sender`, the address it came from is put there.
    fn recvfrom(
        &self,
        fd: &Self::Fd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize, Errno>;

    /// `sendto(2)`; without an address `send(2)`.
    fn sendto(
        &self,
        fd: &Self::Fd,
        bytes: &[u8],
        flags: i32,
        to: Option<&[u8]>,
    ) -> Result<usize, Errno>;

    /// `ioctl(2)`; the request is compared in all its 64 bits.
    ///
    /// # Safety
    /// `argument` points to a value of the type that `request` is made for, writable where the
    /// request writes, and every pointer within it is valid for what the kernel does with it.
    unsafe fn ioctl(&self, fd: &Self::Fd, request: u64, argument: *mut c_void)
    -> Result<(), Errno>;

    /// `recvmsg_x` (system call 480): up to `count` datagrams; how many came.
    ///
    /// # Safety
    /// `messages` points to `count` headers, whose vectors and the buffers behind them are valid
    /// for writing, and aliased by nothing else.
    unsafe fn recvmsg_x(
        &self,
        fd: &Self::Fd,
        messages: *mut msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno>;

    /// `sendmsg_x` (system call 481): up to `count` datagrams; how many were sent.
    ///
    /// # Safety
    /// `messages` points to `count` headers, whose vectors and the buffers behind them are valid
    /// for reading.
    unsafe fn sendmsg_x(
        &self,
        fd: &Self::Fd,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno>;

    /// `kqueue(2)`.
    fn kqueue(&self) -> Result<Self::Fd, Errno>;

    /// `kevent64(2)`: makes `changes`, waits up to `timeout` (`None`: without end) until an event
    /// is there or, with `KEVENT_FLAG_IMMEDIATE`, not at all; how many were put into `events`.
    /// Lets through `EVFILT_READ`, `EVFILT_WRITE`, `EVFILT_TIMER` and `EVFILT_USER`; `EINVAL` for
    /// others.
    fn kevent64(
        &self,
        kqueue: &Self::Fd,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
        flags: u32,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno>;

    /// `sysctlbyname(3)`: the value's length in bytes, as much of it put into `old` as goes there;
    /// a longer one is `ENOMEM`. With `new`, the value is set.
    fn sysctlbyname(&self, name: &CStr, old: &mut [u8], new: Option<&[u8]>)
    -> Result<usize, Errno>;

    /// `getifaddrs(3)`: every address of every interface, link-layer addresses among them.
    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>, Errno>;

    /// The monotonic clock, in nanoseconds (`CLOCK_UPTIME_RAW`).
    fn uptime_ns(&self) -> u64;

    /// `nanosleep(2)`.
    fn sleep(&self, span: Duration);
}

/// One row of `getifaddrs(3)`: an interface and one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: InterfaceName,
    /// `ifa_flags`: `IFF_UP` and the like.
    pub flags: u32,
    /// The socket address (`sockaddr_dl`, `sockaddr_in`, `sockaddr_in6`, …), its length byte first;
    /// empty where there is none.
    pub address: Vec<u8>,
    /// The network mask as a socket address; its length byte may be shorter than its family's.
    pub netmask: Vec<u8>,
}

/// Room for a socket's address, and the address in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SocketAddress {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl SocketAddress {
    /// `sizeof(struct sockaddr_storage)` is 128; a unix socket's address has 106 at most.
    pub const LEN_MAX: usize = 128;

    /// Room, and no address in it.
    pub const EMPTY: Self = Self { bytes: [0; Self::LEN_MAX], len: 0 };

    /// The address; empty when there is none.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Puts an address there; what is longer than the room is cut.
    pub fn set(&mut self, address: &[u8]) {
        self.len = address.len().min(Self::LEN_MAX);
        self.bytes[..self.len].copy_from_slice(&address[..self.len]);
    }
}

impl fmt::Debug for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SocketAddress({})", self.as_bytes().escape_ascii())
    }
}
