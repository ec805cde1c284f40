//! What a capture sees of a running switch.
//!
//! A [`tap`] has two halves: the [`Tap`], which is attached to a switch
//! ([`Switch::attach_tap`](crate::switch::Switch::attach_tap)) and is shown every frame, and the
//! [`TapReader`], which another thread reads from. Between them is a ring of bytes, made and
//! touched before the switch sees it. The switch never waits for it: what does not fit is counted
//! as lost. No lock is taken, nothing allocated and no clock read for a frame.
//!
//! Each frame is told of once where it came in, when it is decided on, and once at each port that
//! it was meant for, when that port has taken it; a frame that is dropped at either place, with the
//! reason instead. So what is told of a port are the sums of its counters:
//! [received](crate::counters::Ingress) frames, and [enqueued](crate::counters::Egress) ones that
//! wait no more. A frame that had to wait for its target is told of when it goes on.
//!
//! Frames are told of as they are in the switch: a big segment as one frame, an unfinished checksum
//! unfinished, as other captures on a host have it ([`CapturedFrame::offload`]).
//!
//! What a port could not receive as a frame (too big, broken framing, no buffer) has no bytes to
//! capture, and is told of by its number ([`Record::Rejected`]). Trunks, which only lead to other
//! loops, are told of where they drop something.

mod filter;
mod reader;
mod record;
mod ring;
mod tap;

pub use filter::{FILTER_INSTRUCTIONS_MAX, Filter, FilterError};
pub use reader::TapReader;
pub use record::{CapturedFrame, Direction, Record, TapCounters};
pub use tap::Tap;

pub(crate) use tap::{Passage, PortNames, Shown};

/// What a capture is to see, and how much room it has.
#[derive(Clone, Debug)]
pub struct TapSettings {
    /// Only ports of the network of this name, also of one that comes later; any without.
    pub network: Option<String>,
    /// Only the port of this name, also one that comes later; with a listener's name all its
    /// clients; any without.
    pub port: Option<String>,
    /// Only frames that it accepts, and of them as many bytes as it says; any without.
    pub filter: Option<Filter>,
    /// How many bytes of each frame are kept at most; 0 keeps all.
    pub snap_bytes: u32,
    /// How many bytes of frames may wait for the reader: [`RING_BYTES_MIN`] to [`RING_BYTES_MAX`].
    pub ring_bytes: usize,
}

impl Default for TapSettings {
    /// All of every frame at every port.
    fn default() -> Self {
        Self {
            network: None,
            port: None,
            filter: None,
            snap_bytes: 0,
            ring_bytes: RING_BYTES_DEFAULT,
        }
    }
}

/// The smallest ring: one frame of any size fits, beside what is said of ports.
pub const RING_BYTES_MIN: usize = 256 << 10;

/// The biggest ring.
pub const RING_BYTES_MAX: usize = 64 << 20;

/// A ring for who does not care: for 0.1 s of frames at 300 Mbit/s, told of twice each.
pub const RING_BYTES_DEFAULT: usize = 8 << 20;

/// How many taps one switch can have at once.
pub const TAPS_MAX: usize = 8;

/// A tap that cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a capture's ring of {asked_bytes} bytes: it may have {RING_BYTES_MIN} to {RING_BYTES_MAX}"
)]
pub struct RingSizeError {
    /// What was asked for.
    pub asked_bytes: usize,
}

/// Makes both halves of a tap. All of its memory is had here, on the thread that asks.
///
/// # Errors
/// When the ring is to be smaller or bigger than it may be.
pub fn tap(settings: TapSettings) -> Result<(Box<Tap>, TapReader), RingSizeError> {
    let asked_bytes = settings.ring_bytes;
    if !(RING_BYTES_MIN..=RING_BYTES_MAX).contains(&asked_bytes) {
        return Err(RingSizeError { asked_bytes });
    }
    let (writer, reader) = ring::ring(asked_bytes);
    Ok((Box::new(Tap::new(settings, writer)), TapReader::new(reader)))
}

#[cfg(test)]
mod tests;
