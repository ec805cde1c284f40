//! Keeps a hostile client from filling the log.

use std::time::Duration;

use crate::time::Nanos;

/// Lets through so many lines in each interval.
#[derive(Debug, Default)]
pub(super) struct LogThrottle {
    since: Nanos,
    lines: u32,
    suppressed: u64,
}

const INTERVAL: Duration = Duration::from_secs(1);
const LINES_PER_INTERVAL: u32 = 20;

impl LogThrottle {
    /// Whether one more line may be written now. The first line of an interval is preceded by how
    /// many were left out in the one before.
    pub(super) fn allows(&mut self, now: Nanos) -> bool {
        if now.since(self.since) >= INTERVAL {
            self.since = now;
            self.lines = 0;
            let suppressed = std::mem::take(&mut self.suppressed);
            if suppressed > 0 {
                tracing::warn!(suppressed, "more happened than is logged");
            }
        }
        self.lines += 1;
        let allowed = self.lines <= LINES_PER_INTERVAL;
        self.suppressed += u64::from(!allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_cut_and_the_next_interval_is_open() {
        let mut throttle = LogThrottle::default();
        let passed = (0..1000).filter(|n| throttle.allows(Nanos(*n))).count();
        assert_eq!(passed, 20);
        assert!(throttle.allows(Nanos(0) + INTERVAL));
    }
}
