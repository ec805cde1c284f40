//! What is told of the service, its networks, and what stands behind its ports.

use std::time::SystemTime;

use super::facts::ServiceFacts;
use super::family::Family;
use super::scope::Read::{Counter, Gauge, Info};
use super::scope::{Metric, Scope};
use crate::config::{UPLINK_NAME, UplinkSpec};
use crate::repairs::Mended;
use crate::report::{InterfaceReport, ReadyNetwork, UplinkState};

static BUILD: Scope<&'static str, 1> = Scope {
    labels: ["version"],
    of: |version| [(*version).to_owned()],
    metrics: &[Metric("vswitch_build", "The version that runs.", Info)],
};

static SERVICE: Scope<SystemTime, 0> = Scope {
    labels: [],
    of: |_| [],
    metrics: &[Metric(
        "vswitch_start_time_seconds",
        "When the service was started, in seconds since 1970.",
        Gauge(|started_at| {
            let since = started_at.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs()
        }),
    )],
};

static CHANGES: Scope<(&'static str, u64), 1> = Scope {
    labels: ["result"],
    of: |(result, _)| [(*result).to_owned()],
    metrics: &[Metric(
        "vswitch_config_changes",
        "Changes of the configuration while it runs. applied: all is as it is wanted; incomplete: \
         something could not be had; refused: nothing was changed.",
        Counter(|(_, count)| *count),
    )],
};

static NETWORKS: Scope<ReadyNetwork, 2> = Scope {
    labels: ["network", "uplink"],
    of: |of| [of.network.clone(), of.uplink.clone()],
    metrics: &[Metric("vswitch_network", "A network, and its uplink as it was asked for.", Info)],
};

/// What a port is attached to, as it was asked for.
struct Attachment {
    network: String,
    port: String,
    attachment: String,
    mac: String,
}

static ATTACHMENTS: Scope<Attachment, 4> = Scope {
    labels: ["network", "port", "attachment", "mac"],
    of: |of| [of.network.clone(), of.port.clone(), of.attachment.clone(), of.mac.clone()],
    metrics: &[Metric(
        "vswitch_port",
        "A port, what it is attached to, and its address if it named one.",
        Info,
    )],
};

static UPLINKS: Scope<(String, UplinkState), 1> = Scope {
    labels: ["network"],
    of: |(network, _)| [network.clone()],
    metrics: &[Metric(
        "vswitch_uplink_up",
        "1 when all that the network's uplink stands on is there, 0 while it waits for some of it.",
        Gauge(|(_, state)| u64::from(*state == UplinkState::Up)),
    )],
};

static REPAIRS: Scope<(Mended, u64), 1> = Scope {
    labels: ["what"],
    of: |(what, _)| [what.name().to_owned()],
    metrics: &[Metric(
        "vswitch_repairs",
        "Times that something of an uplink's was lost outside and had again. membership: in the \
         bridge; link: the pair, or the socket on it; bridge: one made here; up: an interface set \
         down; mtu: one that differed from the bridge's.",
        Counter(|(_, count)| *count),
    )],
};

static INTERFACES: Scope<(String, InterfaceReport), 3> = Scope {
    labels: ["network", "interface", "role"],
    of: |(network, interface)| {
        [network.clone(), interface.name.clone(), interface.role.to_string()]
    },
    metrics: &[Metric(
        "vswitch_interface_mtu_bytes",
        "The MTU of an interface that the uplink uses. role: bridge, member of it, or the \
         switch's end.",
        Gauge(|(_, interface)| interface.mtu.into()),
    )],
};

pub(super) fn families(facts: &ServiceFacts) -> Vec<Family> {
    let changes = &facts.changes;
    let changes = [
        ("applied", changes.applied),
        ("incomplete", changes.incomplete),
        ("refused", changes.refused),
    ];
    let attachments: Vec<_> = facts.networks.iter().flat_map(attachments).collect();
    let interfaces: Vec<_> = facts.networks.iter().flat_map(interfaces).collect();
    let uplink = |of: &ReadyNetwork| Some((of.network.clone(), of.uplink_state?));
    let uplinks: Vec<_> = facts.networks.iter().filter_map(uplink).collect();
    let repairs: Vec<_> = Mended::ALL.into_iter().zip(facts.repairs).collect();
    [
        BUILD.families(&[facts.version]),
        SERVICE.families(&[facts.started_at]),
        CHANGES.families(&changes),
        NETWORKS.families(&facts.networks),
        ATTACHMENTS.families(&attachments),
        INTERFACES.families(&interfaces),
        UPLINKS.families(&uplinks),
        REPAIRS.families(&repairs),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// An uplink is the first of the ports, if there is one.
fn attachments(of: &ReadyNetwork) -> impl Iterator<Item = Attachment> {
    let attachment = |port: &str, attachment: &str, mac: Option<&str>| Attachment {
        network: of.network.clone(),
        port: port.to_owned(),
        attachment: attachment.to_owned(),
        mac: mac.unwrap_or_default().to_owned(),
    };
    let has_uplink = of.uplink != UplinkSpec::None.to_string();
    let uplink = has_uplink.then(|| attachment(UPLINK_NAME, &of.uplink, None));
    let ports = of.ports.iter();
    let ports =
        ports.map(move |port| attachment(&port.name, &port.attachment, port.mac.as_deref()));
    uplink.into_iter().chain(ports)
}

fn interfaces(of: &ReadyNetwork) -> impl Iterator<Item = (String, InterfaceReport)> {
    of.interfaces.iter().map(|interface| (of.network.clone(), interface.clone()))
}
