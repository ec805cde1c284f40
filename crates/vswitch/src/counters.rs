//! What is counted, and why frames are dropped.
//!
//! Two sums hold whenever the loop is not inside a step (architecture, "Accounting"): at ingress,
//! received = forwarded + flooded + dropped; at egress, enqueued = sent + dropped + queued.

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
    /// Egress: the port was removed with the frame still queued.
    Removed = "removed",
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
}

impl Ingress {
    /// Whether the sum holds.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.received_frames == self.forwarded_frames + self.flooded_frames + self.dropped.total()
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
}

impl Egress {
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
