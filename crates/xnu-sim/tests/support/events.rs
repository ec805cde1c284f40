//! A socket of kernel events, by raw requests.
#![allow(unsafe_code, reason = "ioctl takes a pointer")]

use xnu_sim::{SimFd, SimKernel};
use xnu_sys::Kernel;

use super::{Result, name_at, u32_at};

pub(crate) const SIOCGKEVID: u64 = 0x4004_6501;
pub(crate) const SIOCSKEVFILT: u64 = 0x800c_6502;
pub(crate) const SIOCGKEVFILT: u64 = 0x400c_6503;
pub(crate) const SIOCGKEVVENDOR: u64 = 0xc0cc_6504;

pub(crate) const SIFFLAGS: u32 = 1;
pub(crate) const SIFMTU: u32 = 3;
pub(crate) const ATTACHED: u32 = 9;
pub(crate) const DETACHING: u32 = 10;
pub(crate) const DETACHED: u32 = 11;
pub(crate) const LINK_OFF: u32 = 12;
pub(crate) const LINK_ON: u32 = 13;
pub(crate) const PROTO_ATTACHED: u32 = 14;
pub(crate) const PROTO_DETACHED: u32 = 15;
pub(crate) const ADDRESS_CHANGED: u32 = 16;
pub(crate) const CAPABILITIES_CHANGED: u32 = 19;

pub(crate) struct Events {
    kernel: SimKernel,
    fd: SimFd,
}

impl Events {
    /// A socket as it is opened: it hears nothing.
    pub(crate) fn deaf(kernel: &SimKernel) -> Self {
        let fd = kernel.socket(32, 3, 1).unwrap();
        const F_SETFL: i32 = 4;
        const O_NONBLOCK: i32 = 4;
        kernel.fcntl(&fd, F_SETFL, O_NONBLOCK).unwrap();
        Self { kernel: kernel.clone(), fd }
    }

    /// One that hears of interfaces.
    pub(crate) fn of_interfaces(kernel: &SimKernel) -> Self {
        let this = Self::deaf(kernel);
        this.set_filter([1, 1, 2]);
        this
    }

    pub(crate) fn set_filter(&self, filter: [u32; 3]) {
        let mut argument: Vec<u8> = filter.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.ioctl(SIOCSKEVFILT, &mut argument).unwrap();
    }

    pub(crate) fn ioctl(&self, request: u64, argument: &mut [u8]) -> Result<()> {
        let pointer = argument.as_mut_ptr().cast();
        // SAFETY: these requests take the arguments that the tests make for them, without pointers.
        unsafe { self.kernel.ioctl(&self.fd, request, pointer) }
    }

    /// All messages that wait, whole.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 512];
        let mut messages = Vec::new();
        while let Ok(len) = self.kernel.read(&self.fd, &mut buffer) {
            messages.push(buffer[..len].to_vec());
        }
        messages
    }

    /// All events that wait: code, and the interface as its event says it (the payload of link
    /// events begins 4 bytes late up to macOS 15.0).
    pub(crate) fn take(&self) -> Vec<(u32, String)> {
        self.messages().iter().map(|message| summary(message)).collect()
    }

    /// The codes of one interface's events.
    pub(crate) fn codes_of(&self, interface: &str) -> Vec<u32> {
        let events = self.take().into_iter();
        events.filter(|(_, name)| name == interface).map(|(code, _)| code).collect()
    }
}

fn summary(message: &[u8]) -> (u32, String) {
    let code = u32_at(message, 20);
    let is_shifted = message.len() == 52 && u32_at(message, 24) == 0;
    let data_at = if is_shifted { 28 } else { 24 };
    let name = name_at(message, data_at + 8);
    (code, format!("{name}{}", u32_at(message, data_at + 4)))
}

/// A request of a socket's own.
pub(crate) fn raw_ioctl(kernel: &SimKernel, socket: &SimFd, request: u64, argument: &mut [u8]) {
    let pointer = argument.as_mut_ptr().cast();
    // SAFETY: these requests take the arguments that the tests make for them, without pointers.
    unsafe { kernel.ioctl(socket, request, pointer) }.unwrap();
}
