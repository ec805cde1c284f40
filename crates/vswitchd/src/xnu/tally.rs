//! What was mended while the switch ran.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Something that was lost and is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mended {
    /// The membership of the pair's end, or of the lent interface, in the bridge.
    Membership,
    /// The pair, or the descriptors on it.
    Link,
    /// The bridge that was made here.
    Bridge,
    /// An interface that had been set down.
    Up,
}

/// How often each was mended. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<[AtomicU64; 4]>);

impl Tally {
    pub(super) fn count(&self, what: Mended) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    #[must_use]
    pub fn of(&self, what: Mended) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }
}
