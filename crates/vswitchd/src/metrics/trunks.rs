//! What is told of the trunks between several loops: for each network the sums of all its trunks,
//! in which a frame that crossed was sent and received once each.

use std::collections::BTreeMap;

use vswitch::counters::{Direction, DropReason, PortCounters};
use vswitch::switch::Report;

use super::family::Family;
use super::ports::drops;
use super::scope::Read::{Counter, Gauge};
use super::scope::{Metric, Scope};

/// All trunks of a network.
struct Trunks {
    network: String,
    counters: PortCounters,
    queued_frames: usize,
}

static TRUNKS: Scope<Trunks, 1> = Scope {
    labels: ["network"],
    of: |trunks| [trunks.network.clone()],
    metrics: &[
        Metric(
            "vswitch_trunk_enqueued_frames",
            "Frames that were to cross from a loop to another: sent, dropped or still queued.",
            Counter(|trunks| trunks.counters.egress.enqueued_frames),
        ),
        Metric(
            "vswitch_trunk_sent_frames",
            "Frames that one loop gave to another.",
            Counter(|trunks| trunks.counters.egress.sent_frames),
        ),
        Metric(
            "vswitch_trunk_sent_bytes",
            "Bytes of these.",
            Counter(|trunks| trunks.counters.egress.sent_bytes),
        ),
        Metric(
            "vswitch_trunk_received_frames",
            "Frames that a loop took from another.",
            Counter(|trunks| trunks.counters.ingress.received_frames),
        ),
        Metric(
            "vswitch_trunk_queued_frames",
            "Frames that wait to cross.",
            Gauge(|trunks| trunks.queued_frames as u64),
        ),
    ],
};

/// Frames of trunks that were dropped for one reason.
struct Dropped {
    network: String,
    going: Direction,
    reason: DropReason,
    frames: u64,
}

static DROPPED: Scope<Dropped, 3> = Scope {
    labels: ["network", "direction", "reason"],
    of: |of| [of.network.clone(), of.going.name().to_owned(), of.reason.name().to_owned()],
    metrics: &[Metric(
        "vswitch_trunk_dropped_frames",
        "Frames that were dropped on their way from a loop to another; no port counts them. \
         direction: egress, before they crossed; ingress, after.",
        Counter(|of| of.frames),
    )],
};

pub(super) fn families(report: &Report) -> Vec<Family> {
    let mut trunks: BTreeMap<&str, Trunks> = BTreeMap::new();
    for trunk in &report.trunks {
        let none = || Trunks {
            network: trunk.network.clone(),
            counters: PortCounters::default(),
            queued_frames: 0,
        };
        let of = trunks.entry(&trunk.network).or_insert_with(none);
        of.counters.add(&trunk.counters);
        of.queued_frames += trunk.queued_frames;
    }
    let trunks: Vec<Trunks> = trunks.into_values().collect();
    let dropped: Vec<Dropped> = trunks.iter().flat_map(dropped).collect();
    [TRUNKS.families(&trunks), DROPPED.families(&dropped)].into_iter().flatten().collect()
}

fn dropped(trunks: &Trunks) -> impl Iterator<Item = Dropped> {
    drops(&trunks.counters).map(|(going, reason, frames)| Dropped {
        network: trunks.network.clone(),
        going,
        reason,
        frames,
    })
}
