//! When to try again what failed, although no event says that it could be otherwise now.

use std::time::{Duration, Instant};

/// The failures in a row.
#[derive(Debug, Default)]
pub(super) struct Retry(u32);

/// After the first; twice as long after each further one. The keeper's own looks are the end of it.
const FIRST: Duration = Duration::from_millis(100);
const DOUBLINGS_MAX: u32 = 6;

impl Retry {
    /// It failed: when to try again.
    pub(super) fn failed(&mut self, now: Instant) -> Instant {
        let after = FIRST * 2_u32.pow(self.0.min(DOUBLINGS_MAX));
        self.0 = self.0.saturating_add(1);
        now + after
    }

    /// It did not fail.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_tried_again_less_and_less_often() {
        let (mut retry, now) = (Retry::default(), Instant::now());
        let after = |retry: &mut Retry| (retry.failed(now) - now).as_millis();
        let waits: Vec<u128> = (0..9).map(|_| after(&mut retry)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400]);
        retry.reset();
        assert_eq!(after(&mut retry), 100);
    }
}
