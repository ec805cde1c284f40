//! What the service tells, in words for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vswitch::counters::{Drops, PortCounters};
use vswitch::switch::{ListenerReport, PortReport, Report};

use crate::loops::sum_of_trunks;

/// The line that says that the switch is up.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Ready {
    /// Always `ready`.
    pub event: &'static str,
    pub version: &'static str,
    pub pid: u32,
    /// The same as in `networks`, when that is one.
    #[serde(flatten)]
    pub only: Option<ReadyNetwork>,
    pub networks: Vec<ReadyNetwork>,
    /// The address of the only port, by the name under which those read it who start
    /// `vmnet-helper`; left out when there are more ports, or it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vmnet_mac_address: Option<String>,
    /// How many loops share them; left out when it is one.
    #[serde(skip_serializing_if = "is_one")]
    pub threads: usize,
}

/// A network that is up.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ReadyNetwork {
    pub network: String,
    pub uplink: String,
    /// Left out where there is no uplink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uplink_state: Option<UplinkState>,
    pub interfaces: Vec<InterfaceReport>,
    pub ports: Vec<ReadyPort>,
}

/// Whether an uplink carries frames.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UplinkState {
    /// All that it stands on is there.
    Up,
    /// Something that it stands on is missing: it is waited for.
    Waiting,
}

/// How an uplink stands: shared by who keeps it in repair and who tells of it.
#[derive(Clone, Debug)]
pub struct Standing(Arc<Mutex<(UplinkState, Vec<InterfaceReport>)>>);

impl Standing {
    /// An uplink in this state, which uses these interfaces.
    #[must_use]
    pub fn new(state: UplinkState, interfaces: Vec<InterfaceReport>) -> Self {
        Self(Arc::new(Mutex::new((state, interfaces))))
    }

    /// From now on it is in this state, and uses these interfaces.
    pub fn set(&self, state: UplinkState, interfaces: Vec<InterfaceReport>) {
        *self.lock() = (state, interfaces);
    }

    /// From now on it is in this state.
    pub fn set_state(&self, state: UplinkState) {
        self.lock().0 = state;
    }

    /// Its state now.
    #[must_use]
    pub fn state(&self) -> UplinkState {
        self.lock().0
    }

    /// What it uses now.
    #[must_use]
    pub fn interfaces(&self) -> Vec<InterfaceReport> {
        self.lock().1.clone()
    }

    fn lock(&self) -> MutexGuard<'_, (UplinkState, Vec<InterfaceReport>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    pub(crate) fn new(networks: Vec<ReadyNetwork>, threads: usize) -> Self {
        Self {
            event: "ready",
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            only: if let [only] = &networks[..] { Some(only.clone()) } else { None },
            vmnet_mac_address: only_mac(&networks),
            networks,
            threads,
        }
    }

    /// Puts what is told of the ports into their order here; a network's uplink is its first.
    pub(crate) fn sort(&self, report: &mut Report) {
        let place = |network: &str, port: &str| {
            let place = self.networks.iter().position(|of| of.network == network)?;
            let ports = &self.networks[place].ports;
            Some((place, ports.iter().position(|of| of.name == port)))
        };
        // A listener's clients are where it is.
        report.ports.sort_by_cached_key(|port| {
            place(&port.network, port.listener.as_ref().unwrap_or(&port.name))
        });
        report.listeners.sort_by_cached_key(|listener| place(&listener.network, &listener.name));
    }
}

fn only_mac(networks: &[ReadyNetwork]) -> Option<String> {
    let mut ports = networks.iter().flat_map(|network| &network.ports);
    match (ports.next(), ports.next()) {
        (Some(only), None) => only.mac.clone(),
        _ => None,
    }
}

/// What a change did, each port as `NETWORK/PORT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Applied {
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// Removed and added again, as something else.
    pub changed: Vec<String>,
    /// What is wanted and could not be had, and why: tried again with the next change.
    pub failed: Vec<String>,
}

/// An interface that the switch uses.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct InterfaceReport {
    pub name: String,
    pub role: InterfaceRole,
    pub mtu: u32,
    /// Made by the switch, to be taken away at its end.
    pub created: bool,
}

impl InterfaceReport {
    /// An interface that is used as it is.
    pub(crate) fn used(name: &str, mtu: u32) -> Self {
        Self { name: name.to_owned(), role: InterfaceRole::SwitchEnd, mtu, created: false }
    }
}

/// What an interface is to the switch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceRole {
    /// The bridge that the network joins.
    Bridge,
    /// A member of that bridge.
    Member,
    /// The interface by which the switch sends and receives.
    SwitchEnd,
}

/// As it stands in JSON.
impl fmt::Display for InterfaceRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A port at the start.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ReadyPort {
    pub name: String,
    /// As it was asked for: `unixgram:/run/vm1.sock`.
    pub attachment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// A client added it while the switch ran.
    #[serde(skip)]
    pub is_hot: bool,
}

/// The counters at the end.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Stopped {
    /// Always `stopped`.
    pub event: &'static str,
    pub ports: Vec<PortSummary>,
    /// What passed between the loops of several threads: the sums of all trunks, in which a frame
    /// that crossed was sent and received once each, with those still under way as queued. What was
    /// dropped here was meant for ports above and is in none of their counters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trunks: Option<PortSummary>,
}

/// One port's counters; a listener's are the sums of its clients that have ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names and units say it")]
pub struct PortSummary {
    pub name: String,
    pub network: String,
    pub received_frames: u64,
    pub received_bytes: u64,
    pub forwarded_frames: u64,
    pub flooded_frames: u64,
    pub dropped_frames: u64,
    pub enqueued_frames: u64,
    pub sent_frames: u64,
    pub sent_bytes: u64,
    pub unsent_frames: u64,
    pub queued_frames: usize,
    pub kernel_dropped_frames: u64,
    pub pauses: u64,
    /// Frames dropped by reason, coming in and going out.
    pub drops: BTreeMap<String, u64>,
    /// A listener's clients over its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients_accepted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients_turned_away: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_one(number: &usize) -> bool {
    *number == 1
}

impl Stopped {
    /// The last report as it is told.
    #[must_use]
    pub fn new(report: &Report) -> Self {
        let ports = report.ports.iter().map(PortSummary::of_port);
        let listeners = report.listeners.iter().map(PortSummary::of_listener);
        let trunks = report.trunks.first().map(|first| {
            let (sum, queued_frames) = sum_of_trunks(report);
            PortSummary { queued_frames, ..PortSummary::new("trunks", &first.network, &sum) }
        });
        Self { event: "stopped", ports: ports.chain(listeners).collect(), trunks }
    }
}

impl PortSummary {
    fn of_port(port: &PortReport) -> Self {
        Self {
            queued_frames: port.queued_frames,
            ..Self::new(&port.name, &port.network, &port.counters)
        }
    }

    fn of_listener(listener: &ListenerReport) -> Self {
        Self {
            clients_accepted: Some(listener.accepted),
            clients_turned_away: Some(listener.turned_away),
            ..Self::new(&listener.name, &listener.network, &listener.ended)
        }
    }

    fn new(name: &str, network: &str, counters: &PortCounters) -> Self {
        let (ingress, egress) = (&counters.ingress, &counters.egress);
        let mut drops = BTreeMap::new();
        let mut add = |of: &Drops| {
            for (reason, frames) in of.iter() {
                *drops.entry(reason.name().to_owned()).or_default() += frames;
            }
        };
        add(&ingress.dropped);
        add(&egress.dropped);
        Self {
            name: name.to_owned(),
            network: network.to_owned(),
            received_frames: ingress.received_frames,
            received_bytes: ingress.received_bytes,
            forwarded_frames: ingress.forwarded_frames,
            flooded_frames: ingress.flooded_frames,
            dropped_frames: ingress.dropped.total(),
            enqueued_frames: egress.enqueued_frames,
            sent_frames: egress.sent_frames,
            sent_bytes: egress.sent_bytes,
            unsent_frames: egress.dropped.total(),
            queued_frames: 0,
            kernel_dropped_frames: counters.kernel_dropped_frames,
            pauses: counters.pauses,
            drops,
            clients_accepted: None,
            clients_turned_away: None,
        }
    }
}
