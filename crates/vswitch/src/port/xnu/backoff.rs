//! When to try a full peer again.

use std::time::Duration;

/// The pause before a full peer is tried again: XNU refuses with `ENOBUFS` at once and on no
/// version tells reliably of room (contract §7: up to macOS 12 it says "writable" always, up to 14
/// no reader wakes a writer, and since 15 a room of one byte is room).
///
/// It begins short, since a reader usually makes room within some tens of microseconds, and doubles
/// while nothing is taken, so that a dead reader costs little.
#[derive(Debug)]
pub(in crate::port) struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_micros(50);
const LAST: Duration = Duration::from_micros(800);

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The peer took something.
    pub(in crate::port) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The peer is full: how long to wait now.
    pub(in crate::port) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(LAST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_end_and_begins_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..6).map(|_| backoff.pause().as_micros()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 800]);
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
        // A stalled peer is told by the switch after 2 ms: it is tried a few times before.
        assert!(FIRST * (1 + 2 + 4 + 8) < crate::switch::STALL_AFTER);
    }
}
