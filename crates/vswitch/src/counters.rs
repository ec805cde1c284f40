//! What is counted, and why frames are dropped.
//!
//! Two sums hold whenever the loop is not inside a step (architecture, "Accounting"): at ingress,
//! received = forwarded + flooded + dropped; at egress, enqueued = sent + dropped + queued. Batches
//! hold what came and went in them: received + held at ingress, sent at egress.

use crate::histogram::{BatchSizes, Times};

/// Declares the reasons with their names, so that the list, the names and the count are one thing.
macro_rules! drop_reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        /// Why a frame was dropped. Every drop has one, and every reason its counter.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$doc])* $reason,)* }

        impl DropReason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// The reason's name in counters and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$reason => $name,)* }
            }
        }
    };
}

drop_reasons! {
    /// Ingress: fewer than 14 bytes, no Ethernet header.
    Runt = "runt",
    /// Ingress: more bytes than the port's limit.
    Oversize = "oversize",
    /// Ingress: the source is a group address or all zeros, which no station has.
    BadSource = "bad_source",
    /// Ingress: the port named its MAC, and the frame came from another.
    ForeignSource = "foreign_source",
    /// Ingress: the source is the named MAC of another port.
    OwnedSource = "owned_source",
    /// Ingress: the destination is behind the port that the frame came from, or behind a trunk, and
    /// the frame came from another trunk.
    Hairpin = "hairpin",
    /// Ingress: no buffer was left to receive into. Egress: there were not enough for all the
    /// segments that a frame was to be cut into for this port.
    NoBuffer = "no_buffer",
    /// The work left on the frame (a checksum, segments) cannot be done as its header says.
    /// Ingress: the checksum's place or the segment size cannot be. Egress: for the port that
    /// needed it done, or whose kernel refused it, the headers are not those of such a frame.
    BadOffload = "bad_offload",
    /// Ingress: a stream broke the framing: a length of zero or over the limit.
    BadFraming = "bad_framing",
    /// Ingress: a datagram from a sender without an address, to which nothing could be answered.
    NoAddress = "no_address",
    /// Egress: the interface's MTU, or the peer's limit, is smaller than the frame.
    Mtu = "mtu",
    /// Egress: the port's queue was full.
    QueueFull = "queue_full",
    /// Egress: the port's queue was full and its peer had taken nothing for too
    /// long ([`PATIENCE`](crate::switch::PATIENCE)).
    Stalled = "stalled",
    /// Egress: the frame had waited in the queue for too long.
    Aged = "aged",
    /// Egress: nobody is at the other end.
    NoPeer = "no_peer",
    /// Egress: the kernel took the frame and lost it, its own queue being full.
    Kernel = "kernel",
    /// Ingress and egress: the port's link was taken down.
    LinkDown = "link_down",
    /// The port was removed with the frame still queued, or (ingress) held until its target had
    /// room.
    Removed = "removed",
}

/// Which way a frame was going.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a port into the switch.
    Ingress,
    /// From the switch out by a port.
    Egress,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    /// Its name in counters and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

impl DropReason {
    /// Whether frames that go this way can be dropped for it.
    #[must_use]
    pub const fn occurs(self, going: Direction) -> bool {
        match self {
            Self::Runt
            | Self::Oversize
            | Self::BadSource
            | Self::ForeignSource
            | Self::OwnedSource
            | Self::Hairpin
            | Self::BadFraming
            | Self::NoAddress => matches!(going, Direction::Ingress),
            Self::NoBuffer | Self::BadOffload | Self::LinkDown | Self::Removed => true,
            Self::Mtu
            | Self::QueueFull
            | Self::Stalled
            | Self::Aged
            | Self::NoPeer
            | Self::Kernel => matches!(going, Direction::Egress),
        }
    }
}

/// A counter for each [`DropReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Counts one frame.
    pub fn count(&mut self, reason: DropReason) {
        self.add(reason, 1);
    }

    /// Counts `frames` frames.
    pub fn add(&mut self, reason: DropReason, frames: u64) {
        self.0[reason as usize] += frames;
    }

    /// Adds others' counts to these.
    pub fn add_all(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to += from;
        }
    }

    /// How many frames were dropped for `reason`.
    #[must_use]
    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many frames were dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.iter().map(|&reason| (reason, self.of(reason))).filter(|&(_, n)| n > 0)
    }
}

/// What came in by a port: `received = forwarded + flooded + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the unit is in each name")]
pub struct Ingress {
    pub received_frames: u64,
    pub received_bytes: u64,
    /// Frames with one target.
    pub forwarded_frames: u64,
    /// Frames to every other port: broadcast, multicast, unknown destination.
    pub flooded_frames: u64,
    pub dropped: Drops,
    /// Frames that a call of [`Port::receive`](crate::port::Port::receive) brought, dropped ones
    /// too.
    pub batches: BatchSizes,
    /// Calls that brought none.
    pub empty_batches: u64,
}

impl Ingress {
    /// Whether the sum holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.received_frames == self.forwarded_frames + self.flooded_frames + self.dropped.total()
    }

    /// Counts a call that brought so many frames.
    #[inline]
    pub(crate) fn count_batch(&mut self, frames: usize) {
        count_batch(&mut self.batches, &mut self.empty_batches, frames);
    }
}

/// What went out by a port: `enqueued = sent + dropped + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the unit is in each name")]
pub struct Egress {
    /// Frames that a verdict meant for this port; one that was cut for it counts as its segments.
    pub enqueued_frames: u64,
    pub sent_frames: u64,
    pub sent_bytes: u64,
    pub dropped: Drops,
    /// Frames that a call of [`Port::send`](crate::port::Port::send) took.
    pub batches: BatchSizes,
    /// Calls that took none.
    pub empty_batches: u64,
}

impl Egress {
    /// Counts a call that took so many frames.
    #[inline]
    pub(crate) fn count_batch(&mut self, frames: usize) {
        count_batch(&mut self.batches, &mut self.empty_batches, frames);
    }

    /// Whether the sum holds with `queued_frames` waiting.
    #[must_use]
    pub fn balances(&self, queued_frames: usize) -> bool {
        self.enqueued_frames == self.sent_frames + self.dropped.total() + queued_frames as u64
    }
}

/// A port's counters, and those of its addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the unit is in each name")]
pub struct PortCounters {
    pub ingress: Ingress,
    pub egress: Egress,
    /// Frames that the kernel dropped before the switch could read them.
    pub kernel_dropped_frames: u64,
    /// Times that reading paused because a target was full (back-pressure).
    pub pauses: u64,
}

impl PortCounters {
    /// Adds another port's counters to these.
    pub fn add(&mut self, other: &Self) {
        let (to, from) = (&mut self.ingress, &other.ingress);
        to.received_frames += from.received_frames;
        to.received_bytes += from.received_bytes;
        to.forwarded_frames += from.forwarded_frames;
        to.flooded_frames += from.flooded_frames;
        to.dropped.add_all(&from.dropped);
        to.batches.add(&from.batches);
        to.empty_batches += from.empty_batches;
        let (to, from) = (&mut self.egress, &other.egress);
        to.enqueued_frames += from.enqueued_frames;
        to.sent_frames += from.sent_frames;
        to.sent_bytes += from.sent_bytes;
        to.dropped.add_all(&from.dropped);
        to.batches.add(&from.batches);
        to.empty_batches += from.empty_batches;
        self.kernel_dropped_frames += other.kernel_dropped_frames;
        self.pauses += other.pauses;
    }

    /// What was dropped on one of its ways.
    #[must_use]
    pub const fn dropped(&self, going: Direction) -> &Drops {
        match going {
            Direction::Ingress => &self.ingress.dropped,
            Direction::Egress => &self.egress.dropped,
        }
    }
}

/// What a loop counts of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCounters {
    /// Times that it was about to sleep and was woken, or found something ready at once.
    pub wakeups: u64,
    /// How long it was busy each time with all that was ready or due: so long at most did what came
    /// meanwhile wait for its attention. Looks that found nothing to do are not counted.
    pub rounds: Times,
    /// Commands of other threads that it carried out.
    pub commands: u64,
}

#[inline]
fn count_batch(batches: &mut BatchSizes, empty_batches: &mut u64, frames: usize) {
    if frames == 0 {
        *empty_batches += 1;
    } else {
        batches.record(frames as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_way_and_a_name_of_its_own() {
        for (place, reason) in DropReason::ALL.iter().enumerate() {
            assert!(Direction::ALL.into_iter().any(|going| reason.occurs(going)), "{reason:?}");
            let same = DropReason::ALL.iter().position(|other| other.name() == reason.name());
            assert_eq!(same, Some(place));
        }
    }

    #[test]
    fn sums_add_up_field_by_field() {
        let mut one = PortCounters { kernel_dropped_frames: 1, pauses: 2, ..Default::default() };
        one.ingress = Ingress {
            received_frames: 3,
            received_bytes: 4,
            forwarded_frames: 5,
            flooded_frames: 6,
            empty_batches: 7,
            ..Ingress::default()
        };
        one.egress = Egress {
            enqueued_frames: 8,
            sent_frames: 9,
            sent_bytes: 10,
            empty_batches: 11,
            ..Egress::default()
        };
        for going in [&mut one.ingress.dropped, &mut one.egress.dropped] {
            going.add(DropReason::Removed, 12);
        }
        one.ingress.count_batch(13);
        one.egress.count_batch(14);
        let mut twice = one;
        twice.add(&one);
        // A field that `add` forgets would be the same in both.
        let digits = |counters: &PortCounters| {
            let text = format!("{counters:?}");
            let words = text.split(|c: char| !c.is_ascii_digit()).filter_map(|w| w.parse().ok());
            words.collect::<Vec<u64>>()
        };
        let doubled: Vec<u64> = digits(&one).iter().map(|n| 2 * n).collect();
        assert_eq!(digits(&twice), doubled);
        assert_eq!(twice.dropped(Direction::Egress).of(DropReason::Removed), 24);
    }
}
