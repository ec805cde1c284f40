//! One frame there and back, again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::end::{End, Place, plug_all};
use super::frame;
use crate::failure::{Failure, Result, Trying as _};
use crate::system::mmsg::Batch;
use crate::system::socket;

/// A frame that is lost is waited for so long.
const LOST_AFTER_MS: u64 = 200;

/// Round trips of single frames between two ends, datagrams both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PingPong {
    pub(crate) frame_bytes: usize,
    pub(crate) time: Duration,
}

/// How long round trips took.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoundTrips {
    /// Shortest first.
    times: Vec<Duration>,
    pub(crate) lost: u64,
}

impl RoundTrips {
    /// The time that so many of a thousand round trips did not exceed, in microseconds.
    pub(crate) fn quantile_us(&self, per_mille: usize) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let place = last * per_mille / 1000;
        self.times.get(place).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
    }

    pub(crate) fn count(&self) -> usize {
        self.times.len()
    }
}

impl PingPong {
    pub(crate) fn run(&self, places: &[Place]) -> Result<RoundTrips> {
        let ends = plug_all(places)?;
        let [here, there, ..] = &ends[..] else {
            return Err(Failure::new("measure round trips", "there must be two ends"));
        };
        for end in [here, there] {
            socket::set_receive_timeout(end.socket(), LOST_AFTER_MS)?;
        }
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let echo = scope.spawn(|| self.echo(there, here.number, &over));
            let times = self.ping(here, there.number);
            over.store(true, Ordering::Relaxed);
            echo.join().map_err(|_| Failure::new("echo", "the thread panicked"))??;
            times
        })
    }

    fn echo(&self, end: &End, from: usize, over: &AtomicBool) -> Result<()> {
        let mut received = Batch::new(1, self.frame_bytes);
        let mut answer = end.batch(1, self.frame_bytes);
        frame::write(answer.frame_mut(0), end.number, Some(from));
        while !over.load(Ordering::Relaxed) {
            if let Some(sequence) = wait_for(end, &mut received, from) {
                frame::number(answer.frame_mut(0), sequence);
                answer.send_all(end.fd(), 0..1).trying("echo")?;
            }
        }
        Ok(())
    }

    fn ping(&self, end: &End, to: usize) -> Result<RoundTrips> {
        let mut ping = end.batch(1, self.frame_bytes);
        let mut received = Batch::new(1, self.frame_bytes);
        frame::write(ping.frame_mut(0), end.number, Some(to));
        let mut trips = RoundTrips::default();
        let started = Instant::now();
        let mut sequence = 0;
        while started.elapsed() < self.time {
            sequence += 1;
            frame::number(ping.frame_mut(0), sequence);
            let sent_at = Instant::now();
            ping.send_all(end.fd(), 0..1).trying("ping")?;
            match wait_until(end, &mut received, to, sequence) {
                true => trips.times.push(sent_at.elapsed()),
                false => trips.lost += 1,
            }
        }
        trips.times.sort_unstable();
        Ok(trips)
    }
}

/// The number of the next frame from `from`; `None` when none came in time.
fn wait_for(end: &End, received: &mut Batch, from: usize) -> Option<u64> {
    loop {
        received.receive(end.fd(), 0).ok()?;
        if let Some(sequence) = frame::sequence(received.frame(0), from, end.number) {
            return Some(sequence);
        }
    }
}

/// Whether the answer with this number came in time.
fn wait_until(end: &End, received: &mut Batch, from: usize, sequence: u64) -> bool {
    std::iter::from_fn(|| wait_for(end, received, from)).any(|number| number == sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times = (0..=100).map(Duration::from_micros).collect();
        let trips = RoundTrips { times, lost: 0 };
        let rounded = |per_mille| trips.quantile_us(per_mille).round();
        assert_eq!([500, 990, 1000].map(rounded), [50.0, 99.0, 100.0]);
        assert!(RoundTrips::default().quantile_us(500).is_nan());
    }
}
