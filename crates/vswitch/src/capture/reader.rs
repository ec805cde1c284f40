//! The reader's half of a tap.

use super::record::Record;
use super::ring::RingReader;

/// What a tap tells, for one thread to read. Never waits: who reads looks again after a while. A
/// reader that does not keep up costs the tap frames, and the switch nothing.
#[derive(Debug)]
pub struct TapReader(RingReader);

impl TapReader {
    pub(super) fn new(ring: RingReader) -> Self {
        Self(ring)
    }

    /// When the next record is from, in nanoseconds since 1970; `None` when there is none now.
    pub fn next_time(&mut self) -> Option<u64> {
        self.0.next_time()
    }

    /// The next record; `None` when there is none now.
    #[allow(clippy::should_implement_trait, reason = "what it lends is the reader's own")]
    pub fn next(&mut self) -> Option<Record<'_>> {
        self.0.next()
    }

    /// Whether the tap was detached or its switch has ended. Asked before the last look for a
    /// record, nothing comes after that.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}
