//! As many frames as go, over one or more flows at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::end::{Place, plug_all};
use super::receive::{Arrivals, receive};
use super::send::{Sending, send};
use crate::failure::{Failure, Result};
use crate::system::usage::{Machine, TICKS_PER_SECOND, Usage};

/// How many times as long as was asked for a warm-up may take.
const WARM_UP_STRETCH_MAX: u32 = 20;

/// How long what is under way may take to arrive after the last frame was sent.
const ARRIVAL_MAX: Duration = Duration::from_millis(200);

/// The same if all that was sent has arrived.
const STRAY_MAX: Duration = Duration::from_millis(30);

/// A load of frames from ends to others.
#[derive(Clone, Debug)]
pub(crate) struct Saturate {
    /// From which end to which.
    pub(crate) flows: Vec<(usize, usize)>,
    /// An end that floods the network besides, with frames to a station that is nowhere.
    pub(crate) flooder: Option<usize>,
    /// Only so many of the flows count, the first; all, if it is not said.
    pub(crate) counted_flows: Option<usize>,
    pub(crate) frame_bytes: usize,
    pub(crate) batch_frames: usize,
    pub(crate) rate: Option<f64>,
    /// Not measured, before what is: at least.
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delivery {
    /// Frames that arrived while it was measured.
    pub(crate) frames: u64,
    pub(crate) elapsed: Duration,
    /// All that were sent, and all that arrived, warm-up and end included.
    pub(crate) sent: u64,
    pub(crate) arrived: u64,
    pub(crate) again: u64,
    pub(crate) misshapen: u64,
    pub(crate) used: Used,
}

/// What was used while it was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Time on a processor of the process that was measured; `None` when there is none.
    pub(crate) process: Option<Duration>,
    pub(crate) machine_busy_s: f64,
    pub(crate) stolen_s: f64,
}

/// What was used up to some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    process: Option<(u32, Usage)>,
    machine: Machine,
}

impl Meter {
    pub(crate) fn start(process: Option<u32>) -> Result<Self> {
        let process = process.map(|pid| Ok((pid, Usage::of(pid)?))).transpose()?;
        Ok(Self { process, machine: Machine::now()? })
    }

    pub(crate) fn stop(&self) -> Result<Used> {
        let process = self
            .process
            .map(|(pid, before)| Ok(Usage::of(pid)?.cpu.saturating_sub(before.cpu)))
            .transpose()?;
        let machine = Machine::now()?;
        let seconds = |now: u64, before: u64| (now - before) as f64 / TICKS_PER_SECOND;
        Ok(Used {
            process,
            machine_busy_s: seconds(machine.busy_ticks, self.machine.busy_ticks),
            stolen_s: seconds(machine.stolen_ticks, self.machine.stolen_ticks),
        })
    }
}

/// A flow's two counters.
#[derive(Debug, Default)]
struct Flow {
    sent: AtomicU64,
    arrivals: Arrivals,
}

impl Saturate {
    /// Loads the places, and measures `process` meanwhile.
    pub(crate) fn run(&self, places: &[Place], process: Option<u32>) -> Result<Delivery> {
        let ends = plug_all(places)?;
        let flows: Vec<Flow> = self.flows.iter().map(|_| Flow::default()).collect();
        let (enough, over) = (&AtomicBool::new(false), &AtomicBool::new(false));
        let flood = &AtomicU64::new(0);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (flow, (from, to)) in flows.iter().zip(&self.flows) {
                let (from, to) = (&ends[*from], &ends[*to]);
                let (number, bytes, arrivals) = (from.number, self.frame_bytes, &flow.arrivals);
                threads.push(scope.spawn(move || receive(to, number, bytes, over, arrivals)));
                let sending = self.sending(Some(to.number));
                threads.push(scope.spawn(move || send(from, sending, enough, &flow.sent)));
            }
            if let Some(end) = self.flooder {
                let (end, sending) = (&ends[end], self.sending(None));
                threads.push(scope.spawn(move || send(end, sending, enough, flood)));
            }
            let counted = &flows[..self.counted_flows.unwrap_or(flows.len())];
            let measured = self.measure(counted, process);
            enough.store(true, Ordering::Relaxed);
            wait_for_the_last(&flows);
            over.store(true, Ordering::Relaxed);
            for thread in threads {
                thread.join().map_err(|_| Failure::new("load", "a thread panicked"))??;
            }
            let mut delivery = measured?;
            self.add_up(&flows, &mut delivery);
            Ok(delivery)
        })
    }

    fn sending(&self, to: Option<usize>) -> Sending {
        let Self { frame_bytes, batch_frames, rate, .. } = *self;
        Sending { to, frame_bytes, batch_frames, rate }
    }

    fn measure(&self, flows: &[Flow], process: Option<u32>) -> Result<Delivery> {
        self.warm_up(flows);
        let (before, started) = (arrived(flows), Instant::now());
        let meter = Meter::start(process)?;
        thread::sleep(self.time);
        let used = meter.stop()?;
        let (after, elapsed) = (arrived(flows), started.elapsed());
        Ok(Delivery { frames: after - before, elapsed, used, ..Delivery::default() })
    }

    /// Until what was sent at first has arrived. Queues have room for thousands of frames a flow,
    /// and as long as they fill, senders have the processors and the switch has not; that is no
    /// time to measure in. (What a lossy subject drops never arrives: hence the bound.)
    fn warm_up(&self, flows: &[Flow]) {
        let started = Instant::now();
        thread::sleep(self.warm_up);
        let at_first = sent(flows);
        while arrived(flows) < at_first && started.elapsed() < self.warm_up * WARM_UP_STRETCH_MAX {
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn add_up(&self, flows: &[Flow], delivery: &mut Delivery) {
        let sum = |counter: fn(&Flow) -> &AtomicU64| {
            flows.iter().map(|flow| counter(flow).load(Ordering::Relaxed)).sum()
        };
        delivery.sent = sent(flows);
        delivery.arrived = arrived(flows);
        delivery.again = sum(|flow| &flow.arrivals.again);
        delivery.misshapen = sum(|flow| &flow.arrivals.misshapen);
    }
}

fn arrived(flows: &[Flow]) -> u64 {
    flows.iter().map(|flow| flow.arrivals.frames.load(Ordering::Relaxed)).sum()
}

fn sent(flows: &[Flow]) -> u64 {
    flows.iter().map(|flow| flow.sent.load(Ordering::Relaxed)).sum()
}

/// Until nothing arrives any more.
fn wait_for_the_last(flows: &[Flow]) {
    let mut last = arrived(flows);
    let mut quiet_since = Instant::now();
    loop {
        let quiet_max = if last >= sent(flows) { STRAY_MAX } else { ARRIVAL_MAX };
        if quiet_since.elapsed() >= quiet_max {
            return;
        }
        thread::sleep(Duration::from_millis(10));
        let now = arrived(flows);
        if now != last {
            (last, quiet_since) = (now, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::socket::Buffers;

    fn load(warm_up: Duration) -> Saturate {
        Saturate {
            flows: vec![(0, 1)],
            flooder: None,
            counted_flows: None,
            frame_bytes: 1514,
            batch_frames: 8,
            rate: Some(20_000.0),
            warm_up,
            time: Duration::from_millis(50),
        }
    }

    #[test]
    fn a_warm_up_lasts_until_what_was_sent_at_first_has_arrived_but_not_for_ever() {
        let flows = [Flow::default()];
        flows[0].sent.store(10, Ordering::Relaxed);
        let load = load(Duration::from_millis(10));
        load.warm_up(&flows);
        assert_eq!(arrived(&flows), 0, "nothing ever arrives");
        let load = Saturate { warm_up: Duration::from_millis(200), ..load };
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                flows[0].arrivals.frames.store(10, Ordering::Relaxed);
            });
            load.warm_up(&flows);
            assert_eq!(arrived(&flows), 10);
        });
    }

    /// Two ends with nothing between them: all that is sent arrives.
    #[test]
    fn what_is_sent_from_end_to_end_arrives() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let place = |own: &str, path_of: &str| Place::Datagram {
            path: path(path_of),
            own: path(own),
            connected: false,
            buffers: Buffers::Default,
        };
        let load = load(Duration::from_millis(10));
        let places = [place("a", "b"), place("b", "a")];
        let delivery = load.run(&places, Some(std::process::id())).unwrap();
        assert!(delivery.arrived > 0 && delivery.sent == delivery.arrived, "{delivery:?}");
        assert_eq!((delivery.again, delivery.misshapen), (0, 0));
        assert!(delivery.used.process.is_some());
    }
}
