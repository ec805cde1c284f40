//! Where frames come in and go out: the first of the two seams.
//!
//! A [`Port`] takes and gives frames in batches and says what became of each. What stands behind it
//! (a unix datagram socket, a stream, a TAP, an `AF_PACKET` socket, BPF and NDRV, a simulation) the
//! loop does not know. A [`Listener`] makes ports.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::mac::MacAddr;
use crate::offload::Offloads;
use crate::poller::Source;
use crate::time::Nanos;

mod inbox;
#[cfg(target_os = "linux")]
pub mod linux;
mod outbox;
#[cfg(unix)]
mod trunk;
#[cfg(unix)]
pub mod unix;
mod upkeep;
pub mod xnu;

pub use inbox::{AdaptiveBatch, AdaptiveClass, BATCH_FRAMES_MAX, Inbox, InboxBuffers, ReceiveSlot};
pub use outbox::Outbox;
#[cfg(unix)]
pub use trunk::TrunkPort;

/// The first datagram of a vfkit client (`VFKT`), which is no frame.
pub(crate) const VFKIT_HANDSHAKE: &[u8; 4] = b"VFKT";

/// One port.
///
/// None of the calls may block. A port never panics at what comes from its peer.
pub trait Port: fmt::Debug + Send {
    /// What to watch to know when to receive and send; `None` while there is nothing to watch.
    /// Asked again after each other call: a port may change it (a reconnect) at any of them.
    fn source(&self) -> Option<Source>;

    /// What may be left to do to the frames of an outbox; the switch does the rest before they
    /// are queued. Asked when the port is added and after each other call, so it must be cheap. A
    /// port that takes less than before loses what is queued for it of the rest.
    fn takes(&self) -> Offloads {
        Offloads::NONE
    }

    /// Puts the frames that are there into `inbox`, at most one batch.
    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received;

    /// Sends the frames of `outbox` from its first on, at most one batch. There is at least one, or
    /// a rest ([`Self::has_rest`]).
    fn send(&mut self, outbox: &Outbox<'_>) -> Sent;

    /// Whether the end of a frame taken before is still to be written. Then `send` is called when
    /// the port is writable, also with nothing in the outbox.
    fn has_rest(&self) -> bool {
        false
    }

    /// Does what is due at `now` (a reconnect, a look at whether the interface is still there), and
    /// says when to be called next; [`Nanos::NEVER`] when not again.
    ///
    /// # Errors
    /// [`Gone`], as [`Received::Gone`].
    fn upkeep(&mut self, _now: Nanos) -> Result<Nanos, Gone> {
        Ok(Nanos::NEVER)
    }

    /// The stations behind the switch's other ports: only these have an address there, or, with
    /// `None`, any may. A port to a host's network may have its kernel pass no frames for others;
    /// what it passes too much, the fabric decides on.
    ///
    /// # Errors
    /// What the system says. As before, no frame for one of the stations is kept from the switch
    /// then.
    fn set_stations(&mut self, _stations: Option<&[MacAddr]>) -> io::Result<()> {
        Ok(())
    }

    /// How many frames the kernel has dropped, since the port was made, before the switch could
    /// read them. May be asked seldom: it can cost a system call.
    fn kernel_dropped_frames(&mut self) -> u64 {
        0
    }
}

/// What a call of [`Port::receive`] found.
#[derive(Debug)]
pub enum Received {
    /// Everything was taken; the poller tells when there is more.
    Drained,
    /// Everything was taken, and more is on its way that is better read together: call again after
    /// this time, and do not ask the poller before. For a port whose source costs more to be woken
    /// for than to be read.
    Later(Duration),
    /// There may be more: call again without asking the poller.
    More,
    /// The pool has no buffer left: call again a little later.
    NoBuffers,
    /// The other end is gone for good, and why. The port does nothing any more.
    Gone(Gone),
}

/// Why a port ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Gone {
    /// The peer closed its end.
    Closed,
    /// The peer broke the stream's framing with this length.
    Framing {
        /// What the four bytes before a frame said.
        length_bytes: u32,
    },
    /// The peer did not begin as its protocol says, and how.
    Handshake(String),
    /// The system said so.
    Os(io::Error),
}

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the peer"),
            Self::Framing { length_bytes } => {
                write!(f, "the peer announced a frame of {length_bytes} bytes, which cannot be")
            }
            Self::Handshake(why) => f.write_str(why),
            Self::Os(error) => error.fmt(f),
        }
    }
}

/// What a call of [`Port::send`] did.
#[derive(Debug)]
pub struct Sent {
    /// How many frames, from the first on, the port took.
    pub taken_frames: usize,
    /// Why it did not take the next one; `None` when it only had enough for one call.
    pub then: Option<SendFault>,
}

impl Sent {
    /// `taken_frames` were taken, and nothing stands against more.
    #[must_use]
    pub const fn all(taken_frames: usize) -> Self {
        Self { taken_frames, then: None }
    }

    /// After `taken_frames`, the next met `fault`.
    #[must_use]
    pub const fn until(taken_frames: usize, fault: SendFault) -> Self {
        Self { taken_frames, then: Some(fault) }
    }
}

/// Why a port did not take a frame.
#[derive(Debug)]
#[non_exhaustive]
pub enum SendFault {
    /// The peer's queue is full. Without `retry_after` the poller tells when it is not; with it, it
    /// does not (XNU), or late (Linux's large buffers), and the loop tries again after that time.
    Full {
        /// When to try again, instead of waiting for an event.
        retry_after: Option<Duration>,
    },
    /// The frame is too big for the interface or the peer. The next ones may pass.
    TooBig,
    /// The frame was taken and lost in the kernel. The next ones may pass.
    Lost,
    /// The frame's offload cannot be followed: its headers are others than it speaks of. The next
    /// ones may pass.
    BadOffload,
    /// Nobody is there to take any frame.
    NoPeer,
    /// As [`Received::Gone`].
    Gone(Gone),
}

/// Where clients come in, each to become a port of its own.
pub trait Listener: fmt::Debug + Send {
    /// What to watch to know when a client is there.
    fn source(&self) -> Source;

    /// Takes the next client; `None` when there is none now.
    ///
    /// # Errors
    /// What the system says, such as no descriptor being left. The loop tries again later.
    fn accept(&mut self) -> io::Result<Option<Box<dyn Port>>>;
}
