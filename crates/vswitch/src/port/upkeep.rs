//! When ports look after themselves.

use std::time::Duration;

use crate::time::Nanos;

/// How often a port looks whether its peer is still, or again, there.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The next time to look: all ports at the same moments, so that an idle switch wakes once for all.
pub(super) fn next_look(now: Nanos) -> Nanos {
    let every = u64::try_from(LOOK_EVERY.as_nanos()).unwrap_or(u64::MAX);
    Nanos((now.0 / every + 1).saturating_mul(every))
}
