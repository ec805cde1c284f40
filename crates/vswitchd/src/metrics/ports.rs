//! What is told of ports. A listener's clients are told of as the listener, together with those
//! that have ended: their sums only grow, and no client makes a name of its own.

use std::collections::BTreeMap;

use vswitch::counters::{Direction, DropReason, PortCounters};
use vswitch::queue::QUEUE_FRAMES_MAX;
use vswitch::switch::{ListenerReport, PortReport, Report};

use super::family::{Distribution, Family};
use super::scope::Read::{Counter, Gauge, Histogram};
use super::scope::{Metric, Scope};

/// A port, or a listener with all its clients.
struct Port {
    network: String,
    name: String,
    counters: PortCounters,
    queued_frames: usize,
    queued_bytes: usize,
    queue_limit_frames: usize,
    held_frames: usize,
    is_up: bool,
    is_link_up: bool,
}

static PORTS: Scope<Port, 2> = Scope {
    labels: ["network", "port"],
    of: |port| [port.network.clone(), port.name.clone()],
    metrics: &[
        Metric(
            "vswitch_port_received_frames",
            "Frames that came in by the port: forwarded, flooded or dropped.",
            Counter(|port| port.counters.ingress.received_frames),
        ),
        Metric(
            "vswitch_port_received_bytes",
            "Bytes of these.",
            Counter(|port| port.counters.ingress.received_bytes),
        ),
        Metric(
            "vswitch_port_forwarded_frames",
            "Frames that came in by the port and were for one other.",
            Counter(|port| port.counters.ingress.forwarded_frames),
        ),
        Metric(
            "vswitch_port_flooded_frames",
            "Frames that came in by the port and were for all others: broadcast, multicast, \
             unknown destination.",
            Counter(|port| port.counters.ingress.flooded_frames),
        ),
        Metric(
            "vswitch_port_enqueued_frames",
            "Frames that were to go out by the port: sent, dropped or still queued.",
            Counter(|port| port.counters.egress.enqueued_frames),
        ),
        Metric(
            "vswitch_port_sent_frames",
            "Frames that went out by the port.",
            Counter(|port| port.counters.egress.sent_frames),
        ),
        Metric(
            "vswitch_port_sent_bytes",
            "Bytes of these.",
            Counter(|port| port.counters.egress.sent_bytes),
        ),
        Metric(
            "vswitch_port_kernel_dropped_frames",
            "Frames that the kernel dropped before the switch could read them.",
            Counter(|port| port.counters.kernel_dropped_frames),
        ),
        Metric(
            "vswitch_port_pauses",
            "Times that the port was not read for a while, a target of its frames being full \
             (back-pressure).",
            Counter(|port| port.counters.pauses),
        ),
        Metric(
            "vswitch_port_queued_frames",
            "Frames that wait to go out by the port.",
            Gauge(|port| port.queued_frames as u64),
        ),
        Metric(
            "vswitch_port_queued_bytes",
            "Bytes of buffers that these hold, or will when they have to wait for long.",
            Gauge(|port| port.queued_bytes as u64),
        ),
        Metric(
            "vswitch_port_queue_limit_frames",
            "How many frames may wait to go out by the port; in bytes, as many as \
             vswitch_pool_available_bytes says.",
            Gauge(|port| port.queue_limit_frames as u64),
        ),
        Metric(
            "vswitch_port_held_frames",
            "Frames that came in by the port and wait until their target has room.",
            Gauge(|port| port.held_frames as u64),
        ),
        Metric(
            "vswitch_port_up",
            "0 when the other end is gone for good, else 1.",
            Gauge(|port| port.is_up.into()),
        ),
        Metric(
            "vswitch_port_link_up",
            "0 when somebody took the port's link down, else 1.",
            Gauge(|port| port.is_link_up.into()),
        ),
        Metric(
            "vswitch_port_receive_batch_frames",
            "Frames that one call brought, of the calls that brought any.",
            Histogram(|port| Distribution::of(&port.counters.ingress.batches, 1.0)),
        ),
        Metric(
            "vswitch_port_empty_receive_calls",
            "Calls that found no frame.",
            Counter(|port| port.counters.ingress.empty_batches),
        ),
        Metric(
            "vswitch_port_send_batch_frames",
            "Frames that one call took, of the calls that took any.",
            Histogram(|port| Distribution::of(&port.counters.egress.batches, 1.0)),
        ),
        Metric(
            "vswitch_port_empty_send_calls",
            "Calls that took no frame; most often the port is full.",
            Counter(|port| port.counters.egress.empty_batches),
        ),
    ],
};

/// Frames of a port that were dropped for one reason.
struct Dropped {
    network: String,
    port: String,
    going: Direction,
    reason: DropReason,
    frames: u64,
}

static DROPPED: Scope<Dropped, 4> = Scope {
    labels: ["network", "port", "direction", "reason"],
    of: |of| {
        let (direction, reason) = (of.going.name().to_owned(), of.reason.name().to_owned());
        [of.network.clone(), of.port.clone(), direction, reason]
    },
    metrics: &[Metric(
        "vswitch_port_dropped_frames",
        "Frames that were dropped. direction: ingress, having come in by the port; egress, being \
         to go out by it.",
        Counter(|of| of.frames),
    )],
};

static LISTENERS: Scope<ListenerReport, 2> = Scope {
    labels: ["network", "port"],
    of: |listener| [listener.network.clone(), listener.name.clone()],
    metrics: &[
        Metric(
            "vswitch_port_clients",
            "Clients that are connected to a port that takes many.",
            Gauge(|listener| listener.clients as u64),
        ),
        Metric(
            "vswitch_port_clients_accepted",
            "Clients that were taken.",
            Counter(|listener| listener.accepted),
        ),
        Metric(
            "vswitch_port_clients_turned_away",
            "Clients that were not taken, there being as many as may be.",
            Counter(|listener| listener.turned_away),
        ),
    ],
};

pub(super) fn families(report: &Report) -> Vec<Family> {
    let ports = ports(report);
    let dropped: Vec<Dropped> = ports.iter().flat_map(dropped).collect();
    [PORTS.families(&ports), DROPPED.families(&dropped), LISTENERS.families(&report.listeners)]
        .into_iter()
        .flatten()
        .collect()
}

/// By network and name.
fn ports(report: &Report) -> Vec<Port> {
    let mut ports: BTreeMap<(&str, &str), Port> = BTreeMap::new();
    for listener in &report.listeners {
        let ListenerReport { network, name, ended, .. } = listener;
        let key = (network.as_str(), name.as_str());
        let port = ports.entry(key).or_insert_with(|| Port::new(network, name));
        port.counters.add(ended);
        port.is_link_up = listener.is_link_up;
    }
    for port in &report.ports {
        let name = port.listener.as_ref().unwrap_or(&port.name);
        let key = (port.network.as_str(), name.as_str());
        ports.entry(key).or_insert_with(|| Port::new(&port.network, name)).add(port);
    }
    ports.into_values().collect()
}

impl Port {
    fn new(network: &str, name: &str) -> Self {
        Self {
            network: network.to_owned(),
            name: name.to_owned(),
            counters: PortCounters::default(),
            queued_frames: 0,
            queued_bytes: 0,
            queue_limit_frames: 0,
            held_frames: 0,
            is_up: true,
            is_link_up: true,
        }
    }

    fn add(&mut self, port: &PortReport) {
        self.counters.add(&port.counters);
        self.queued_frames += port.queued_frames;
        self.queued_bytes += port.queued_bytes;
        self.queue_limit_frames += QUEUE_FRAMES_MAX;
        self.held_frames += port.held_frames;
        self.is_up &= !port.gone;
        self.is_link_up &= port.is_link_up;
    }
}

fn dropped(port: &Port) -> impl Iterator<Item = Dropped> {
    drops(&port.counters).map(|(going, reason, frames)| Dropped {
        network: port.network.clone(),
        port: port.name.clone(),
        going,
        reason,
        frames,
    })
}

/// What can be dropped, the first time that it is not being the first time that it is told.
pub(super) fn drops(counters: &PortCounters) -> impl Iterator<Item = (Direction, DropReason, u64)> {
    Direction::ALL.into_iter().flat_map(move |going| {
        let all = DropReason::ALL
            .iter()
            .map(move |reason| (going, *reason, counters.dropped(going).of(*reason)));
        all.filter(|(going, reason, frames)| *frames > 0 || reason.occurs(*going))
    })
}
