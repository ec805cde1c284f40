//! Tiny builders for tests: requests as raw bytes, with numbers from the contract.
#![allow(unsafe_code, reason = "ioctl takes a pointer")]
#![allow(dead_code, reason = "each test file uses some of it")]

pub(crate) mod bpf;
pub(crate) mod bridge;
pub(crate) mod events;
pub(crate) mod frames;
pub(crate) mod lan;
pub(crate) mod packets;
pub(crate) mod taps;

use std::time::Duration;

use xnu_sim::{MacOs, SimFd, SimKernel};
use xnu_sys::{Errno, Kernel};

pub(crate) type Result<T> = std::result::Result<T, Errno>;

pub(crate) const UP: u16 = 0x1;
pub(crate) const RUNNING: u16 = 0x40;
pub(crate) const PROMISCUOUS: u16 = 0x100;

pub(crate) const SIOCSIFFLAGS: u64 = 0x8020_6910;
pub(crate) const SIOCGIFFLAGS: u64 = 0xc020_6911;
pub(crate) const SIOCGIFMTU: u64 = 0xc020_6933;
pub(crate) const SIOCSIFMTU: u64 = 0x8020_6934;
pub(crate) const SIOCIFCREATE: u64 = 0xc020_6978;
pub(crate) const SIOCIFDESTROY: u64 = 0x8020_6979;
pub(crate) const SIOCSDRVSPEC: u64 = 0x8028_697b;
pub(crate) const SIOCGDRVSPEC: u64 = 0xc028_697b;
pub(crate) const SIOCGIFLLADDR: u64 = 0xc020_699e;

/// A machine of a version, and a socket for requests about its interfaces.
pub(crate) fn machine(version: MacOs) -> (SimKernel, Control) {
    let kernel = SimKernel::boot(version, 1);
    let control = Control::new(&kernel);
    (kernel, control)
}

/// Lets everything that was set going come to its end, interfaces that go included.
pub(crate) fn settle(kernel: &SimKernel) {
    kernel.run_for(Duration::from_millis(10));
}

/// Lets frames get through, but no interface go: less than the shortest detaching.
pub(crate) fn let_frames_through(kernel: &SimKernel) {
    kernel.run_for(Duration::from_micros(95));
}

/// A socket by which requests about interfaces are made.
pub(crate) struct Control {
    pub(crate) kernel: SimKernel,
    fd: SimFd,
}

/// Writes bytes into others.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The text of a name's 16 bytes.
pub(crate) fn name_at(bytes: &[u8], at: usize) -> String {
    let name = bytes[at..at + 16].iter().take_while(|byte| **byte != 0);
    name.map(|byte| char::from(*byte)).collect()
}

/// An `ifreq` of a name, all else zero.
pub(crate) fn ifreq(name: &str) -> [u8; 32] {
    let mut request = [0; 32];
    put(&mut request, 0, name.as_bytes());
    request
}

impl Control {
    pub(crate) fn new(kernel: &SimKernel) -> Self {
        const AF_LOCAL: i32 = 1;
        const SOCK_DGRAM: i32 = 2;
        let fd = kernel.socket(AF_LOCAL, SOCK_DGRAM, 0).unwrap();
        Self { kernel: kernel.clone(), fd }
    }

    /// The same of another process, which is not root's.
    pub(crate) fn of_user(&self) -> Self {
        Self::new(&self.kernel.spawn(false))
    }

    /// A request; the argument has the size that the request's number says.
    pub(crate) fn ioctl(&self, request: u64, argument: &mut [u8]) -> Result<()> {
        let size = usize::try_from(request >> 16 & 0x1fff).unwrap();
        assert_eq!(size, argument.len(), "the argument of {request:#x}");
        let pointer = argument.as_mut_ptr().cast();
        // SAFETY: the argument has the size of the request's type (just checked) and is writable;
        // every pointer within it was put there by a caller who keeps what it points to.
        unsafe { self.kernel.ioctl(&self.fd, request, pointer) }
    }

    /// A request with an `ifreq`, of which `value` is put behind the name; gives what comes back.
    pub(crate) fn request(&self, request: u64, name: &str, value: &[u8]) -> Result<[u8; 32]> {
        let mut argument = ifreq(name);
        put(&mut argument, 16, value);
        self.ioctl(request, &mut argument)?;
        Ok(argument)
    }

    pub(crate) fn create(&self, name: &str) -> Result<String> {
        self.request(SIOCIFCREATE, name, &[]).map(|request| name_at(&request, 0))
    }

    pub(crate) fn destroy(&self, name: &str) -> Result<()> {
        self.request(SIOCIFDESTROY, name, &[]).map(drop)
    }

    pub(crate) fn flags(&self, name: &str) -> Result<u16> {
        self.request(SIOCGIFFLAGS, name, &[]).map(|request| u16_at(&request, 16))
    }

    pub(crate) fn set_flags(&self, name: &str, flags: u16) -> Result<()> {
        self.request(SIOCSIFFLAGS, name, &flags.to_le_bytes()).map(drop)
    }

    pub(crate) fn up(&self, name: &str) {
        let flags = self.flags(name).unwrap();
        self.set_flags(name, flags | UP).unwrap();
    }

    pub(crate) fn down(&self, name: &str) {
        let flags = self.flags(name).unwrap();
        self.set_flags(name, flags & !UP).unwrap();
    }

    pub(crate) fn mtu(&self, name: &str) -> Result<u32> {
        self.request(SIOCGIFMTU, name, &[]).map(|request| u32_at(&request, 16))
    }

    pub(crate) fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        self.request(SIOCSIFMTU, name, &mtu.to_le_bytes()).map(drop)
    }

    pub(crate) fn mac(&self, name: &str) -> [u8; 6] {
        let request = self.request(SIOCGIFLLADDR, name, &[]).unwrap();
        request[18..24].try_into().unwrap()
    }

    /// A driver command; `len` is what `ifd_len` says, whatever the argument's own is.
    pub(crate) fn driver_with_len(
        &self,
        name: &str,
        request: u64,
        command: u64,
        argument: &mut [u8],
        len: usize,
    ) -> Result<()> {
        let mut spec = [0; 40];
        put(&mut spec, 0, name.as_bytes());
        put(&mut spec, 16, &command.to_le_bytes());
        put(&mut spec, 24, &(len as u64).to_le_bytes());
        let pointer = argument.as_mut_ptr().expose_provenance() as u64;
        put(&mut spec, 32, &pointer.to_le_bytes());
        self.ioctl(request, &mut spec)
    }

    pub(crate) fn driver_set(&self, name: &str, command: u64, argument: &mut [u8]) -> Result<()> {
        let len = argument.len();
        self.driver_with_len(name, SIOCSDRVSPEC, command, argument, len)
    }

    pub(crate) fn driver_get(&self, name: &str, command: u64, argument: &mut [u8]) -> Result<()> {
        let len = argument.len();
        self.driver_with_len(name, SIOCGDRVSPEC, command, argument, len)
    }

    /// `IF_FAKE_S_CMD_SET_PEER`; an empty name is none.
    pub(crate) fn set_peer(&self, name: &str, peer: &str) -> Result<()> {
        let mut request = [0; 160];
        put(&mut request, 32, peer.as_bytes());
        self.driver_set(name, 1, &mut request)
    }

    pub(crate) fn peer(&self, name: &str) -> Result<String> {
        let mut request = [0xaa; 160];
        self.driver_get(name, 1, &mut request)?;
        Ok(name_at(&request, 32))
    }

    /// Two feths that are each other's peers, and up.
    pub(crate) fn pair(&self, one: &str, other: &str) {
        self.create(one).unwrap();
        self.create(other).unwrap();
        self.set_peer(one, other).unwrap();
        self.up(one);
        self.up(other);
    }
}
