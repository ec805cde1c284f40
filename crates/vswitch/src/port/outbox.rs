//! What a port is given to send.

use crate::pool::Pool;
use crate::queue::EgressQueue;

/// The frames waiting at one port, oldest first.
#[derive(Debug)]
pub struct Outbox<'a> {
    queue: &'a EgressQueue,
    pool: &'a Pool,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(queue: &'a EgressQueue, pool: &'a Pool) -> Self {
        Self { queue, pool }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The bytes of the frame at `place`, 0 being the oldest.
    #[must_use]
    pub fn bytes(&self, place: usize) -> &'a [u8] {
        self.pool.bytes(self.queue.frame(place))
    }

    /// The frames' bytes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let (queue, pool) = (self.queue, self.pool);
        (0..queue.len()).map(move |place| pool.bytes(queue.frame(place)))
    }
}
