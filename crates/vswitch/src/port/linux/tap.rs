//! `tap:IFNAME`: the user-space end of a TAP interface.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use arrayvec::ArrayVec;

use super::kernel::WITHOUT_USO;
use super::sys;
use crate::counters::DropReason;
use crate::offload::{Offload, Offloads, VnetFields};
use crate::poller::Source;
use crate::pool::{HEADROOM_BYTES, SizeClass};
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
///
/// Frames go both ways with a virtio-net header: the stack leaves checksums and segmentation to
/// whoever is behind the switch, and takes over what those left.
#[derive(Debug)]
pub struct TapPort {
    device: File,
    takes: Offloads,
    class: AdaptiveClass,
    /// Where a header and a small frame stand together for one call of the system: cheaper than to
    /// tell the kernel of two places.
    scratch: Box<[u8]>,
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
        let takes = set_up(device.as_fd(), name)
            .map_err(|source| TapError::Attach { name: name.to_owned(), source })?;
        let scratch = vec![0; SCRATCH_BYTES].into_boxed_slice();
        Ok(Self { device, takes, class: AdaptiveClass::default(), scratch })
    }
}

/// Attaches the interface and answers what its stack takes: all that the kernel knows. (What is
/// left to do to frames that are written, nobody has to be asked; USO is known to those kernels
/// that can be told to leave it, 6.2 and later.)
fn set_up(device: BorrowedFd<'_>, name: &str) -> io::Result<Offloads> {
    sys::tap_attach(device, name)?;
    sys::tap_set_header(device, HEADER_BYTES, true)?;
    let without_uso = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let all = without_uso | libc::TUN_F_USO4 | libc::TUN_F_USO6;
    match sys::tap_set_offload(device, all) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            sys::tap_set_offload(device, without_uso)?;
            Ok(WITHOUT_USO)
        }
        set => set.map(|()| Offloads::ALL),
    }
}

/// An interface that stays is left as it would be new: whoever attaches it next may not expect
/// unfinished frames.
impl Drop for TapPort {
    fn drop(&mut self) {
        let device = self.device.as_fd();
        let reset = sys::tap_set_offload(device, 0)
            .and_then(|()| sys::tap_set_header(device, HEADER_BYTES, false));
        if let Err(error) = reset {
            tracing::debug!(%error, "a TAP's offloads are not reset"); // it is gone, most likely
        }
    }
}

impl Port for TapPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.device.as_raw_fd(), generation: 0 })
    }

    fn takes(&self) -> Offloads {
        self.takes
    }

    /// One frame per call of the system: a TAP has no other way.
    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match self.class.class() {
            SizeClass::Small => self.receive_by_copy(inbox),
            class => self.receive_in_place(class, inbox),
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        for (place, (frame, offload)) in outbox.frames().enumerate().take(SEND_FRAMES_MAX) {
            let header = offload.to_vnet().to_le_bytes();
            let whole_bytes = HEADER_BYTES + frame.len();
            let written = if frame.len() <= COPIED_BYTES_MAX {
                self.scratch[..HEADER_BYTES].copy_from_slice(&header);
                self.scratch[HEADER_BYTES..whole_bytes].copy_from_slice(frame);
                self.device.write(&self.scratch[..whole_bytes])
            } else {
                self.device.write_vectored(&[IoSlice::new(&header), IoSlice::new(frame)])
            };
            if let Err(error) = written {
                return Sent::until(place, fault(error, offload));
            }
        }
        Sent::all(outbox.len().min(SEND_FRAMES_MAX))
    }
}

impl TapPort {
    /// Receives where a frame of any size has room, and copies out of there: less work than to have
    /// the kernel spread a frame over two places, as long as frames are small.
    fn receive_by_copy(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let mut biggest_bytes = 0;
        let mut received = Received::NoBuffers;
        for _ in 0..RECEIVE_FRAMES_MAX {
            if !inbox.has_room() {
                break;
            }
            match self.device.read(&mut self.scratch) {
                Ok(len) => {
                    let (header, frame) = self.scratch[..len].split_at(HEADER_BYTES.min(len));
                    biggest_bytes = biggest_bytes.max(frame.len());
                    match offload_of(header) {
                        Some(offload) => {
                            if !inbox.copy_unfinished(frame, offload) {
                                inbox.reject(DropReason::NoBuffer, frame.len());
                            }
                        }
                        None => inbox.reject(DropReason::BadOffload, frame.len()),
                    }
                    received = Received::More;
                }
                Err(error) => {
                    received = why_no_frame(error, inbox);
                    break;
                }
            }
        }
        self.class.saw_batch(biggest_bytes);
        received
    }

    /// Receives into buffers of `class`, and what is bigger into their spill.
    fn receive_in_place(&mut self, class: SizeClass, inbox: &mut Inbox<'_>) -> Received {
        let mut arrivals = ArrayVec::<(usize, Option<Offload>), RECEIVE_FRAMES_MAX>::new();
        let mut received = Received::NoBuffers;
        let mut ended_by = None;
        for (buffer, spill) in inbox.raw_slots(class, RECEIVE_FRAMES_MAX) {
            // The header comes to stand right before the frame, which begins behind the headroom.
            let (_, behind) = buffer.split_at_mut(HEADROOM_BYTES - HEADER_BYTES);
            let mut parts = [IoSliceMut::new(behind), IoSliceMut::new(spill)];
            match self.device.read_vectored(&mut parts) {
                Ok(len) => {
                    let offload = offload_of(&behind[..HEADER_BYTES]);
                    arrivals.push((len.saturating_sub(HEADER_BYTES), offload));
                    received = Received::More;
                }
                Err(error) => {
                    // The frames stand in the first slots, one in each: after a slot without, no
                    // other.
                    ended_by = Some(error);
                    break;
                }
            }
        }
        // Nothing is cut here: head and spill hold more than a TAP gives (65,535 and a header).
        self.class.saw_batch(arrivals.iter().map(|(len, _)| *len).max().unwrap_or(0));
        for (place, (len, offload)) in arrivals.into_iter().enumerate() {
            match offload {
                Some(offload) => inbox.arrived_unfinished(class, place, len, offload),
                None => inbox.reject(DropReason::BadOffload, len),
            }
        }
        ended_by.map_or(received, |error| why_no_frame(error, inbox))
    }
}

/// What a header as it was read says of the work left; `None` if that cannot be.
fn offload_of(header: &[u8]) -> Option<Offload> {
    let header = header.first_chunk().copied().unwrap_or_default();
    Offload::from_vnet(&VnetFields::from_le_bytes(header)).ok()
}

/// What a read says that gave no frame (`tun_put_user`: EINVAL stands for one that was lost, since
/// no header can tell of it).
fn why_no_frame(error: io::Error, inbox: &mut Inbox<'_>) -> Received {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Received::Drained,
        Some(libc::EINTR) => Received::More,
        Some(libc::EINVAL) => {
            inbox.reject(DropReason::BadOffload, 0);
            Received::More
        }
        // The interface is gone, with all that was behind it.
        _ => Received::Gone(Gone::Os(error)),
    }
}

/// drivers/net/tun.c: EIO while the interface is down, EBADFD when it is gone, EINVAL for a frame
/// without a header or another than its virtio-net header speaks of.
fn fault(error: io::Error, offload: &Offload) -> SendFault {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => SendFault::Full { retry_after: None },
        Some(libc::EIO) => SendFault::NoPeer,
        Some(libc::EMSGSIZE) => SendFault::TooBig,
        Some(libc::EINVAL) if !offload.is_none() => SendFault::BadOffload,
        Some(libc::EINVAL | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => SendFault::Lost,
        _ => SendFault::Gone(Gone::Os(error)),
    }
}

const HEADER_BYTES: usize = VnetFields::BYTES;

/// More than a TAP gives: 65,535 bytes behind an Ethernet header and tags, and the header.
const SCRATCH_BYTES: usize = SizeClass::Full.bytes();

/// Frames up to the usual MTU are copied behind their header, which costs less than `writev` does
/// more than `write`.
const COPIED_BYTES_MAX: usize = SizeClass::Small.bytes() - HEADROOM_BYTES;

const RECEIVE_FRAMES_MAX: usize = 32;
const SEND_FRAMES_MAX: usize = 64;

const _: () = assert!(HEADER_BYTES <= HEADROOM_BYTES);
const _: () = assert!(SizeClass::Full.bytes() > 65_535 + 18);

#[cfg(test)]
mod tests {
    use std::process::Command;

    use afpacket::{Options, Outgoing, PacketSocket};

    use super::*;
    use crate::pool::Pool;
    use crate::port::InboxBuffers;
    use crate::queue::EgressQueue;
    use crate::time::Nanos;

    /// A TAP that stays keeps the header's length and byte order that its last user wanted.
    #[test]
    fn what_another_program_left_is_set_anew() {
        if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
            return;
        }
        let quiet = "/proc/sys/net/ipv6/conf/default/disable_ipv6";
        std::fs::write(quiet, "1").expect("no IPv6 in this namespace");
        if !ip("tuntap add left0 mode tap") {
            testkit::skip("no TAP (root of the whole machine is needed)");
            return;
        }
        assert!(ip("link set left0 up"));
        let device = OpenOptions::new().read(true).write(true).open(DEVICE).expect("a device");
        sys::tap_attach(device.as_fd(), "left0").expect("its other user");
        sys::tap_set_header(device.as_fd(), HEADER_BYTES + 2, false).expect("a longer header");
        drop(device);

        // A program that another test starts may have the descriptor for a moment still.
        let mut port = None;
        let _ = testkit::wait_until(std::time::Duration::from_secs(5), || {
            port = TapPort::attach("left0").ok();
            port.is_some()
        });
        let mut port = port.expect("a TAP");
        let mut stack = PacketSocket::open("left0", &[], &Options::default()).expect("a socket");
        let frame: Vec<u8> = (0..100).collect();
        let (mut buffers, mut pool) = (InboxBuffers::default(), Pool::new(1 << 20));
        let arrived = testkit::wait_until(std::time::Duration::from_secs(5), || {
            stack.send(&[Outgoing::new(&frame)]);
            let _ = port.receive(&mut Inbox::new(&mut buffers, &mut pool));
            !buffers.frames.is_empty()
        });
        assert!(arrived, "nothing came from the stack");
        let received = buffers.frames.pop_front().expect("a frame");
        assert_eq!(pool.bytes(&received), frame);

        let mut queue = EgressQueue::new();
        queue.push(received, Nanos(0), &mut pool);
        let sent = port.send(&Outbox::new(&queue, &pool));
        assert!(sent.taken_frames == 1 && sent.then.is_none(), "{sent:?}");
        let mut buffer = vec![0; 2000];
        let mut slots = [afpacket::Slot::new(&mut buffer)];
        let taken = testkit::wait_until(std::time::Duration::from_secs(5), || {
            stack.receive(&mut slots).is_ok()
        });
        assert!(taken, "nothing came to the stack");
        assert_eq!(slots[0].head(), frame);
    }

    fn ip(arguments: &str) -> bool {
        let output = Command::new("ip").args(arguments.split(' ')).output();
        output.is_ok_and(|output| output.status.success())
    }
}
