//! What a frame costs in system calls, in saturated flow.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use probe::{Transmit, Wire};
use vswitchd::config::UplinkSpec;
use xnu_sim::{Actor, BootOptions, Counters, MacOs, Polled, SimKernel};
use xnu_sys::Kernel;

use crate::attach::SimAttach;
use crate::mac::{BRIDGE, LabError, SimulatedMac};
use crate::original::OriginalSwitch;
use crate::station::StationConfig;
use crate::wire::CardWire;

/// Which way frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From a guest to the LAN.
    GuestToHost,
    /// From the LAN to a guest.
    HostToGuest,
    /// From a guest to another.
    GuestToGuest,
}

/// Both ways over the uplink, and between guests.
pub const WAYS: [Way; 3] = [Way::GuestToHost, Way::HostToGuest, Way::GuestToGuest];

/// Equal frames, as many as their sender has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Which way.
    pub way: Way,
    /// How long each is, 14 at least: Ethernet's header and what follows, without its checksum.
    pub frame_bytes: usize,
    /// Over how many of them is counted.
    pub frames: u64,
}

impl Flow {
    /// Frames of the usual size, 1,514 bytes.
    #[must_use]
    pub const fn of_full_frames(way: Way, frames: u64) -> Self {
        Self { way, frame_bytes: 1514, frames }
    }
}

/// What was counted over many frames.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The modelled macOS.
    pub version: MacOs,
    /// What flowed.
    pub flow: Flow,
    /// Frames that arrived: those asked for, and what was under way behind them.
    pub frames: u64,
    /// The switch's calls meanwhile.
    pub counters: Counters,
}

impl Cost {
    /// System calls per frame.
    #[must_use]
    pub fn calls_per_frame(&self) -> f64 {
        self.per_frame(self.counters.total_calls())
    }

    /// Changes that add, delete, enable or disable a knote, per frame.
    #[must_use]
    pub fn registrations_per_frame(&self) -> f64 {
        self.per_frame(self.counters.kevent_registrations)
    }

    /// Bytes copied between the switch and the kernel per frame.
    #[must_use]
    pub fn copied_bytes_per_frame(&self) -> f64 {
        self.per_frame(self.counters.copied_bytes())
    }

    /// `count`, for each frame that arrived.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn per_frame(&self, count: u64) -> f64 {
        count as f64 / self.frames.max(1) as f64
    }
}

/// Sends frames whenever there is room, a bounded number at a time; or takes and counts them.
pub(crate) struct Pump {
    wire: Arc<Mutex<dyn Wire + Send>>,
    /// The frame that is sent, again and again.
    frame: Option<Vec<u8>>,
    runs: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
}

/// So many frames at a time: what a fast sender has ready while the switch works.
const BURST_FRAMES: usize = 256;
const PAUSE: Duration = Duration::from_micros(100);

/// A wire that a pump and a test share.
pub(crate) type SharedWire = Arc<Mutex<dyn Wire + Send>>;

impl Pump {
    pub(crate) fn sender(wire: SharedWire, frame: Vec<u8>, runs: Arc<AtomicBool>) -> Self {
        Self { wire, frame: Some(frame), runs, received: Arc::default() }
    }

    pub(crate) fn receiver(wire: SharedWire, received: Arc<AtomicU64>) -> Self {
        Self { wire, frame: None, runs: Arc::default(), received }
    }
}

impl Actor for Pump {
    fn poll(&mut self, now_ns: u64) -> Polled {
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let mut has_acted = false;
        match &self.frame {
            Some(frame) if self.runs.load(Ordering::Relaxed) => {
                for _ in 0..BURST_FRAMES {
                    if wire.transmit(frame) != Transmit::Taken {
                        break;
                    }
                    has_acted = true;
                }
            }
            Some(_) => {}
            None => {
                let mut buffer = [0; 2048];
                while let Some(len) = wire.receive(&mut buffer) {
                    has_acted = true;
                    if is_load(&buffer[..len]) {
                        self.received.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
        Polled { has_acted, next_ns: Some(now_ns + nanos(PAUSE)) }
    }
}

/// An EtherType for experiments (IEEE 802, local experimental 1).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

pub(crate) fn load(to: [u8; 6], from: [u8; 6], frame_bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; frame_bytes.max(14)];
    frame[..6].copy_from_slice(&to);
    frame[6..12].copy_from_slice(&from);
    frame[12..14].copy_from_slice(&ETHERTYPE);
    frame
}

fn is_load(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&ETHERTYPE[..])
}

/// Who moves the frames.
enum Switch {
    Ours(Box<vswitchd::Service<vswitchd::xnu::Xnu<SimKernel, SimAttach>>>),
    Original(Box<OriginalSwitch>),
}

impl Switch {
    /// One turn of its loop, which waits [`STEP`] at most.
    fn step(&mut self, now_ns: u64) -> Result<(), LabError> {
        match self {
            Self::Ours(service) => {
                let stepped = service.step(vswitch::Nanos(now_ns + nanos(STEP)));
                stepped.map_err(|why| LabError::new("step the switch", &why))
            }
            Self::Original(original) => {
                original.step(STEP).map_err(|why| LabError::new("step the original", &why))
            }
        }
    }
}

/// Frames that pass before counting begins: addresses are learnt, buffers are made.
const WARM_UP_FRAMES: u64 = 2_000;

/// How long a measurement may take, in virtual time.
const MEASURE_MAX: Duration = Duration::from_secs(30);

/// The longest that the switch waits at once.
const STEP: Duration = Duration::from_millis(1);

/// When for so long none arrives, none is under way.
const QUIET: Duration = Duration::from_millis(3);

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What a frame costs the switch in saturated flow. The same each time: nothing in it is random.
///
/// # Errors
/// [`LabError`]: when the machine or the switch cannot be had, or hardly a frame arrives.
pub fn of_switch(version: MacOs, flow: Flow) -> Result<Cost, LabError> {
    measure(options(version), flow, start_ours)
}

/// The same on a system without `recvmsg_x` and `sendmsg_x`, whose frames go one by one wherever
/// nothing else takes many.
///
/// # Errors
/// [`LabError`].
pub fn without_message_calls(version: MacOs, flow: Flow) -> Result<Cost, LabError> {
    let options = BootOptions { without_message_calls: true, ..options(version) };
    measure(options, flow, start_ours)
}

fn options(version: MacOs) -> BootOptions {
    BootOptions { version, seed: 1, ..BootOptions::default() }
}

fn start_ours(mac: SimulatedMac) -> Result<Switch, LabError> {
    let uplink = UplinkSpec::bridge(BRIDGE);
    Ok(Switch::Ours(Box::new(mac.start(uplink)?.service)))
}

/// The same of the [`original`](crate::original)'s loop. Guests reach each other through the host's
/// bridge there.
///
/// # Errors
/// [`LabError`].
pub fn of_original(version: MacOs, flow: Flow) -> Result<Cost, LabError> {
    measure(options(version), flow, |mac| {
        let vms = mac.attach.0.into_values().collect();
        Ok(Switch::Original(Box::new(OriginalSwitch::new(mac.kernel, vms)?)))
    })
}

fn measure(
    options: BootOptions,
    flow: Flow,
    start: impl FnOnce(SimulatedMac) -> Result<Switch, LabError>,
) -> Result<Cost, LabError> {
    let version = options.version;
    let mut mac = SimulatedMac::boot_with(options)?;
    let [one, other, lan] = [1, 2, 200].map(|number| StationConfig { number });
    let first: SharedWire = Arc::new(Mutex::new(mac.plug("vm1", None)?));
    let second: SharedWire = Arc::new(Mutex::new(mac.plug("vm2", None)?));
    let far: SharedWire = Arc::new(Mutex::new(CardWire(mac.card.clone())));
    let (from, to, from_wire, to_wire) = match flow.way {
        Way::GuestToHost => (one, lan, first, far),
        Way::HostToGuest => (lan, one, far, first),
        Way::GuestToGuest => (one, other, first, second),
    };
    let kernel = mac.kernel.clone();
    let (runs, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // Who receives has said something first, so that it is known where it is.
    let hello = load(from.mac(), to.mac(), flow.frame_bytes);
    kernel.add_actor(Box::new(Pump::receiver(Arc::clone(&to_wire), Arc::clone(&received))));
    let frame = load(to.mac(), from.mac(), flow.frame_bytes);
    let sender = Pump::sender(from_wire, frame, Arc::clone(&runs));
    kernel.add_actor(Box::new(sender));
    let switch = start(mac)?;
    to_wire.lock().unwrap_or_else(PoisonError::into_inner).transmit(&hello);
    let end_ns = kernel.uptime_ns() + nanos(MEASURE_MAX);
    let mut running = Running { kernel, switch, runs, received, end_ns };
    running.carry(WARM_UP_FRAMES)?;
    let before = running.kernel.counters();
    let frames = running.carry(flow.frames)?;
    let counters = running.kernel.counters().since(&before);
    Ok(Cost { version, flow, frames, counters })
}

/// A switch between who sends and who counts.
struct Running {
    kernel: SimKernel,
    switch: Switch,
    runs: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    /// When it has taken too long.
    end_ns: u64,
}

impl Running {
    /// Lets at least `frames` frames flow, and waits for those under way: how many arrived. Frames
    /// and calls are so of the same frames.
    fn carry(&mut self, frames: u64) -> Result<u64, LabError> {
        let begin = self.arrived();
        self.runs.store(true, Ordering::Relaxed);
        while self.arrived() < begin + frames {
            self.step()?;
        }
        self.runs.store(false, Ordering::Relaxed);
        let mut last = (self.arrived(), self.kernel.uptime_ns());
        while self.kernel.uptime_ns() < last.1 + nanos(QUIET) {
            self.step()?;
            if self.arrived() > last.0 {
                last = (self.arrived(), self.kernel.uptime_ns());
            }
        }
        Ok(self.arrived() - begin)
    }

    fn arrived(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn step(&mut self) -> Result<(), LabError> {
        let now_ns = self.kernel.uptime_ns();
        if now_ns >= self.end_ns {
            let why = format!("only {} frames arrived", self.arrived());
            return Err(LabError::new("measure", &why));
        }
        self.switch.step(now_ns)
    }
}
