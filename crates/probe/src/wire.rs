//! The seam between a guest and what carries its frames.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One end of a cable: whole Ethernet frames in and out, nothing ever waits.
///
/// A frame begins at its destination address and ends before the frame check sequence, which no
/// virtual cable carries.
pub trait Wire {
    /// Copies the next frame that has arrived to the start of `buffer` and answers its length.
    /// A frame longer than `buffer` is cut to it. None: nothing has arrived.
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize>;

    /// Takes one frame to send, or says why not.
    fn transmit(&mut self, frame: &[u8]) -> Transmit;

    /// Pushes out what [`Wire::transmit`] took and still holds. Called at the end of each batch.
    fn flush(&mut self) {}
}

/// What became of a frame given to a [`Wire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// It is on its way.
    Taken,
    /// Not now: the same frame may be offered again later.
    Full,
    /// It is gone: the cable is down, or cannot carry a frame like this.
    Lost,
}

/// A cable inside one process, for tests and simulations: bounded, lossless, in order.
///
/// ```
/// use probe::{MemoryWire, Transmit, Wire};
///
/// let (mut left, mut right) = MemoryWire::pair(1);
/// assert_eq!(left.transmit(&[7; 60]), Transmit::Taken);
/// assert_eq!(left.transmit(&[8; 60]), Transmit::Full);
/// let mut buffer = [0; 1514];
/// assert_eq!(right.receive(&mut buffer), Some(60));
/// assert_eq!(right.receive(&mut buffer), None);
/// ```
#[derive(Debug)]
pub struct MemoryWire {
    incoming: Arc<Mutex<VecDeque<Vec<u8>>>>,
    outgoing: Arc<Mutex<VecDeque<Vec<u8>>>>,
    capacity_frames: usize,
}

impl MemoryWire {
    /// The two ends of a cable that holds up to `capacity_frames` in each direction.
    #[must_use]
    pub fn pair(capacity_frames: usize) -> (Self, Self) {
        let (a, b) = (Arc::default(), Arc::default());
        let left = Self { incoming: Arc::clone(&a), outgoing: Arc::clone(&b), capacity_frames };
        (left, Self { incoming: b, outgoing: a, capacity_frames })
    }

    /// The next frame that has arrived, without a copy.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        lock(&self.incoming).pop_front()
    }
}

impl Wire for MemoryWire {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let frame = self.take()?;
        let len = frame.len().min(buffer.len());
        buffer[..len].copy_from_slice(&frame[..len]);
        Some(len)
    }

    fn transmit(&mut self, frame: &[u8]) -> Transmit {
        let mut queue = lock(&self.outgoing);
        if queue.len() >= self.capacity_frames {
            return Transmit::Full;
        }
        queue.push_back(frame.to_vec());
        Transmit::Taken
    }
}

/// A panic elsewhere leaves a queue of whole frames: usable.
fn lock(queue: &Mutex<VecDeque<Vec<u8>>>) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
