//! A switch with its ports and uplink, from start to end.

use std::io;

use vswitch::fabric::{self, PortPolicy};
use vswitch::switch::{
    AddError, Handle, ListenerSettings, NetworkId, PortSettings, Report, Switch, WhenGone,
};
use vswitch::{MacAddr, Nanos};

use crate::config::{Network, PortSpec};
use crate::platform::{Attached, Platform};
use crate::report::{InterfaceReport, Ready, ReadyPort, Stopped};

/// How many clients a `stream:` listener has at once.
const CLIENTS_MAX: usize = 256;

/// How many addresses may be learnt behind each of them.
const CLIENT_ADDRESSES_MAX: usize = 256;

/// How many addresses may be learnt behind an uplink: a whole LAN is there.
const UPLINK_ADDRESSES_MAX: usize = 65_536;

/// The uplink's name among the ports.
const UPLINK_NAME: &str = "uplink";

/// Why a service did not start. Whatever was made for it is taken away again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E: std::error::Error + 'static> {
    /// A port or uplink cannot be had.
    #[error("{object}: {source}")]
    Platform {
        /// Which one.
        object: String,
        /// Why.
        source: E,
    },
    /// A port cannot be added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// Two ports of one name.
    #[error("there are two ports named {name}")]
    NameTwice {
        /// The name.
        name: String,
    },
}

/// A running switch, with what was made for it.
#[derive(Debug)]
pub struct Service<P: Platform> {
    // First, so that it is dropped first: the ports are closed before their interfaces go.
    switch: Switch<P::Poller>,
    _uplink: Option<P::Uplink>,
    ready: Ready,
}

impl<P: Platform> Service<P> {
    /// Brings up a network: its uplink first, so that nothing is announced that has none, then its
    /// ports in their order.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left behind then.
    pub fn start(platform: &mut P, network: Network) -> Result<Self, StartError<P::Error>> {
        let failed = |object: &str| {
            let object = object.to_owned();
            move |source| StartError::Platform { object, source }
        };
        check_names(&network.ports)?;
        let mut switch = Switch::new(platform.poller().map_err(failed("the event loop"))?);
        let settings = fabric::Settings { secret: random_secret(), ..fabric::Settings::default() };
        let id = switch.add_network(&network.name, settings);
        let addresses: Option<Vec<MacAddr>> = network.ports.iter().map(|port| port.mac).collect();
        let uplink = platform
            .uplink(&network.uplink, addresses.as_deref())
            .map_err(failed(&format!("uplink {}", network.uplink)))?;
        let mut ready = Ready {
            event: "ready",
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            network: network.name,
            uplink: network.uplink.to_string(),
            interfaces: Vec::<InterfaceReport>::new(),
            ports: Vec::new(),
        };
        let mut made = None;
        if let Some(uplink) = uplink {
            made = Some(uplink.made);
            ready.interfaces = uplink.interfaces;
            let policy = PortPolicy { mac: None, addresses_max: UPLINK_ADDRESSES_MAX };
            let settings = PortSettings { waits: false, ..port_settings(UPLINK_NAME, id, policy) };
            switch.add_port(settings, uplink.port)?;
        }
        let mut this = Self { switch, _uplink: made, ready };
        for port in network.ports {
            let object = format!("port {} ({})", port.name, port.attachment);
            let mac = port.mac;
            this.ready.ports.push(ReadyPort {
                name: port.name.clone(),
                attachment: port.attachment.to_string(),
                mac: mac.map(|mac| mac.to_string()),
            });
            let attached =
                platform.attach(port.attachment, network.access).map_err(failed(&object))?;
            this.add(&port.name, id, mac, attached)?;
        }
        Ok(this)
    }

    /// What is up, for the line that says so.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// How other threads reach the switch.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Poller> {
        self.switch.handle()
    }

    /// Has the loop poll busily ([`Switch::set_busy_poll`]).
    pub fn set_busy_poll(&mut self, is_on: bool) {
        self.switch.set_busy_poll(is_on);
    }

    /// Carries frames until it is stopped by its [`Handle`].
    ///
    /// # Errors
    /// When the poller cannot wait any more.
    pub fn run(&mut self) -> io::Result<()> {
        self.switch.run()
    }

    /// One round of the switch's loop: waits until something is ready or due, at most until `until`
    /// of the platform's clock. For who drives the switch itself: a simulation, in virtual time.
    ///
    /// # Errors
    /// When the poller cannot wait any more.
    pub fn step(&mut self, until: Nanos) -> io::Result<()> {
        self.switch.step(until)
    }

    /// The counters now.
    pub fn report(&mut self) -> Report {
        self.switch.report()
    }

    /// Takes away all that was made, and tells the last counters.
    pub fn finish(mut self) -> Stopped {
        Stopped::new(&self.switch.report())
    }

    fn add(
        &mut self,
        name: &str,
        network: NetworkId,
        mac: Option<MacAddr>,
        attached: Attached,
    ) -> Result<(), AddError> {
        let policy = PortPolicy { mac, ..PortPolicy::default() };
        match attached {
            Attached::Port(port) => {
                let settings = port_settings(name, network, policy);
                self.switch.add_port(settings, port).map(drop)
            }
            Attached::Listener(listener) => {
                let policy = PortPolicy { addresses_max: CLIENT_ADDRESSES_MAX, ..policy };
                // One address can be behind one client only.
                let clients_max = if mac.is_some() { 1 } else { CLIENTS_MAX };
                let name = name.to_owned();
                let settings = ListenerSettings { name, network, policy, clients_max };
                self.switch.add_listener(settings, listener).map(drop)
            }
        }
    }
}

/// A port whose other end is gone stays, with its counters: a person named it.
fn port_settings(name: &str, network: NetworkId, policy: PortPolicy) -> PortSettings {
    PortSettings { name: name.to_owned(), network, policy, when_gone: WhenGone::Keep, waits: true }
}

fn check_names<E: std::error::Error>(ports: &[PortSpec]) -> Result<(), StartError<E>> {
    let mut seen = std::collections::BTreeSet::from([UPLINK_NAME]);
    match ports.iter().find(|port| !seen.insert(port.name.as_str())) {
        None => Ok(()),
        Some(port) => Err(StartError::NameTwice { name: port.name.clone() }),
    }
}

/// A number that no guest knows, for the hash of the address table.
fn random_secret() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
