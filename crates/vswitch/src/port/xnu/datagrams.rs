//! Frames by XNU's unix datagram sockets: what both kinds of guest port do with theirs.

use xnu_sys::sys_socket::{
    AF_LOCAL, MSG_DONTWAIT, MSG_PEEK, SO_NOSIGPIPE, SO_RCVBUF, SO_SNDBUF, SOCK_DGRAM, SOL_SOCKET,
};
use xnu_sys::{Descriptor, Errno, Kernel, Messages, SyscallError, UnixSocket};

use super::backoff::Backoff;
use crate::frame::FRAME_MAX_BYTES;
use crate::pool::SizeClass;
use crate::port::inbox::BATCH_FRAMES_MAX;
use crate::port::{AdaptiveClass, Inbox, Outbox, Received, SendFault, Sent, VFKIT_HANDSHAKE};

/// What a socket's buffers hold, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Buffers {
    pub send_bytes: u32,
    pub receive_bytes: u32,
}

/// What is asked for at both ends of a port. `SO_SNDBUF` is only the largest datagram (nothing of
/// it is allocated), `SO_RCVBUF` is the queue; Apple wants four times as much of the latter
/// (`VZFileHandleNetworkDeviceAttachment`). Both are below what macOS up to 14.3 refuses
/// (7,456,540 bytes, `sbreserve` in XNU `bsd/kern/uipc_socket2.c`).
pub const BUFFERS: Buffers = Buffers { send_bytes: 1 << 20, receive_bytes: 4 << 20 };

/// Sets the buffers of a socket, halving what is refused, and reads back what there is.
///
/// # Errors
/// When the socket cannot be asked what it has.
pub fn set_buffers<K: Kernel>(
    socket: &Descriptor<K, UnixSocket>,
    wanted: Buffers,
) -> Result<Buffers, SyscallError> {
    Ok(Buffers {
        send_bytes: set_buffer(socket, SO_SNDBUF, wanted.send_bytes)?,
        receive_bytes: set_buffer(socket, SO_RCVBUF, wanted.receive_bytes)?,
    })
}

fn set_buffer<K: Kernel>(
    socket: &Descriptor<K, UnixSocket>,
    option: i32,
    wanted_bytes: u32,
) -> Result<u32, SyscallError> {
    let had = socket.option_u32(SOL_SOCKET, option)?;
    let mut asked = wanted_bytes;
    // A refused size leaves the old one, which may be larger than what would be asked for next.
    while asked > had && socket.set_option_u32(SOL_SOCKET, option, asked).is_err() {
        asked /= 2;
    }
    socket.option_u32(SOL_SOCKET, option)
}

/// A datagram socket with what it takes to move frames by it.
#[derive(Debug)]
pub(super) struct Datagrams<K: Kernel> {
    socket: Descriptor<K, UnixSocket>,
    /// Arrays for many datagrams by one call; `None` when this system has no such calls: then each
    /// goes by one of its own.
    messages: Option<Messages>,
    /// Where one datagram is received when there are no such calls.
    single: Vec<u8>,
    class: AdaptiveClass,
    backoff: Backoff,
    buffers: Buffers,
    /// Of a batch, the datagram that found no room counts as sent ([`counts_the_refused`]).
    counts_the_refused: bool,
    /// For so many calls more, each frame goes by a call of its own, which says what became of it.
    slow_calls: u32,
}

/// For how long a peer that was full is taken for a slow reader, where a batch does not say exactly
/// what became of its last frame.
const CALLS_AFTER_FULL: u32 = 256;

/// How many bytes one call sends at most: more fall out of the second-level cache before the kernel
/// has copied them.
const SEND_BYTES_MAX: usize = 256 << 10;

impl<K: Kernel> Datagrams<K> {
    /// Takes a socket, enlarges its buffers, and sees to it that a dead peer raises no signal.
    pub(super) fn new(socket: Descriptor<K, UnixSocket>) -> Result<Self, SyscallError> {
        socket.set_nonblocking_and_cloexec()?;
        // Rust programs ignore SIGPIPE; others that use this crate may not.
        socket.set_option_u32(SOL_SOCKET, SO_NOSIGPIPE, 1)?;
        let buffers = set_buffers(&socket, BUFFERS)?;
        let counts_the_refused = counts_the_refused(socket.kernel());
        Ok(Self {
            counts_the_refused,
            slow_calls: 0,
            socket,
            messages: Some(Messages::default()),
            single: Vec::new(),
            class: AdaptiveClass::default(),
            backoff: Backoff::default(),
            buffers,
        })
    }

    pub(super) fn socket(&self) -> &Descriptor<K, UnixSocket> {
        &self.socket
    }

    pub(super) fn buffers(&self) -> Buffers {
        self.buffers
    }

    /// Receives one batch.
    ///
    /// # Errors
    /// What the kernel says, its own passing need excepted: that is [`Received::NoBuffers`].
    pub(super) fn receive(&mut self, inbox: &mut Inbox<'_>) -> Result<Received, Errno> {
        match self.receive_batch(inbox) {
            Err(Errno::ENOMEM | Errno::ENOBUFS) => Ok(Received::NoBuffers),
            Err(Errno::EINTR) => Ok(Received::More),
            result => result,
        }
    }

    fn receive_batch(&mut self, inbox: &mut Inbox<'_>) -> Result<Received, Errno> {
        if let Some(messages) = &mut self.messages {
            match receive_many(&self.socket, messages, &mut self.class, inbox) {
                Err(Errno::ENOSYS | Errno::EOPNOTSUPP) => self.messages = None,
                result => return result,
            }
        }
        self.receive_singly(inbox)
    }

    fn receive_singly(&mut self, inbox: &mut Inbox<'_>) -> Result<Received, Errno> {
        // One byte more than any frame has: what fills it was too long, and nobody else says so.
        self.single.resize(FRAME_MAX_BYTES + 1, 0);
        for _ in 0..SizeClass::Small.batch_frames() {
            if !inbox.has_room() {
                return Ok(Received::NoBuffers);
            }
            let kernel = self.socket.kernel();
            let received = kernel.recvfrom(self.socket.fd(), &mut self.single, MSG_DONTWAIT, None);
            match received {
                Ok(len) if self.single[..len] == *VFKIT_HANDSHAKE => {}
                Ok(len) => {
                    inbox.copy(&self.single[..len]);
                }
                Err(Errno::EAGAIN) => return Ok(Received::Drained),
                Err(errno) => return Err(errno),
            }
        }
        Ok(Received::More)
    }

    /// Sends the outbox's first frames.
    pub(super) fn send(&mut self, outbox: &Outbox<'_>) -> Result<Sent, Errno> {
        // Longer than the largest datagram: the kernel need not be asked, and some versions do not
        // say how many went before one that was (`sendmsg_x` up to macOS 13).
        let limit = usize::try_from(self.buffers.send_bytes).unwrap_or(usize::MAX);
        let fits = |frame: &&[u8]| frame.len() <= limit;
        if outbox.iter().next().is_some_and(|frame| !fits(&frame)) {
            return Ok(Sent::until(0, SendFault::TooBig));
        }
        let (mut frames, mut bytes) = (0, 0);
        for frame in outbox.iter().take_while(fits).take(xnu_sys::MESSAGES_MAX) {
            if frames > 0 && bytes + frame.len() > SEND_BYTES_MAX {
                break;
            }
            bytes += frame.len();
            frames += 1;
        }
        let sent = self.send_many(outbox, frames);
        match sent {
            Ok(taken) if taken > 0 => {
                self.backoff.reset();
                let full = taken < frames;
                Ok(if full { Sent::until(taken, self.full()) } else { Sent::all(taken) })
            }
            // EINTR: a signal came before the first.
            Ok(_) | Err(Errno::ENOBUFS | Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR) => {
                Ok(Sent::until(0, self.full()))
            }
            Err(Errno::EMSGSIZE) => Ok(Sent::until(0, SendFault::TooBig)),
            Err(errno) => Err(errno),
        }
    }

    fn send_many(&mut self, outbox: &Outbox<'_>, frames: usize) -> Result<usize, Errno> {
        let is_slow = self.slow_calls > 0;
        if let Some(messages) = self.messages.as_mut().filter(|_| !is_slow) {
            match messages.send(&self.socket, outbox.iter().take(frames)) {
                Err(Errno::ENOSYS | Errno::EOPNOTSUPP) => self.messages = None,
                Ok(count) if self.counts_the_refused && count < frames => {
                    self.slow_calls = CALLS_AFTER_FULL;
                    return Ok(count.saturating_sub(1));
                }
                result => return result,
            }
        }
        self.slow_calls = self.slow_calls.saturating_sub(1);
        for (place, frame) in outbox.iter().take(frames).enumerate() {
            match self.socket.write(frame) {
                Ok(_) => {}
                Err(errno) if place == 0 => return Err(errno),
                // Said again by the next call, if it still holds.
                Err(_) => return Ok(place),
            }
        }
        Ok(frames)
    }

    fn full(&mut self) -> SendFault {
        SendFault::Full { retry_after: Some(self.backoff.pause()) }
    }

    /// Looks whether the peer is there, without taking anything: an error that waits to be told
    /// stays, too (`MSG_PEEK`, contract C26).
    pub(super) fn look(&self) -> Look {
        let flags = MSG_DONTWAIT | MSG_PEEK;
        match self.socket.kernel().recvfrom(self.socket.fd(), &mut [0; 1], flags, None) {
            Ok(_) => Look::Waiting,
            Err(Errno::EAGAIN | Errno::EINTR) => Look::Empty,
            Err(errno) => Look::Broken(errno),
        }
    }
}

/// Whether `sendmsg_x` of this kernel counts the datagram that found no room among those it sent,
/// as macOS 12 does: it looks at whose bytes it has taken over, and those it had (`sendmsg_x` and
/// `externalize_user_msghdr_array` in XNU `bsd/kern/uipc_syscalls.c`). When a batch is cut short
/// there, its last one was not sent; when it is not, nobody knows of the very last.
///
/// It is tried: a pair whose buffer holds two datagrams of three.
fn counts_the_refused<K: Kernel>(kernel: &K) -> bool {
    let Ok((near, _far)) = kernel.socketpair(AF_LOCAL, SOCK_DGRAM, 0) else { return false };
    let near = Descriptor::<K, UnixSocket>::new(kernel.clone(), near);
    let datagrams = [[0_u8; 1800]; 3];
    let sent = Messages::default().send(&near, datagrams.iter().map(<[u8; 1800]>::as_slice));
    sent == Ok(datagrams.len())
}

/// What is in a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A datagram waits.
    Waiting,
    /// Nothing.
    Empty,
    /// An error: the peer is gone.
    Broken(Errno),
}

/// Whether an error says that the peer is gone (`unp_disconnect` and `sosend` in XNU
/// `bsd/kern/uipc_usrreq.c`, `uipc_socket.c`): `ECONNRESET` once, then the others.
pub(super) const fn is_gone(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNRESET
            | Errno::ECONNREFUSED
            | Errno::EDESTADDRREQ
            | Errno::ENOTCONN
            | Errno::EPIPE
    )
}

fn receive_many<K: Kernel>(
    socket: &Descriptor<K, UnixSocket>,
    messages: &mut Messages,
    adaptive: &mut AdaptiveClass,
    inbox: &mut Inbox<'_>,
) -> Result<Received, Errno> {
    let class = adaptive.class();
    let slots = inbox.slots(class, BATCH_FRAMES_MAX);
    let posted = slots.len();
    if posted == 0 {
        return Ok(Received::NoBuffers);
    }
    let spills = class != SizeClass::Full;
    let slots = slots.map(|slot| (slot.head, if spills { slot.spill } else { &mut [] }));
    let count = match messages.receive(socket, slots) {
        Ok(count) => count,
        Err(Errno::EAGAIN) => return Ok(Received::Drained),
        Err(errno) => return Err(errno),
    };
    let mut biggest = 0;
    for place in 0..count {
        let len = messages.len_bytes(place);
        biggest = biggest.max(len);
        if len == VFKIT_HANDSHAKE.len() && inbox.peek(class, place, len) == VFKIT_HANDSHAKE {
            continue;
        }
        inbox.arrived(class, place, len);
    }
    adaptive.saw_batch(biggest);
    Ok(if count == posted { Received::More } else { Received::Drained })
}
