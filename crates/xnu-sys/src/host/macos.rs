//! Macs: the real XNU, through libSystem.
#![allow(unsafe_code, reason = "system calls take pointers and give descriptors")]

use std::ffi::{CStr, c_int, c_long, c_ulong, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;
use std::time::Duration;

use crate::sys_event::{
    EVFILT_READ, EVFILT_TIMER, EVFILT_USER, EVFILT_WRITE, KEVENT_FLAG_ERROR_EVENTS,
    KEVENT_FLAG_IMMEDIATE, kevent64_s,
};
use crate::sys_socket::SOL_SOCKET;
use crate::sys_socket_private::msghdr_x;
use crate::sys_un::{LOCAL_PEERCRED, LOCAL_PEERTOKEN, SOL_LOCAL};
use crate::{Errno, InterfaceAddress, Kernel, SocketAddress};

mod addresses;
mod groups;
mod libc_check;
mod message_calls;
mod process;

/// The kernel that this program runs on.
///
/// Descriptors are the process's own: each is made close-on-exec, and an inherited one is taken
/// over by [`Host::adopt`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Host;

impl Host {
    /// Takes over a descriptor that this process was started with or was sent.
    #[must_use]
    pub fn adopt(self, fd: OwnedFd) -> OwnedFd {
        fd
    }
}

impl Kernel for Host {
    type Fd = OwnedFd;

    fn number(fd: &OwnedFd) -> i32 {
        fd.as_raw_fd()
    }

    /// Close-on-exec whatever the flags say; creates nothing (`EINVAL`).
    fn open(&self, path: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
        if flags & libc::O_CREAT != 0 {
            return Err(Errno::EINVAL);
        }
        let number = retry(|| {
            // SAFETY: the path is a string with its closing zero, and without O_CREAT no mode is
            // read.
            unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC) }
        })?;
        Ok(owned(number))
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<OwnedFd, Errno> {
        let number = retry(|| {
            // SAFETY: takes numbers alone.
            unsafe { libc::socket(domain, kind, protocol) }
        })?;
        close_on_exec(owned(number))
    }

    fn socketpair(
        &self,
        domain: i32,
        kind: i32,
        protocol: i32,
    ) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut numbers: [c_int; 2] = [-1; 2];
        retry(|| {
            // SAFETY: the pointer is to two numbers that may be written.
            unsafe { libc::socketpair(domain, kind, protocol, numbers.as_mut_ptr()) }
        })?;
        // Both are owned before anything can fail.
        let [one, other] = numbers.map(owned);
        Ok((close_on_exec(one)?, close_on_exec(other)?))
    }

    /// The sockets of this project (`AF_UNIX`, `PF_NDRV`) bind and connect without waiting for
    /// anybody, so that an interrupted call has done nothing and can be made again.
    fn bind(&self, fd: &OwnedFd, address: &[u8]) -> Result<(), Errno> {
        let len = socklen(address)?;
        retry(|| {
            // SAFETY: the address is valid for reading `len` bytes; the kernel copies it and asks
            // for no alignment.
            unsafe { libc::bind(fd.as_raw_fd(), address.as_ptr().cast(), len) }
        })?;
        Ok(())
    }

    fn connect(&self, fd: &OwnedFd, address: &[u8]) -> Result<(), Errno> {
        let len = socklen(address)?;
        retry(|| {
            // SAFETY: the address is valid for reading `len` bytes; the kernel copies it and asks
            // for no alignment.
            unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), len) }
        })?;
        Ok(())
    }

    fn getsockopt(
        &self,
        fd: &OwnedFd,
        level: i32,
        name: i32,
        value: &mut [u8],
    ) -> Result<usize, Errno> {
        // Others may have the kernel write behind a pointer in the value (IP_MSFILTER does).
        if !holds_no_pointer(level, name) {
            return Err(Errno::ENOPROTOOPT);
        }
        let room = socklen(value)?;
        let pointer = value.as_mut_ptr().cast::<c_void>();
        let mut len = room;
        retry(|| {
            len = room;
            // SAFETY: the value may be written for `len` bytes, and `len` too.
            unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut len) }
        })?;
        Ok(len as usize)
    }

    fn setsockopt(&self, fd: &OwnedFd, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        let len = socklen(value)?;
        retry(|| {
            // SAFETY: the value is valid for reading `len` bytes.
            unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.as_ptr().cast(), len) }
        })?;
        Ok(())
    }

    fn fcntl(&self, fd: &OwnedFd, command: i32, argument: i32) -> Result<i32, Errno> {
        use crate::sys_fcntl::{F_GETFD, F_GETFL, F_SETFD, F_SETFL};
        // Others may take the argument for a pointer.
        if ![F_GETFD, F_SETFD, F_GETFL, F_SETFL].contains(&command) {
            return Err(Errno::EINVAL);
        }
        retry(|| {
            // SAFETY: the commands let through take a number, never a pointer.
            unsafe { libc::fcntl(fd.as_raw_fd(), command, argument) }
        })
    }

    fn read(&self, fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
        let pointer = buffer.as_mut_ptr().cast::<c_void>();
        retry_len(|| {
            // SAFETY: the buffer may be written for its length.
            unsafe { libc::read(fd.as_raw_fd(), pointer, buffer.len()) }
        })
    }

    fn write(&self, fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        retry_len(|| {
            // SAFETY: the bytes are valid for reading their length.
            unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) }
        })
    }

    fn recvfrom(
        &self,
        fd: &OwnedFd,
        buffer: &mut [u8],
        flags: i32,
        sender: Option<&mut SocketAddress>,
    ) -> Result<usize, Errno> {
        let pointer = buffer.as_mut_ptr().cast::<c_void>();
        let Some(sender) = sender else {
            return retry_len(|| {
                // SAFETY: the buffer may be written for its length.
                unsafe { libc::recv(fd.as_raw_fd(), pointer, buffer.len(), flags) }
            });
        };
        let mut address = [0_u8; SocketAddress::LEN_MAX];
        let room = socklen(&address)?;
        let (mut address_len, place) = (room, address.as_mut_ptr().cast::<libc::sockaddr>());
        let len = retry_len(|| {
            address_len = room;
            let (fd, len) = (fd.as_raw_fd(), buffer.len());
            // SAFETY: the buffer may be written for its length, the address for `address_len`
            // bytes (the kernel asks for no alignment), and `address_len` too.
            unsafe { libc::recvfrom(fd, pointer, len, flags, place, &raw mut address_len) }
        })?;
        // The kernel tells the address's own length, also where it had to cut it.
        sender.set(&address[..address.len().min(address_len as usize)]);
        Ok(len)
    }

    fn sendto(
        &self,
        fd: &OwnedFd,
        bytes: &[u8],
        flags: i32,
        to: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        let address = to.map_or(ptr::null(), <[u8]>::as_ptr).cast::<libc::sockaddr>();
        let address_len = socklen(to.unwrap_or_default())?;
        let (fd, len) = (fd.as_raw_fd(), bytes.len());
        retry_len(|| {
            // SAFETY: the bytes are valid for reading `len`, the address for `address_len`; without
            // one it is null and 0.
            unsafe { libc::sendto(fd, bytes.as_ptr().cast(), len, flags, address, address_len) }
        })
    }

    unsafe fn ioctl(&self, fd: &OwnedFd, request: u64, argument: *mut c_void) -> Result<(), Errno> {
        // As wide as the kernel's, so that no sign is extended: it compares all 64 bits.
        let request: c_ulong = request;
        retry(|| {
            // SAFETY: the argument is of the type that the request takes, and its pointers are
            // valid: the caller's promise.
            unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) }
        })?;
        Ok(())
    }

    unsafe fn recvmsg_x(
        &self,
        fd: &OwnedFd,
        messages: *mut msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        let receive = message_calls::receive().ok_or(Errno::ENOSYS)?;
        retry_len(|| {
            // SAFETY: there are `count` headers with valid buffers behind them: the caller's
            // promise.
            unsafe { receive(fd.as_raw_fd(), messages, count, flags) }
        })
    }

    unsafe fn sendmsg_x(
        &self,
        fd: &OwnedFd,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        let send = message_calls::send().ok_or(Errno::ENOSYS)?;
        retry_len(|| {
            // SAFETY: there are `count` headers with valid bytes behind them: the caller's promise.
            unsafe { send(fd.as_raw_fd(), messages, count, flags) }
        })
    }

    fn kqueue(&self) -> Result<OwnedFd, Errno> {
        let number = retry(|| {
            // SAFETY: takes nothing.
            unsafe { libc::kqueue() }
        })?;
        close_on_exec(owned(number))
    }

    /// A timeout of more than 68 years is cut to that, the most that the kernel takes.
    fn kevent64(
        &self,
        kqueue: &OwnedFd,
        changes: &[kevent64_s],
        events: &mut [kevent64_s],
        flags: u32,
        timeout: Option<Duration>,
    ) -> Result<usize, Errno> {
        // Others may have the kernel write behind a pointer in the change (EVFILT_MACHPORT does).
        if !changes.iter().all(|change| FILTERS.contains(&change.filter)) || flags & !FLAGS != 0 {
            return Err(Errno::EINVAL);
        }
        let timeout = timeout.map(timespec);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        let (change, change_count) = (changes.as_ptr().cast(), count(changes.len())?);
        let (event, event_count) = (events.as_mut_ptr().cast(), count(events.len())?);
        let fd = kqueue.as_raw_fd();
        // SAFETY: both arrays are of libc's kevent64_s (the same layout: libc_check) and have as
        // many elements as is said; the timeout is null or lives across the call.
        let answer =
            unsafe { libc::kevent64(fd, change, change_count, event, event_count, flags, timeout) };
        usize::try_from(answer).map_err(|_| last_errno())
    }

    /// With `old` empty the kernel tells the length alone.
    fn sysctlbyname(
        &self,
        name: &CStr,
        old: &mut [u8],
        new: Option<&[u8]>,
    ) -> Result<usize, Errno> {
        let place = if old.is_empty() { ptr::null_mut() } else { old.as_mut_ptr() };
        let place = place.cast::<c_void>();
        let new_len = new.map_or(0, <[u8]>::len);
        let new = new.map_or(ptr::null(), <[u8]>::as_ptr).cast_mut().cast::<c_void>();
        let mut len = old.len();
        retry(|| {
            len = old.len();
            let name = name.as_ptr();
            // SAFETY: the name has its closing zero; `place` is null or may be written for `len`
            // bytes, as `len` may; `new` is null or valid for reading `new_len` bytes, and the
            // kernel only reads it.
            unsafe { libc::sysctlbyname(name, place, &raw mut len, new, new_len) }
        })?;
        Ok(len)
    }

    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>, Errno> {
        addresses::all()
    }

    fn uptime_ns(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `now` may be written. The clock exists since macOS 10.12, and so the call cannot
        // fail.
        unsafe { libc::clock_gettime(libc::CLOCK_UPTIME_RAW, &raw mut now) };
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}

/// The filters of kqueues that are let through, and the flags of `kevent64`.
const FILTERS: [i16; 4] = [EVFILT_READ, EVFILT_WRITE, EVFILT_TIMER, EVFILT_USER];
const FLAGS: u32 = KEVENT_FLAG_IMMEDIATE | KEVENT_FLAG_ERROR_EVENTS;

/// Whether an option that is asked for is one whose value the kernel only writes: every socket's
/// own, and a unix socket's.
fn holds_no_pointer(level: i32, name: i32) -> bool {
    level == SOL_SOCKET
        || (level == SOL_LOCAL && (LOCAL_PEERCRED..=LOCAL_PEERTOKEN).contains(&name))
}

/// Makes a call again while it is interrupted; its negative answer is `errno`.
fn retry(mut call: impl FnMut() -> c_int) -> Result<c_int, Errno> {
    loop {
        match call() {
            answer if answer >= 0 => return Ok(answer),
            _ => match last_errno() {
                Errno::EINTR => {}
                errno => return Err(errno),
            },
        }
    }
}

/// The same for calls that give a length or a count.
fn retry_len(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match usize::try_from(call()) {
            Ok(len) => return Ok(len),
            Err(_) => match last_errno() {
                Errno::EINTR => {}
                errno => return Err(errno),
            },
        }
    }
}

/// `errno` of the call that just failed on this thread.
fn last_errno() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(Errno::EIO.0))
}

/// The descriptor that a call just gave.
fn owned(number: c_int) -> OwnedFd {
    // SAFETY: every caller has the number from a call that opened it and succeeded, and owns it
    // nowhere else.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Keeps a new descriptor from programs that this one starts; macOS has no flag that does so while
/// it is made.
fn close_on_exec(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    Host.fcntl(&fd, libc::F_SETFD, libc::FD_CLOEXEC)?;
    Ok(fd)
}

/// The length of an address or a value, as socket calls take it.
fn socklen(bytes: &[u8]) -> Result<libc::socklen_t, Errno> {
    bytes.len().try_into().map_err(|_| Errno::EINVAL)
}

/// How many changes or events, as `kevent64` takes it.
fn count(len: usize) -> Result<c_int, Errno> {
    len.try_into().map_err(|_| Errno::EINVAL)
}

/// At most `i32::MAX` seconds (`timespec_is_valid`, XNU `bsd/kern/kern_time.c`).
fn timespec(span: Duration) -> libc::timespec {
    let tv_sec = i32::try_from(span.as_secs()).unwrap_or(i32::MAX);
    let tv_nsec = c_long::from(span.subsec_nanos());
    libc::timespec { tv_sec: tv_sec.into(), tv_nsec }
}
