//! The machine, who is on it, and the service that runs there.

use std::sync::PoisonError;
use std::time::Duration;

use probe::{Task, TaskError};
use vswitch::switch::Report;
use vswitch::{MacAddr, Nanos};
use vswitchd::Service;
use vswitchd::config::{Configuration, UplinkSpec};
use vswitchd::report::{Applied, Ready, Stopped};
use vswitchd::xnu::{Tally, Xnu};
use xnu_sim::{Counters, MacOs, SimKernel};
use xnu_sys::Kernel;

use crate::attach::SimAttach;
use crate::mac::{BRIDGE, LabError, SimulatedMac, Started};
use crate::station::{Station, StationConfig};
use crate::wire::CardWire;

/// The station on the LAN.
const LAN: StationConfig = StationConfig { number: 200 };
/// How long a task may take, in virtual time.
const TASK_MAX: Duration = Duration::from_secs(60);
/// How long the kernel may take to let go of what was destroyed.
const DETACH_MAX: Duration = Duration::from_millis(500);

/// What a lab is to be.
#[derive(Clone, Debug)]
pub struct LabConfig {
    /// The modelled macOS.
    pub version: MacOs,
    /// What everything random follows from.
    pub seed: u64,
    /// How many guests are plugged in.
    pub guests: u8,
    /// The switch's uplink.
    pub uplink: UplinkSpec,
    /// Whether the ports name their guests' addresses, so that the kernel filters for them.
    pub names_addresses: bool,
}

impl LabConfig {
    /// Two guests, on the machine's bridge.
    #[must_use]
    pub fn new(version: MacOs, seed: u64) -> Self {
        let uplink = UplinkSpec::bridge(BRIDGE);
        Self { version, seed, guests: 2, uplink, names_addresses: false }
    }
}

/// A simulated Mac with the service running on it.
#[derive(Debug)]
pub struct Lab {
    kernel: SimKernel,
    operator: SimKernel,
    service: Service<Xnu<SimKernel, SimAttach>>,
    tally: Tally,
    wanted: Configuration,
    guests: Vec<Station>,
    lan: Station,
    before: Vec<String>,
}

/// What is left of a lab.
#[derive(Debug)]
pub struct End {
    /// The last counters.
    pub stopped: Stopped,
    /// Interfaces that were not there before the switch started, or were and are not; descriptors
    /// that the switch's process has still open.
    pub leftovers: Vec<String>,
    /// What the switch's calls cost, over its life.
    pub counters: Counters,
}

impl Lab {
    /// Boots the machine, plugs everybody in and starts the service.
    ///
    /// # Errors
    /// [`LabError`]: which step failed, and why.
    pub fn boot(config: LabConfig) -> Result<Self, LabError> {
        let mac = SimulatedMac::boot(config.version, config.seed)?;
        Self::start(mac, config)
    }

    /// The same on a machine that was booted, and to which something was done before.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start(mut mac: SimulatedMac, config: LabConfig) -> Result<Self, LabError> {
        let before = mac.kernel.interfaces();
        let now = Duration::from_nanos(mac.kernel.uptime_ns());
        let station = |config, wire| {
            let station = Station::new(config, wire, now);
            station.map_err(|why| LabError::new("make a station", &why))
        };
        let lan = station(LAN, Box::new(CardWire(mac.card.clone())))?;
        mac.operator.add_actor(lan.actor());
        let mut guests = Vec::new();
        for number in 1..=config.guests {
            let who = StationConfig { number };
            let named = config.names_addresses.then(|| MacAddr(who.mac()));
            let wire = mac.plug(&format!("vm{number}"), named)?;
            let guest = station(who, Box::new(wire))?;
            mac.operator.add_actor(guest.actor());
            guests.push(guest);
        }
        let (kernel, operator) = (mac.kernel.clone(), mac.operator.clone());
        let Started { service, tally, wanted } = mac.start(config.uplink)?;
        Ok(Self { kernel, operator, service, tally, wanted, guests, lan, before })
    }

    /// Changes what the service is to be, as a person does by a file.
    ///
    /// # Errors
    /// [`LabError`] when that does not go together.
    pub fn change(&mut self, change: impl FnOnce(&mut Configuration)) -> Result<Applied, LabError> {
        change(&mut self.wanted);
        let applied = self.service.apply(&self.wanted);
        applied.map_err(|why| LabError::new("change the switch", &why))
    }

    /// The switch's process.
    #[must_use]
    pub fn kernel(&self) -> &SimKernel {
        &self.kernel
    }

    /// Another process, root's, with which a person at the machine does things.
    #[must_use]
    pub fn operator(&self) -> &SimKernel {
        &self.operator
    }

    /// What the switch said when it was up.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.service.ready()
    }

    /// A guest, counted from 0.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn guest(&self, place: usize) -> &Station {
        &self.guests[place]
    }

    /// The station on the LAN.
    #[must_use]
    pub fn lan(&self) -> &Station {
        &self.lan
    }

    /// What the service mended so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The switch's counters now.
    pub fn report(&mut self) -> Report {
        self.service.report()
    }

    /// The time on the machine.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.kernel.uptime_ns())
    }

    /// Lets the switch run for `span`, or until `done` holds between two of its steps: whether it
    /// did.
    ///
    /// # Panics
    /// When the switch's poller fails.
    pub fn run_until(&mut self, span: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now() + span;
        let nanos = |at: Duration| Nanos(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
        while self.now() < end {
            if done(self) {
                return true;
            }
            // Looked at often enough that a task's end is seen soon.
            let until = end.min(self.now() + Duration::from_millis(5));
            self.service.step(nanos(until)).expect("the simulated kqueue does not fail");
        }
        done(self)
    }

    /// Lets the switch run for `span`.
    pub fn run_for(&mut self, span: Duration) {
        self.run_until(span, |_| false);
    }

    /// Has a guest carry out a task, while the switch runs.
    ///
    /// # Errors
    /// As the task; also when it does not end within a minute of virtual time.
    pub fn run_guest<T>(&mut self, place: usize, task: T) -> Result<T::Output, TaskError>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        let guest = self.guests[place].clone();
        self.run_station(&guest, task)
    }

    /// As [`Self::run_guest`], on the LAN.
    ///
    /// # Errors
    /// As [`Self::run_guest`].
    pub fn run_lan<T>(&mut self, task: T) -> Result<T::Output, TaskError>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        let lan = self.lan.clone();
        self.run_station(&lan, task)
    }

    fn run_station<T>(&mut self, station: &Station, task: T) -> Result<T::Output, TaskError>
    where
        T: Task + Send + 'static,
        T::Output: Send + 'static,
    {
        let outcome = station.begin(task);
        let is_over = || outcome.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        assert!(
            self.run_until(TASK_MAX, |_| is_over()),
            "a task did not end:\n{}",
            self.kernel.trace()
        );
        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.take().expect("it is over")
    }

    /// Ends the service, and says what is left of it.
    #[must_use]
    pub fn finish(self) -> End {
        let stopped = self.service.finish();
        self.operator.run_for(DETACH_MAX);
        let after = self.kernel.interfaces();
        let new = after.iter().filter(|name| !self.before.contains(name));
        let gone = self.before.iter().filter(|name| !after.contains(name));
        let mut leftovers: Vec<String> = new
            .map(|name| format!("{name} is left"))
            .chain(gone.map(|name| format!("{name} is gone")))
            .collect();
        let open = self.kernel.open_descriptors();
        leftovers.extend(open.iter().map(|(number, of, _)| format!("descriptor {number}: {of}")));
        End { stopped, leftovers, counters: self.kernel.counters() }
    }
}
