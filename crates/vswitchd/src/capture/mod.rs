//! Captures of what a running service carries, as pcapng.
//!
//! [`Control::capture`](crate::Control::capture) attaches a tap ([`vswitch::capture`]) to each loop
//! and gives a [`Capture`] to read from. An interface of the file is a port, by the name
//! `NETWORK/PORT`; ports that come later come later in it. Each frame stands there once inbound, at
//! the port where it came in, and once outbound at each that it went out by; one that was dropped
//! has a comment that says why (`dropped: queue full`). What the capture itself lost is told with
//! the next frame of that port (`epb_dropcount`), and in the statistics of the interfaces, each
//! second and at the end: `isb_ifrecv` is how many frames there were at the port,
//! `isb_filteraccept` how many of them the filter took, `isb_ifdrop` how many of those the capture
//! lost.
//!
//! Frames are as they are in the switch. A big segment is one packet, and an unfinished checksum is
//! one (`epb_flags` says both), as tcpdump shows them on any Linux host.

use std::fmt;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use vswitch::capture::{RingSizeError, TAPS_MAX, Tap, TapReader, tap};
use vswitch::poller::Poller;
use vswitch::switch::{Handle, TapId};

use crate::loops::{Ended, Handles, Reach};

pub mod pcapng;
mod recording;

/// What is to be captured: by default all of every frame on every port.
pub use vswitch::capture::TapSettings as CaptureRequest;
pub use vswitch::capture::{FILTER_INSTRUCTIONS_MAX, Filter, FilterError};
pub use vswitch::capture::{RING_BYTES_DEFAULT, RING_BYTES_MAX, RING_BYTES_MIN};

use recording::Recording;

/// Why there is no capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// There is no such network.
    #[error("capture on the network {0}: there is none of that name")]
    NoNetwork(String),
    /// There is no such port, or not on that network.
    #[error("capture at the port {0}: there is none of that name")]
    NoPort(String),
    /// The ring is too small or too big.
    #[error(transparent)]
    Ring(#[from] RingSizeError),
    /// There are as many captures as there may be.
    #[error("there are {TAPS_MAX} captures already: end one of them first")]
    TooMany,
    /// The service is over.
    #[error(transparent)]
    Ended(#[from] Ended),
}

/// A capture that runs until it is dropped, stopped, or the service ends.
///
/// One thread reads it. How slowly it does so is no concern of the service: what there is no room
/// for is lost, and told.
#[derive(Debug)]
pub struct Capture {
    lanes: Vec<Lane>,
    clock: Clock,
    snap_bytes: u32,
    /// What is being written, once something is.
    recording: Option<Recording>,
    /// When the counters were asked for last.
    counted: Instant,
    is_over: bool,
}

/// One loop's part.
#[derive(Debug)]
struct Lane {
    reader: TapReader,
    /// The tap's other end, while it is attached.
    attached: Option<Box<dyn Attached>>,
    /// Where the tap comes back, to be dropped here.
    detached: Option<mpsc::Receiver<Option<Box<Tap>>>>,
    has_ended: bool,
}

/// The time since 1970, as it was at the start and has gone on since.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Instant,
    start_ns: u64,
}

/// How often what was counted is told.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// How often an empty ring is looked at again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One call writes little more than so many bytes.
const READ_BYTES: usize = 256 << 10;

/// With several loops, a frame is held back for so long if another loop may still tell of an
/// earlier one: so that they come in the order of time, but for a loop whose round took longer.
const HELD_BACK: Duration = Duration::from_millis(20);

/// How long the end of a capture waits for the loops to give its rings back.
const DETACH_PATIENCE: Duration = Duration::from_millis(100);

impl Capture {
    /// Attaches a tap to each loop.
    pub(crate) fn start<P: Poller>(
        handles: &Handles<P>,
        reach: &mut impl Reach<P>,
        request: &CaptureRequest,
    ) -> Result<Self, CaptureError> {
        let clock = Clock::start();
        let mut this = Self {
            lanes: Vec::new(),
            clock,
            snap_bytes: request.snap_bytes,
            recording: None,
            counted: clock.start,
            is_over: false,
        };
        for (at, handle) in handles.iter().enumerate() {
            let (tap, reader) = tap(request.clone())?;
            let attached = reach.on(at, move |switch| switch.attach_tap(tap, SystemTime::now()))?;
            let id = attached.map_err(|_| CaptureError::TooMany)?;
            this.lanes.push(Lane::new(reader, Box::new(OnLoop { handle: handle.clone(), id })));
        }
        Ok(this)
    }

    /// Appends what there is to read to `out`, about 256 KiB at most; waits for something, but no
    /// longer than `wait`. The bytes of all calls together are a pcapng file.
    ///
    /// `false` when that was the end of it: the capture was stopped, or the service has ended.
    pub fn read_into(&mut self, out: &mut Vec<u8>, wait: Duration) -> bool {
        let end = Instant::now() + wait;
        let before = out.len();
        loop {
            self.pass_on(out, before + READ_BYTES, self.clock.now_ns());
            let rest = end.saturating_duration_since(Instant::now());
            if self.is_over || out.len() > before || rest.is_zero() {
                return !self.is_over;
            }
            std::thread::sleep(rest.min(LOOK_EVERY));
        }
    }

    /// Captures nothing more. What was captured can still be read, and the last statistics with it.
    pub fn stop(&mut self) {
        for lane in &mut self.lanes {
            lane.detach();
        }
    }

    fn pass_on(&mut self, out: &mut Vec<u8>, until_bytes: usize, now_ns: u128) {
        if self.is_over {
            return;
        }
        self.ask_for_counters();
        let lanes = &mut self.lanes;
        let begin = |out: &mut Vec<u8>| Recording::begin(out, self.snap_bytes, self.clock.start_ns);
        let recording = self.recording.get_or_insert_with(|| begin(out));
        while out.len() < until_bytes
            && let Some(at) = next_lane(lanes, now_ns)
            && let Some(record) = lanes[at].reader.next()
        {
            recording.write(out, at, &record);
        }
        self.is_over = lanes.iter_mut().all(Lane::is_over);
    }

    fn ask_for_counters(&mut self) {
        if self.counted.elapsed() >= COUNTERS_EVERY {
            self.counted = Instant::now();
            for attached in self.lanes.iter().filter_map(|lane| lane.attached.as_ref()) {
                attached.ask_for_counters();
            }
        }
    }
}

impl Drop for Capture {
    /// The rings are given up here, not by the loops: that takes a while.
    fn drop(&mut self) {
        self.stop();
        let end = Instant::now() + DETACH_PATIENCE;
        for tap in self.lanes.iter().filter_map(|lane| lane.detached.as_ref()) {
            // A loop that does not answer in time, or has ended, drops it itself.
            drop(tap.recv_timeout(end.saturating_duration_since(Instant::now())));
        }
    }
}

/// The loop whose next record is to be written now.
fn next_lane(lanes: &mut [Lane], now_ns: u128) -> Option<usize> {
    let mut earliest: Option<(u64, usize)> = None;
    let mut may_be_earlier = false;
    for (at, lane) in lanes.iter_mut().enumerate() {
        // Before its ring is looked at: nothing comes after that.
        lane.has_ended = lane.reader.has_ended();
        match lane.reader.next_time() {
            Some(time_ns) if earliest.is_none_or(|(first_ns, _)| time_ns < first_ns) => {
                earliest = Some((time_ns, at));
            }
            Some(_) => {}
            None => may_be_earlier |= !lane.has_ended,
        }
    }
    let (time_ns, at) = earliest?;
    let is_held_back = may_be_earlier && u128::from(time_ns) + HELD_BACK.as_nanos() > now_ns;
    (!is_held_back).then_some(at)
}

impl Clock {
    fn start() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        Self { start: Instant::now(), start_ns }
    }

    fn now_ns(self) -> u128 {
        u128::from(self.start_ns) + self.start.elapsed().as_nanos()
    }
}

impl Lane {
    fn new(reader: TapReader, attached: Box<dyn Attached>) -> Self {
        Self { reader, attached: Some(attached), detached: None, has_ended: false }
    }

    /// Whether all of it was read, when it was looked at last.
    fn is_over(&mut self) -> bool {
        self.has_ended && self.reader.next_time().is_none()
    }

    fn detach(&mut self) {
        if let Some(attached) = self.attached.take() {
            self.detached = Some(attached.detach());
        }
    }
}

/// A tap on its loop, whatever the loop's poller is.
trait Attached: Send + fmt::Debug {
    /// Has the tap tell its counters. Does not wait for it.
    fn ask_for_counters(&self);

    /// Has the tap detached, which comes back when it was. Does not wait for it.
    fn detach(&self) -> mpsc::Receiver<Option<Box<Tap>>>;
}

struct OnLoop<P: Poller> {
    handle: Handle<P>,
    id: TapId,
}

impl<P: Poller> fmt::Debug for OnLoop<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnLoop").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<P: Poller> Attached for OnLoop<P> {
    fn ask_for_counters(&self) {
        let id = self.id;
        self.handle.send(move |switch| switch.tell_tap_counters(id));
    }

    fn detach(&self) -> mpsc::Receiver<Option<Box<Tap>>> {
        let id = self.id;
        let (back, tap) = mpsc::sync_channel(1);
        self.handle.send(move |switch| {
            let _ = back.send(switch.detach_tap(id));
        });
        tap
    }
}

#[cfg(test)]
mod tests;
