//! A kernel that notes each call and answers it as a test says, from raw bytes.
#![allow(unsafe_code, reason = "it is called with pointers, and follows those within arguments")]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use xnu_sys::sys_event::kevent64_s;
use xnu_sys::sys_socket_private::msghdr_x;
use xnu_sys::{Errno, InterfaceAddress, Kernel, SocketAddress};

/// How requests are answered: by their number and their argument's bytes.
type Answer = dyn FnMut(u64, &mut [u8]) -> Result<(), Errno> + Send;

/// A process on that kernel.
#[derive(Clone)]
pub(crate) struct Fake {
    notes: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<Box<Answer>>>,
}

impl Fake {
    pub(crate) fn new(
        answer: impl FnMut(u64, &mut [u8]) -> Result<(), Errno> + Send + 'static,
    ) -> Self {
        Self { notes: Arc::default(), answer: Arc::new(Mutex::new(Box::new(answer))) }
    }

    /// What was called since last asked.
    pub(crate) fn notes(&self) -> Vec<String> {
        std::mem::take(&mut self.notes.lock().unwrap())
    }

    fn note(&self, words: impl Into<String>) {
        self.notes.lock().unwrap().push(words.into());
    }

    /// A call of messages is noted as the lengths of each one's buffers.
    fn note_messages(&self, call: &str, headers: &[u8], flags: i32) {
        let lens = |header| vector(header).map(|(_, len)| len).collect::<Vec<_>>();
        let lens: Vec<_> = headers.chunks_exact(56).map(lens).collect();
        self.note(format!("{call} {lens:?} {flags:#x}"));
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

/// The number in 8 bytes at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The number in 4 bytes at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// What a pointer within an argument points to, as the kernel would copy from and to it.
pub(crate) fn memory<'a>(address: u64, len: usize) -> &'a mut [u8] {
    let address = usize::try_from(address).unwrap();
    let pointer = std::ptr::with_exposed_provenance_mut::<u8>(address);
    assert!(!pointer.is_null());
    // SAFETY: xnu-sys promises the kernel that what an argument points to is valid for the length
    // that the argument tells, during the call; tests ask for no more and keep it no longer.
    unsafe { std::slice::from_raw_parts_mut(pointer, len) }
}

/// Addresses and lengths of a message's buffers.
pub(crate) fn vector(header: &[u8]) -> impl Iterator<Item = (u64, usize)> {
    assert_eq!(u32_at(header, 44), 0, "msg_flags");
    let count = u32_at(header, 24) as usize;
    let vector = memory(u64_at(header, 16), 16 * count);
    let pairs = vector
        .chunks_exact(16)
        .map(|buffer| (u64_at(buffer, 0), usize::try_from(u64_at(buffer, 8)).unwrap()));
    pairs.collect::<Vec<_>>().into_iter()
}

impl Kernel for Fake {
    type Fd = i32;

    fn number(fd: &i32) -> i32 {
        *fd
    }

    fn open(&self, path: &CStr, flags: i32) -> Result<i32, Errno> {
        self.note(format!("open {} {flags:#x}", path.to_string_lossy()));
        Ok(7)
    }

    fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Result<i32, Errno> {
        self.note(format!("socket {domain} {kind} {protocol}"));
        Ok(8)
    }

    fn socketpair(&self, _: i32, _: i32, _: i32) -> Result<(i32, i32), Errno> {
        Err(Errno::ENOSYS)
    }

    fn bind(&self, _: &i32, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    fn connect(&self, _: &i32, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    fn getsockopt(&self, _: &i32, level: i32, name: i32, value: &mut [u8]) -> Result<usize, Errno> {
        self.note(format!("getsockopt {level:#x} {name:#x} {}", value.len()));
        value.copy_from_slice(&4096_u32.to_ne_bytes());
        Ok(4)
    }

    fn setsockopt(&self, _: &i32, level: i32, name: i32, value: &[u8]) -> Result<(), Errno> {
        self.note(format!("setsockopt {level:#x} {name:#x} {value:?}"));
        if value == 8_388_608_u32.to_ne_bytes() { Err(Errno::ENOBUFS) } else { Ok(()) }
    }

    fn fcntl(&self, _: &i32, command: i32, argument: i32) -> Result<i32, Errno> {
        self.note(format!("fcntl {command} {argument:#x}"));
        Ok(if command == 3 { 2 } else { 0 })
    }

    fn read(&self, _: &i32, buffer: &mut [u8]) -> Result<usize, Errno> {
        match buffer {
            [] => Err(Errno::EINVAL),
            [_] => Err(Errno::EAGAIN),
            [first, ..] => {
                *first = 9;
                Ok(1)
            }
        }
    }

    fn write(&self, _: &i32, bytes: &[u8]) -> Result<usize, Errno> {
        Ok(bytes.len())
    }

    fn recvfrom(
        &self,
        _: &i32,
        _: &mut [u8],
        _: i32,
        _: Option<&mut SocketAddress>,
    ) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    fn sendto(&self, _: &i32, _: &[u8], _: i32, _: Option<&[u8]>) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    unsafe fn ioctl(&self, _: &i32, request: u64, argument: *mut c_void) -> Result<(), Errno> {
        let len = usize::try_from(request >> 16 & 0x1fff).unwrap();
        self.note(format!("ioctl {request:#x}"));
        let argument = argument.cast::<u8>();
        // SAFETY: the caller promises that the argument is what the number says, and so as long.
        let argument = unsafe { std::slice::from_raw_parts_mut(argument, len) };
        (self.answer.lock().unwrap())(request, argument)
    }

    unsafe fn recvmsg_x(
        &self,
        _: &i32,
        messages: *mut msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        // SAFETY: the caller promises that there are `count` headers, of 56 bytes.
        let headers =
            unsafe { std::slice::from_raw_parts_mut(messages.cast::<u8>(), 56 * count as usize) };
        self.note_messages("recvmsg_x", headers, flags);
        // Every other slot gets a datagram of 10 bytes that count up, across its buffers.
        let messages = headers.chunks_exact_mut(56).take(count.div_ceil(2) as usize);
        for (place, header) in messages.enumerate() {
            let mut bytes = (0..10).map(|byte| byte + u8::try_from(place).unwrap());
            for (address, len) in vector(header) {
                memory(address, len).iter_mut().zip(&mut bytes).for_each(|(to, from)| *to = from);
            }
            header[48..56].copy_from_slice(&10_u64.to_ne_bytes());
        }
        Ok(count.div_ceil(2) as usize)
    }

    unsafe fn sendmsg_x(
        &self,
        _: &i32,
        messages: *const msghdr_x,
        count: u32,
        flags: i32,
    ) -> Result<usize, Errno> {
        // SAFETY: the caller promises that there are `count` headers, of 56 bytes.
        let headers =
            unsafe { std::slice::from_raw_parts(messages.cast::<u8>(), 56 * count as usize) };
        self.note_messages("sendmsg_x", headers, flags);
        Ok(count as usize)
    }

    fn kqueue(&self) -> Result<i32, Errno> {
        Err(Errno::ENOSYS)
    }

    fn kevent64(
        &self,
        _: &i32,
        _: &[kevent64_s],
        _: &mut [kevent64_s],
        _: u32,
        _: Option<Duration>,
    ) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    fn sysctlbyname(&self, _: &CStr, _: &mut [u8], _: Option<&[u8]>) -> Result<usize, Errno> {
        Err(Errno::ENOSYS)
    }

    fn getifaddrs(&self) -> Result<Vec<InterfaceAddress>, Errno> {
        Err(Errno::ENOSYS)
    }

    fn uptime_ns(&self) -> u64 {
        0
    }

    fn sleep(&self, _: Duration) {}
}
