//! What a tap tells its reader, and how that stands in the ring.
//!
//! Each record is a head of fixed size and a body. Both ends are this process: the form is nobody
//! else's business, and numbers are in the machine's order.

use crate::counters::DropReason;
use crate::offload::{Checksum, Gso, Offload};

/// What a tap tells, in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// A port, before anything is told of it.
    Port {
        /// Its number in this tap; no later port has the same.
        port: u32,
        /// The network it is on.
        network: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A frame at a port.
    Frame(CapturedFrame<'a>),
    /// Frames that a port received so that they could not be shown, since the last such record of
    /// the same reason; told before its counters.
    Rejected {
        /// The port's number.
        port: u32,
        /// Why they were dropped.
        reason: DropReason,
        /// How many.
        frames: u64,
    },
    /// What the tap has counted at a port so far.
    Counters {
        /// The port's number.
        port: u32,
        /// Until when, in nanoseconds since 1970.
        time_ns: u64,
        /// The numbers, since the tap was attached or the port came.
        counters: TapCounters,
        /// The port is gone: no more is told of it.
        has_ended: bool,
    },
}

/// A frame at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// The port's number in this tap ([`Record::Port`]).
    pub port: u32,
    /// When, in nanoseconds since 1970: the switch's clock, by the wall clock of the moment when
    /// the tap was attached.
    pub time_ns: u64,
    /// Whether it came in by the port or was to go out by it.
    pub direction: Direction,
    /// Why it was dropped here, if it was.
    pub dropped: Option<DropReason>,
    /// As how many frames it was dropped: a big segment as many as it was to be cut into, anything
    /// else as one.
    pub frames: u32,
    /// What is still to be done to it.
    pub offload: Offload,
    /// How long the frame is.
    pub len_bytes: u32,
    /// Its first bytes.
    pub bytes: &'a [u8],
    /// How many frames at this port were lost by the capture since the one told of before.
    pub lost_before_frames: u64,
}

/// Which way a frame went through a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the switch.
    In,
    /// Out of it.
    Out,
}

/// What a tap counted at one port. `accepted = captured + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapCounters {
    /// Frames that it was shown.
    pub seen_frames: u64,
    /// Those that its filter accepted.
    pub accepted_frames: u64,
    /// Those that it lost, the ring being full.
    pub lost_frames: u64,
}

impl TapCounters {
    /// Those that were told of.
    #[must_use]
    pub const fn captured_frames(&self) -> u64 {
        self.accepted_frames - self.lost_frames
    }
}

/// How many bytes a head has.
pub(super) const HEAD_BYTES: usize = 40;

/// A record without its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) port: u32,
    pub(super) time_ns: u64,
    pub(super) body_bytes: u32,
    pub(super) direction: Direction,
    pub(super) dropped: Option<DropReason>,
    pub(super) frames: u32,
    pub(super) checksum: Checksum,
    pub(super) gso: Gso,
    pub(super) segment_bytes: u16,
    pub(super) len_bytes: u32,
    /// Of a frame, how many were lost before it; of rejected ones, how many they are.
    pub(super) count: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Port,
    Frame,
    Rejected,
    Counters,
    LastCounters,
}

impl Head {
    /// A head about a port, of which the rest is to be filled in.
    pub(super) const fn new(kind: Kind, port: u32, time_ns: u64) -> Self {
        Self {
            kind,
            port,
            time_ns,
            body_bytes: 0,
            direction: Direction::In,
            dropped: None,
            frames: 0,
            checksum: Checksum::Complete,
            gso: Gso::None,
            segment_bytes: 0,
            len_bytes: 0,
            count: 0,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = self.kind as u8;
        bytes[1] = self.direction as u8;
        bytes[2] = self.dropped.map_or(NOT_DROPPED, |reason| reason as u8);
        bytes[3] = self.checksum as u8 | (self.gso as u8) << 4;
        bytes[4..8].copy_from_slice(&self.body_bytes.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.port.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.len_bytes.to_ne_bytes());
        bytes[16..24].copy_from_slice(&self.time_ns.to_ne_bytes());
        bytes[24..32].copy_from_slice(&self.count.to_ne_bytes());
        bytes[32..36].copy_from_slice(&self.frames.to_ne_bytes());
        bytes[36..38].copy_from_slice(&self.segment_bytes.to_ne_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; HEAD_BYTES]) -> Self {
        let word = |at: usize| u32::from_ne_bytes(part(bytes, at));
        let long = |at: usize| u64::from_ne_bytes(part(bytes, at));
        Self {
            kind: match bytes[0] {
                0 => Kind::Port,
                1 => Kind::Frame,
                2 => Kind::Rejected,
                3 => Kind::Counters,
                _ => Kind::LastCounters,
            },
            direction: if bytes[1] == 0 { Direction::In } else { Direction::Out },
            dropped: DropReason::ALL.get(usize::from(bytes[2])).copied(),
            checksum: match bytes[3] & 0xf {
                0 => Checksum::Complete,
                1 => Checksum::Verified,
                _ => Checksum::Unfinished,
            },
            gso: match bytes[3] >> 4 {
                0 => Gso::None,
                1 => Gso::TcpV4,
                2 => Gso::TcpV6,
                _ => Gso::UdpL4,
            },
            body_bytes: word(4),
            port: word(8),
            len_bytes: word(12),
            time_ns: long(16),
            count: long(24),
            frames: word(32),
            segment_bytes: u16::from_ne_bytes(part(bytes, 36)),
        }
    }

    /// The record that this head has with this body.
    pub(super) fn record(self, body: &[u8]) -> Record<'_> {
        let port = self.port;
        match self.kind {
            Kind::Port => {
                let (network, name) = body.split_at((self.len_bytes as usize).min(body.len()));
                Record::Port { port, network: text(network), name: text(name) }
            }
            Kind::Frame => Record::Frame(CapturedFrame {
                port,
                time_ns: self.time_ns,
                direction: self.direction,
                dropped: self.dropped,
                frames: self.frames,
                offload: Offload {
                    checksum: self.checksum,
                    gso: self.gso,
                    segment_bytes: self.segment_bytes,
                    ..Offload::NONE
                },
                len_bytes: self.len_bytes,
                bytes: body,
                lost_before_frames: self.count,
            }),
            Kind::Rejected => {
                let reason = self.dropped.unwrap_or(DropReason::Oversize);
                Record::Rejected { port, reason, frames: self.count }
            }
            Kind::Counters | Kind::LastCounters => Record::Counters {
                port,
                time_ns: self.time_ns,
                counters: TapCounters::from_body(body),
                has_ended: self.kind == Kind::LastCounters,
            },
        }
    }
}

impl TapCounters {
    pub(super) fn to_body(self) -> [u8; 24] {
        let mut body = [0; 24];
        body[..8].copy_from_slice(&self.seen_frames.to_ne_bytes());
        body[8..16].copy_from_slice(&self.accepted_frames.to_ne_bytes());
        body[16..].copy_from_slice(&self.lost_frames.to_ne_bytes());
        body
    }

    fn from_body(body: &[u8]) -> Self {
        let Ok(body) = <&[u8; 24]>::try_from(body) else { return Self::default() };
        let long = |at: usize| u64::from_ne_bytes(part(body, at));
        Self { seen_frames: long(0), accepted_frames: long(8), lost_frames: long(16) }
    }
}

/// `N` bytes from `at` on.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|offset| bytes[at + offset])
}

/// What the other end put there as text.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// In the place of a reason.
const NOT_DROPPED: u8 = u8::MAX;

const _: () = assert!(DropReason::ALL.len() < NOT_DROPPED as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_head() -> impl Strategy<Value = Head> {
        let kind = prop::sample::select(vec![
            Kind::Port,
            Kind::Frame,
            Kind::Rejected,
            Kind::Counters,
            Kind::LastCounters,
        ]);
        let direction = prop::sample::select(vec![Direction::In, Direction::Out]);
        let dropped = prop::option::of(prop::sample::select(DropReason::ALL.to_vec()));
        let checksum = prop::sample::select(vec![
            Checksum::Complete,
            Checksum::Verified,
            Checksum::Unfinished,
        ]);
        let gso = prop::sample::select(vec![Gso::None, Gso::TcpV4, Gso::TcpV6, Gso::UdpL4]);
        let numbers = any::<(u32, u64, u32, u32, u16, u32, u64)>();
        (kind, direction, dropped, checksum, gso, numbers).prop_map(
            |(kind, direction, dropped, checksum, gso, numbers)| {
                let (port, time_ns, body_bytes, frames, segment_bytes, len_bytes, count) = numbers;
                Head {
                    kind,
                    port,
                    time_ns,
                    body_bytes,
                    direction,
                    dropped,
                    frames,
                    checksum,
                    gso,
                    segment_bytes,
                    len_bytes,
                    count,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_head_is_read_as_it_was_written(head in any_head()) {
            prop_assert_eq!(Head::from_bytes(&head.to_bytes()), head);
        }

        #[test]
        fn counters_are_read_as_they_were_written(
            (seen_frames, accepted_frames, lost_frames) in any::<(u64, u64, u64)>(),
        ) {
            let counters = TapCounters { seen_frames, accepted_frames, lost_frames };
            prop_assert_eq!(TapCounters::from_body(&counters.to_body()), counters);
        }
    }
}
