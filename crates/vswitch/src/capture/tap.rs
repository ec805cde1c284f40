//! The switch's half of a tap.

use std::time::{SystemTime, UNIX_EPOCH};

use super::record::{Direction, Head, Kind, TapCounters};
use super::ring::RingWriter;
use super::{Filter, TapSettings};
use crate::counters::{DropReason, Drops};
use crate::fabric::PortIndex;
use crate::offload::Offload;
use crate::time::Nanos;

/// What is shown every frame of a switch, and tells its reader of some.
#[derive(Debug)]
pub struct Tap {
    settings: TapSettings,
    ring: RingWriter,
    /// What the switch's clock is to be added to.
    clock_base_ns: u64,
    /// What the switch's clock said last.
    now: Nanos,
    /// By their places.
    ports: Vec<Option<TappedPort>>,
    /// The next port's number.
    next_port: u32,
}

/// A port as a tap is told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PortNames<'a> {
    pub(crate) network: &'a str,
    pub(crate) name: &'a str,
    /// The listener whose client it is.
    pub(crate) listener: Option<&'a str>,
    pub(crate) is_trunk: bool,
}

/// What became of a frame at a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    direction: Direction,
    dropped: Option<DropReason>,
    frames: usize,
}

/// A frame at a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    pub(crate) port: PortIndex,
    pub(crate) passage: Passage,
    pub(crate) offload: &'a Offload,
    pub(crate) bytes: &'a [u8],
}

#[derive(Debug)]
struct TappedPort {
    number: u32,
    /// Its network's name, and right behind it its own, as they are told: the ring may be full for
    /// many frames, each of which has it tried again.
    names: Box<str>,
    network_bytes: u32,
    /// It is told of only where it drops.
    only_drops: bool,
    /// The reader knows it.
    is_told: bool,
    counters: TapCounters,
    told_counters: TapCounters,
    /// What could not be received as a frame, and was not told yet.
    rejected: Drops,
    /// Since the last frame that was told of.
    lost_before_frames: u64,
}

/// Longer names are cut.
const NAME_BYTES_MAX: usize = 1024;

impl Passage {
    pub(crate) const IN: Self = Self { direction: Direction::In, dropped: None, frames: 1 };
    pub(crate) const OUT: Self = Self { direction: Direction::Out, dropped: None, frames: 1 };

    /// It came in and goes nowhere.
    pub(crate) const fn dropped_in(reason: DropReason) -> Self {
        Self { dropped: Some(reason), ..Self::IN }
    }

    /// It was to go out, as so many frames.
    pub(crate) const fn dropped_out(reason: DropReason, frames: usize) -> Self {
        Self { dropped: Some(reason), frames, ..Self::OUT }
    }
}

impl Tap {
    pub(super) fn new(settings: TapSettings, ring: RingWriter) -> Self {
        Self { settings, ring, clock_base_ns: 0, now: Nanos(0), ports: Vec::new(), next_port: 0 }
    }

    /// From now on the switch's clock says the time: it is `now`, and `wall` for others.
    pub(crate) fn set_clock(&mut self, now: Nanos, wall: SystemTime) {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.clock_base_ns = wall_ns.wrapping_sub(now.0);
        self.now = now;
    }

    /// The switch's clock, in nanoseconds since 1970.
    fn time_ns(&mut self, now: Nanos) -> u64 {
        self.now = now;
        self.clock_base_ns.wrapping_add(now.0)
    }

    /// A port has come.
    pub(crate) fn add_port(&mut self, index: PortIndex, names: &PortNames<'_>, now: Nanos) {
        if !self.settings.is_of_interest(names) {
            return;
        }
        let place = usize::from(index.0);
        if self.ports.len() <= place {
            self.ports.resize_with(place + 1, || None);
        }
        let time_ns = self.time_ns(now);
        let mut port = TappedPort::new(self.next_port, names);
        self.next_port += 1;
        if !port.only_drops {
            port.tell(&mut self.ring, time_ns);
        }
        self.ports[place] = Some(port);
    }

    /// A port has gone.
    pub(crate) fn remove_port(&mut self, index: PortIndex, now: Nanos) {
        let time_ns = self.time_ns(now);
        let port = self.ports.get_mut(usize::from(index.0)).and_then(Option::take);
        if let Some(mut port) = port {
            port.tell_counters(Kind::LastCounters, &mut self.ring, time_ns);
        }
    }

    /// A frame has come in or goes out, or not.
    pub(crate) fn show(&mut self, shown: &Shown<'_>, now: Nanos) {
        let time_ns = self.time_ns(now);
        let place = usize::from(shown.port.0);
        let Some(port) = self.ports.get_mut(place).and_then(Option::as_mut) else { return };
        if port.only_drops && shown.passage.dropped.is_none() {
            return;
        }
        port.counters.seen_frames += 1;
        let Some(kept_bytes) = self.settings.kept_bytes(shown.bytes) else { return };
        port.counters.accepted_frames += 1;
        let head = shown.head(port, time_ns);
        let is_put = port.tell(&mut self.ring, time_ns)
            && self.ring.put_frame(head, &shown.bytes[..kept_bytes]);
        if is_put {
            port.lost_before_frames = 0;
        } else {
            port.lost_before_frames += 1;
            port.counters.lost_frames += 1;
        }
    }

    /// A port could not receive some frames. That is told with the counters: a guest can have it
    /// happen as often as it likes.
    pub(crate) fn reject(&mut self, index: PortIndex, why: DropReason, frames: u64) {
        let place = usize::from(index.0);
        if let Some(port) = self.ports.get_mut(place).and_then(Option::as_mut) {
            port.rejected.add(why, frames);
        }
    }

    /// Tells what was counted since it was told last.
    pub(crate) fn tell_counters(&mut self, now: Nanos) {
        let time_ns = self.time_ns(now);
        for port in self.ports.iter_mut().flatten() {
            port.tell_counters(Kind::Counters, &mut self.ring, time_ns);
        }
    }

    /// Tells the last counters, and that this is the end.
    pub(crate) fn end(&mut self, now: Nanos) {
        for place in 0..self.ports.len() {
            self.remove_port(PortIndex(u16::try_from(place).unwrap_or(u16::MAX)), now);
        }
        self.ring.end();
    }
}

impl Drop for Tap {
    /// A switch may end with its taps attached.
    fn drop(&mut self) {
        self.end(self.now);
    }
}

impl TapSettings {
    fn is_of_interest(&self, names: &PortNames<'_>) -> bool {
        let is_port = |wanted: &str| names.name == wanted || names.listener == Some(wanted);
        self.network.as_ref().is_none_or(|wanted| wanted == names.network)
            && self.port.as_deref().is_none_or(is_port)
    }

    /// How many bytes of a frame are kept; `None` when the frame is not.
    fn kept_bytes(&self, frame: &[u8]) -> Option<usize> {
        let accepted =
            self.filter.as_ref().map_or(Some(frame.len()), |of: &Filter| of.kept_bytes(frame))?;
        Some(match self.snap_bytes {
            0 => accepted,
            most => accepted.min(most as usize),
        })
    }
}

impl TappedPort {
    fn new(number: u32, names: &PortNames<'_>) -> Self {
        let network = cut(names.network);
        Self {
            number,
            names: [network, cut(names.name)].concat().into(),
            network_bytes: u32::try_from(network.len()).unwrap_or(0),
            only_drops: names.is_trunk,
            is_told: false,
            counters: TapCounters::default(),
            told_counters: TapCounters::default(),
            rejected: Drops::default(),
            lost_before_frames: 0,
        }
    }

    /// Makes the port known to the reader; whether it is.
    fn tell(&mut self, ring: &mut RingWriter, time_ns: u64) -> bool {
        if !self.is_told {
            self.is_told = self.put_names(ring, time_ns);
        }
        self.is_told
    }

    #[cold]
    fn put_names(&self, ring: &mut RingWriter, time_ns: u64) -> bool {
        let head = Head::new(Kind::Port, self.number, time_ns);
        ring.put_other(Head { len_bytes: self.network_bytes, ..head }, self.names.as_bytes())
    }

    fn tell_counters(&mut self, kind: Kind, ring: &mut RingWriter, time_ns: u64) {
        let was_rejected = self.rejected.total() > 0;
        if was_rejected && self.tell(ring, time_ns) {
            self.tell_rejected(ring, time_ns);
        }
        let is_new =
            was_rejected || self.told_counters != self.counters || kind == Kind::LastCounters;
        if self.is_told && is_new {
            let head = Head::new(kind, self.number, time_ns);
            if ring.put_other(head, &self.counters.to_body()) {
                self.told_counters = self.counters;
            }
        }
    }

    /// What there is no room for is told the next time.
    fn tell_rejected(&mut self, ring: &mut RingWriter, time_ns: u64) {
        let head = Head::new(Kind::Rejected, self.number, time_ns);
        let mut rest = Drops::default();
        for (why, count) in std::mem::take(&mut self.rejected).iter() {
            if !ring.put_other(Head { dropped: Some(why), count, ..head }, &[]) {
                rest.add(why, count);
            }
        }
        self.rejected = rest;
    }
}

impl Shown<'_> {
    fn head(&self, port: &TappedPort, time_ns: u64) -> Head {
        Head {
            direction: self.passage.direction,
            dropped: self.passage.dropped,
            frames: u32::try_from(self.passage.frames).unwrap_or(u32::MAX),
            checksum: self.offload.checksum,
            gso: self.offload.gso,
            segment_bytes: self.offload.segment_bytes,
            len_bytes: u32::try_from(self.bytes.len()).unwrap_or(u32::MAX),
            count: port.lost_before_frames,
            ..Head::new(Kind::Frame, port.number, time_ns)
        }
    }
}

/// As much of a name as is told.
fn cut(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}
