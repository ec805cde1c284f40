//! What a port is given to send.

use crate::offload::Offload;
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

    /// What is left to do to the frame at `place`: nothing that the port does not take
    /// ([`Port::takes`](super::Port::takes)).
    #[must_use]
    pub fn offload(&self, place: usize) -> &'a Offload {
        &self.queue.frame(place).offload
    }

    /// The frames' bytes, oldest first: all that there is to a frame at a port that takes no
    /// offloads.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        self.frames().map(|(bytes, _)| bytes)
    }

    /// The frames' bytes, each with what is left to do to it, oldest first.
    pub fn frames(&self) -> impl Iterator<Item = (&'a [u8], &'a Offload)> {
        let (queue, pool) = (self.queue, self.pool);
        (0..queue.len()).map(move |place| {
            let frame = queue.frame(place);
            (pool.bytes(frame), &frame.offload)
        })
    }
}
