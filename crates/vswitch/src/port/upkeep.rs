//! When ports look after themselves.

use std::time::Duration;

use crate::time::Nanos;

/// How often a port looks whether its peer is still, or again, there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often a port gives back memory that it did not use in between.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// The next time to give back memory, the same for all ports.
pub(super) fn next_tidying(now: Nanos) -> Nanos {
    next_multiple(now, TIDY_EVERY)
}

/// The next time to look: all ports at the same moments, so that an idle switch wakes once for all.
pub(super) fn next_look(now: Nanos) -> Nanos {
    next_multiple(now, LOOK_EVERY)
}

fn next_multiple(now: Nanos, every: Duration) -> Nanos {
    let every = u64::try_from(every.as_nanos()).unwrap_or(u64::MAX);
    Nanos((now.0 / every + 1).saturating_mul(every))
}
