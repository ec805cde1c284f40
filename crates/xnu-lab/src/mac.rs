//! The machine: a bridge, a network card in it, and how guests and the switch come onto it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ifctl::xnu::{Interfaces, Owner};
use vswitch::MacAddr;
use vswitchd::Service;
use vswitchd::access::{Access, MODE_DEFAULT};
use vswitchd::config::{Attachment, Configuration, Network, PortSpec, UplinkSpec};
use vswitchd::xnu::{Identity, Tally, Xnu};
use xnu_sim::{BootOptions, EthernetOptions, MacOs, SimKernel, Wire};

use crate::attach::SimAttach;
use crate::wire::SocketWire;

/// The bridge of the machine.
pub const BRIDGE: &str = "bridge0";
/// The network card in it.
pub const CARD: &str = "en0";
const CARD_MAC: [u8; 6] = [0xac, 0xde, 0x48, 0, 0, 1];
/// How long the machine is left alone before anybody looks at it.
const SETTLED_AFTER: Duration = Duration::from_millis(100);

/// Why there is no lab: which step failed, and why.
#[derive(Debug)]
pub struct LabError(String);

impl LabError {
    pub(crate) fn new(what: &str, why: &dyn fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }
}

impl fmt::Display for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LabError {}

/// A simulated Mac before the switch is started on it.
#[derive(Debug)]
pub struct SimulatedMac {
    /// The switch's process.
    pub kernel: SimKernel,
    /// Another process of root's: a person at the machine.
    pub operator: SimKernel,
    /// The far end of the network card's wire.
    pub card: Wire,
    /// What the switch is started with.
    pub attach: SimAttach,
    /// The switch's ports.
    pub ports: Vec<PortSpec>,
}

impl SimulatedMac {
    /// Boots it: [`BRIDGE`] is up, with [`CARD`] as its only member.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn boot(version: MacOs, seed: u64) -> Result<Self, LabError> {
        Self::boot_with(BootOptions { version, seed, ..BootOptions::default() })
    }

    /// The same of a machine with options.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn boot_with(options: BootOptions) -> Result<Self, LabError> {
        let kernel = SimKernel::boot_with(options);
        let operator = kernel.spawn(true);
        let card = operator.add_ethernet(CARD, CARD_MAC, EthernetOptions::default());
        make_bridge(&operator).map_err(|why| LabError::new("make the bridge", &why))?;
        operator.run_for(SETTLED_AFTER);
        Ok(Self { kernel, operator, card, attach: SimAttach::default(), ports: Vec::new() })
    }

    /// Makes a VM's process with a socketpair, one end of which is passed to the switch as a port
    /// of this name, with this only address if it names one; the VM's end.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn plug(&mut self, name: &str, mac: Option<MacAddr>) -> Result<SocketWire, LabError> {
        let vmm = self.kernel.spawn(false);
        vmm.spare();
        let (wire, theirs) =
            SocketWire::pair(&vmm).map_err(|why| LabError::new("make a socketpair", &why))?;
        let passed =
            vmm.share(&theirs, &self.kernel).map_err(|why| LabError::new("pass it", &why))?;
        let attachment = Attachment::Fd(self.attach.pass(passed));
        self.ports.push(PortSpec { name: name.to_owned(), attachment, mac });
        Ok(wire)
    }

    /// Starts the service, with what was plugged in.
    ///
    /// # Errors
    /// [`LabError`].
    pub fn start(self, uplink: UplinkSpec) -> Result<Started, LabError> {
        let platform = Xnu::new(self.kernel, self.attach, identity());
        let tally = platform.tally();
        let access = Access { owner: None, group: None, mode: MODE_DEFAULT };
        let network = Network { name: "lab".into(), uplink, ports: self.ports, access };
        let wanted = Configuration::from(network);
        let service = Service::start(platform, wanted.clone());
        let service = service.map_err(|why| LabError::new("start the switch", &why))?;
        Ok(Started { service, tally, wanted })
    }
}

/// A service that was started, and how.
#[derive(Debug)]
pub struct Started {
    /// It.
    pub service: Service<Xnu<SimKernel, SimAttach>>,
    /// What it mends.
    pub tally: Tally,
    /// What it was started with.
    pub wanted: Configuration,
}

fn make_bridge(operator: &SimKernel) -> Result<(), ifctl::Error> {
    let interfaces = Interfaces::open_on(operator.clone())?;
    interfaces.create_bridge(BRIDGE)?;
    interfaces.set_up(CARD, true)?;
    interfaces.add_member(BRIDGE, CARD)?;
    interfaces.set_up(BRIDGE, true)
}

/// There is one switch on the machine, and it lives.
fn identity() -> Identity {
    let owner = Owner { pid: 1, started: 1 };
    Identity { owner, is_alive: Arc::new(move |of| of == owner) }
}
