//! `tap:IFNAME`: the user-space end of a TAP interface.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::sys::uio::readv;

use super::sys;
use crate::poller::Source;
use crate::pool::SizeClass;
use crate::port::{AdaptiveClass, Gone, Inbox, Outbox, Port, Received, SendFault, Sent};

const DEVICE: &str = "/dev/net/tun";

/// A TAP that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapError {
    /// The device cannot be opened.
    #[error("open {DEVICE}: {source} (load the tun module; its permissions say who may open it)")]
    Device {
        /// What the system said.
        source: io::Error,
    },
    /// The interface cannot be attached.
    #[error("attach TAP interface {name}: {source}{}", hint(.source))]
    Attach {
        /// The interface.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EBUSY) => " (another process has it; a TAP has one user)",
        Some(libc::EPERM) => " (run as root or with CAP_NET_ADMIN, or make it persistent for you)",
        Some(libc::EINVAL) => " (an interface of that name is there, and is no TAP)",
        Some(libc::ENAMETOOLONG) => " (an interface's name has 1 to 15 bytes)",
        _ => "",
    }
}

/// A TAP. The interface's other end is this machine's own stack, a namespace or a bridge.
#[derive(Debug)]
pub struct TapPort {
    device: File,
    class: AdaptiveClass,
}

impl TapPort {
    /// Attaches the TAP interface `name`, creating it when it is not there; then it goes with the
    /// port.
    ///
    /// # Errors
    /// [`TapError`].
    pub fn attach(name: &str) -> Result<Self, TapError> {
        let device = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(DEVICE)
            .map_err(|source| TapError::Device { source })?;
        sys::tap_attach(device.as_fd(), name)
            .map_err(|source| TapError::Attach { name: name.to_owned(), source })?;
        Ok(Self { device, class: AdaptiveClass::default() })
    }
}

impl Port for TapPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.device.as_raw_fd(), generation: 0 })
    }

    /// One frame per call of the system: a TAP has no other way.
    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let class = self.class.class();
        let mut lens = arrayvec::ArrayVec::<usize, RECEIVE_FRAMES_MAX>::new();
        let mut received = Received::NoBuffers;
        for slot in inbox.slots(class).take(RECEIVE_FRAMES_MAX) {
            let mut parts = [IoSliceMut::new(slot.head), IoSliceMut::new(slot.spill)];
            received = match readv(&self.device, &mut parts) {
                Ok(len) => {
                    lens.push(len);
                    received = Received::More;
                    continue;
                }
                Err(nix::Error::EAGAIN) => Received::Drained,
                Err(nix::Error::EINTR) => Received::More,
                // The interface is gone, with all that was behind it.
                Err(errno) => Received::Gone(Gone::Os(errno.into())),
            };
            // The frames stand in the first slots, one in each: after a slot without, no other.
            break;
        }
        // Nothing is cut here: head and spill hold more than a TAP gives (65,535 and a header).
        self.class.saw_batch(lens.iter().copied().max().unwrap_or(0));
        for (place, len) in lens.iter().enumerate() {
            inbox.arrived(class, place, *len);
        }
        received
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        for (place, frame) in outbox.iter().enumerate().take(SEND_FRAMES_MAX) {
            if let Err(error) = (&self.device).write(frame) {
                return Sent::until(place, fault(error));
            }
        }
        Sent::all(outbox.len().min(SEND_FRAMES_MAX))
    }
}

/// drivers/net/tun.c: EIO while the interface is down, EBADFD when it is gone.
fn fault(error: io::Error) -> SendFault {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => SendFault::Full { retry_after: None },
        Some(libc::EIO) => SendFault::NoPeer,
        Some(libc::EMSGSIZE) => SendFault::TooBig,
        Some(libc::EINVAL | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => SendFault::Lost,
        _ => SendFault::Gone(Gone::Os(error)),
    }
}

const RECEIVE_FRAMES_MAX: usize = 32;
const SEND_FRAMES_MAX: usize = 64;

const _: () = assert!(SizeClass::Full.bytes() > 65_535 + 18);
