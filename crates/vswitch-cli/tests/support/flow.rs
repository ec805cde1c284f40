//! Numbered datagrams at a steady rate between two ports that a test leaves alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::SOON;
use super::card::Card;
use super::frame::{BROADCAST, Mac, numbered};

/// A flow from one card to another.
#[derive(Debug)]
pub(crate) struct Flow {
    stop: Arc<AtomicBool>,
    /// The sender has ended, and `sent` is all that it sent.
    is_all: Arc<AtomicBool>,
    sent: Arc<AtomicU32>,
    sender: JoinHandle<Card>,
    receiver: JoinHandle<(Card, u32)>,
}

/// Between two datagrams.
const EVERY: Duration = Duration::from_micros(500);

const BYTES: usize = 200;

impl Flow {
    /// Sends from a card to another, each with its address. The other says first where it is, so
    /// that nobody else gets any of it.
    pub(crate) fn start(from: (Card, Mac), to: (Card, Mac)) -> Self {
        to.0.send(&numbered(BROADCAST, to.1, 0, 60));
        let announced = |frame: &[u8]| frame[6..12] == to.1;
        from.0.expect("the other's first frame", announced);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (macs, stopped, counted) = ((to.1, from.1), Arc::clone(&stop), Arc::clone(&sent));
        let sender = std::thread::spawn(move || {
            let start = Instant::now();
            for number in 0.. {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                from.0.send(&numbered(macs.0, macs.1, number, BYTES));
                counted.store(number + 1, Ordering::Release);
                let due = start + EVERY * number;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            from.0
        });
        let is_all = Arc::new(AtomicBool::new(false));
        let (ended, counted) = (Arc::clone(&is_all), Arc::clone(&sent));
        let receiver = std::thread::spawn(move || {
            let mut next = 0;
            let mut quiet_since = Instant::now();
            // Until all came, or nothing more does.
            while !(ended.load(Ordering::Acquire) && next == counted.load(Ordering::Acquire))
                && quiet_since.elapsed() < SOON
            {
                let Some(frame) = to.0.next(Duration::from_millis(50)) else { continue };
                if frame == numbered(macs.0, macs.1, next, BYTES) {
                    next += 1;
                    quiet_since = Instant::now();
                }
            }
            (to.0, next)
        });
        Self { stop, is_all, sent, sender, receiver }
    }

    /// Ends it: none was lost, and they came in their order. How many there were.
    #[track_caller]
    pub(crate) fn stop(self) -> u32 {
        self.stop.store(true, Ordering::Release);
        let _from = self.sender.join().expect("it sends");
        self.is_all.store(true, Ordering::Release);
        let (_to, received) = self.receiver.join().expect("it receives");
        let sent = self.sent.load(Ordering::Acquire);
        assert_eq!(received, sent, "datagrams came, in their order, of those sent");
        assert!(sent > 0);
        println!("{sent} datagrams, none lost");
        sent
    }
}
