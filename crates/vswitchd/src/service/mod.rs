//! A switch with its ports and uplink, from start to end.

use std::io;
use std::num::NonZeroUsize;

use vswitch::fabric::PortPolicy;
use vswitch::switch::{
    AddError, Handle, ListenerSettings, NetworkId, PortSettings, Report, WhenGone,
};
use vswitch::{MacAddr, Nanos};

use crate::config::{Network, PortSpec, UplinkSpec};
use crate::loops::{Loops, LoopsError};
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
    loops: Loops<P::Poller>,
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
        Self::start_on(platform, network, NonZeroUsize::MIN)
    }

    /// As [`Self::start`], with the uplink and the ports dealt in turn to so many loops, or as many
    /// as there are of them. [`Self::run`] gives each a thread of its own; each has its own budget
    /// of buffers.
    ///
    /// # Errors
    /// [`StartError`]; also where the platform has no trunks.
    pub fn start_on(
        platform: &mut P,
        network: Network,
        threads: NonZeroUsize,
    ) -> Result<Self, StartError<P::Error>> {
        check_names(&network.ports)?;
        let members = network.ports.len() + usize::from(network.uplink != UplinkSpec::None);
        let threads = threads.min(NonZeroUsize::new(members).unwrap_or(NonZeroUsize::MIN));
        let loops = Loops::new(platform, &network.name, threads).map_err(|error| match error {
            LoopsError::Platform(source) => failed("the event loop")(source),
            LoopsError::Add(error) => StartError::Add(error),
        })?;
        let addresses: Option<Vec<MacAddr>> = network.ports.iter().map(|port| port.mac).collect();
        let uplink = platform
            .uplink(&network.uplink, addresses.as_deref())
            .map_err(failed(&format!("uplink {}", network.uplink)))?;
        let ready = Ready {
            event: "ready",
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            network: network.name,
            uplink: network.uplink.to_string(),
            interfaces: Vec::<InterfaceReport>::new(),
            ports: Vec::new(),
            threads: loops.count(),
        };
        let mut this = Self { loops, _uplink: None, ready };
        if let Some(uplink) = uplink {
            this._uplink = Some(uplink.made);
            this.ready.interfaces = uplink.interfaces;
            let policy =
                PortPolicy { addresses_max: UPLINK_ADDRESSES_MAX, ..PortPolicy::default() };
            let settings =
                |id| PortSettings { waits: false, ..port_settings(UPLINK_NAME, id, policy) };
            this.loops.add_port(settings, uplink.port)?;
        }
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
            this.add(&port.name, mac, attached)?;
        }
        Ok(this)
    }

    /// What is up, for the line that says so.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// How other threads reach the switch: with several loops the first, with whose end all end.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Poller> {
        self.loops.handle()
    }

    /// Has each loop poll busily ([`Switch::set_busy_poll`](vswitch::switch::Switch::set_busy_poll)).
    pub fn set_busy_poll(&mut self, is_on: bool) {
        self.loops.set_busy_poll(is_on);
    }

    /// Carries frames until it is stopped by its [`Handle`].
    ///
    /// # Errors
    /// When a poller cannot wait any more, or there is no thread to be had for a loop. All loops
    /// have ended then.
    pub fn run(&mut self) -> io::Result<()> {
        self.loops.run()
    }

    /// One round of the switch's loop: waits until something is ready or due, at most until `until`
    /// of the platform's clock. For who drives the switch itself: a simulation, in virtual time.
    ///
    /// # Errors
    /// When the poller cannot wait any more, and when there are several loops.
    pub fn step(&mut self, until: Nanos) -> io::Result<()> {
        self.loops.step(until)
    }

    /// The counters now, in the order of the ports' loops. A port's index is its place in its loop.
    pub fn report(&mut self) -> Report {
        self.loops.report()
    }

    /// Takes away all that was made, and tells the last counters.
    pub fn finish(mut self) -> Stopped {
        let mut report = self.loops.report();
        if self.loops.count() > 1 {
            let named: Vec<&str> = self.ready.ports.iter().map(|port| &*port.name).collect();
            // The uplink has no place among them, and is the first.
            let place = |of: &str| named.iter().position(|name| *name == of);
            report.ports.sort_by_key(|port| place(of_listener(&port.name, &named)));
            report.listeners.sort_by_key(|listener| place(&listener.name));
        }
        Stopped::new(&report)
    }

    fn add(
        &mut self,
        name: &str,
        mac: Option<MacAddr>,
        attached: Attached,
    ) -> Result<(), AddError> {
        let policy = PortPolicy { mac, ..PortPolicy::default() };
        match attached {
            Attached::Port(port) => {
                self.loops.add_port(|network| port_settings(name, network, policy), port)
            }
            Attached::Listener(listener) => {
                let policy = PortPolicy { addresses_max: CLIENT_ADDRESSES_MAX, ..policy };
                // One address can be behind one client only.
                let clients_max = if mac.is_some() { 1 } else { CLIENTS_MAX };
                let name = name.to_owned();
                let settings = |network| ListenerSettings { name, network, policy, clients_max };
                self.loops.add_listener(settings, listener)
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

/// The listener whose client has this name, or the port that has.
fn of_listener<'a>(port: &'a str, named: &[&str]) -> &'a str {
    match port.rsplit_once('.') {
        Some((listener, _)) if !named.contains(&port) => listener,
        _ => port,
    }
}

/// What the platform could not give.
fn failed<E: std::error::Error>(object: &str) -> impl FnOnce(E) -> StartError<E> + use<E> {
    let object = object.to_owned();
    move |source| StartError::Platform { object, source }
}
