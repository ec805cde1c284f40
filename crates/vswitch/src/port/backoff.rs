//! When to try a full peer again.

use std::time::Duration;

/// The pause before a full peer is tried again, where no event tells of room in time.
///
/// It begins short, since a reader usually makes room soon, and doubles while nothing is taken, so
/// that a dead reader costs little.
#[derive(Debug)]
pub(in crate::port) struct Backoff {
    first: Duration,
    next: Duration,
}

/// The longest pause: a peer that takes nothing for [`STALL_AFTER`](crate::switch::STALL_AFTER) was
/// tried a few times before.
const LAST: Duration = Duration::from_micros(800);

impl Backoff {
    /// Pauses from `first` on, and to 800 µs.
    pub(in crate::port) const fn from(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// The peer took something.
    pub(in crate::port) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The peer is full: how long to wait now.
    pub(in crate::port) fn pause(&mut self) -> Duration {
        let pause = self.next.min(LAST);
        self.next = pause * 2;
        pause
    }

    /// The same, for a peer of which an event tells in the end: `None` after the longest pause.
    pub(in crate::port) fn pause_before_event(&mut self) -> Option<Duration> {
        (self.next <= LAST).then(|| self.pause())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_micros(50);

    #[test]
    fn doubles_up_to_its_end_and_begins_anew() {
        let mut backoff = Backoff::from(FIRST);
        let pauses: Vec<u128> = (0..6).map(|_| backoff.pause().as_micros()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 800]);
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
        // A stalled peer is told by the switch after 2 ms: it is tried a few times before.
        assert!(FIRST * (1 + 2 + 4 + 8) < crate::switch::STALL_AFTER);
    }

    #[test]
    fn leaves_the_rest_to_the_event_after_its_longest_pause() {
        let mut backoff = Backoff::from(LAST / 4);
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause_before_event()).collect();
        assert_eq!(pauses, [Some(LAST / 4), Some(LAST / 2), Some(LAST), None, None]);
        backoff.reset();
        assert_eq!(backoff.pause_before_event(), Some(LAST / 4));
    }
}
