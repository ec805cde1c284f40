//! What is told of the loops, their buffers, and what they know of who is where.

use vswitch::switch::{FdbReport, LoopReport, Report};

use super::family::{Distribution, Family};
use super::scope::Read::{Counter, Gauge, Histogram};
use super::scope::{Metric, Scope};

const NANOSECONDS_PER_SECOND: f64 = 1e9;

/// A loop, by its number, which begins at 1.
type Loop = (usize, LoopReport);

static LOOPS: Scope<Loop, 1> = Scope {
    labels: ["loop"],
    of: |(number, _)| [number.to_string()],
    metrics: &[
        Metric(
            "vswitch_loop_wakeups",
            "Times that the loop was about to sleep and was woken, or found something ready at \
             once.",
            Counter(|(_, of)| of.counters.wakeups),
        ),
        Metric(
            "vswitch_loop_round_seconds",
            "How long the loop was busy with all that was ready: so long at most did what came \
             meanwhile wait for it.",
            Histogram(|(_, of)| Distribution::of(&of.counters.rounds, NANOSECONDS_PER_SECOND)),
        ),
        Metric(
            "vswitch_loop_commands",
            "Commands of other threads (changes, questions) that the loop carried out.",
            Counter(|(_, of)| of.counters.commands),
        ),
        Metric(
            "vswitch_pool_budget_bytes",
            "The most bytes that the loop's buffers may have together.",
            Gauge(|(_, of)| of.pool.budget_bytes as u64),
        ),
        Metric(
            "vswitch_pool_allocated_bytes",
            "Bytes of the buffers that exist.",
            Gauge(|(_, of)| of.pool.allocated_bytes as u64),
        ),
        Metric(
            "vswitch_pool_used_bytes",
            "Bytes of the buffers with frames in them, or with a port that receives.",
            Gauge(|(_, of)| of.pool.used_bytes as u64),
        ),
        Metric(
            "vswitch_pool_available_bytes",
            "Bytes that could still be taken; so many at most may wait at one port.",
            Gauge(|(_, of)| of.pool.available_bytes as u64),
        ),
    ],
};

/// What the loop of that number knows of a network.
type Fdb = (usize, FdbReport);

static FDBS: Scope<Fdb, 2> = Scope {
    labels: ["network", "loop"],
    of: |(number, fdb)| [fdb.network.clone(), number.to_string()],
    metrics: &[
        Metric(
            "vswitch_fdb_learnt_entries",
            "Addresses that were learnt.",
            Gauge(|(_, fdb)| fdb.learnt_entries as u64),
        ),
        Metric(
            "vswitch_fdb_learnt_limit_entries",
            "How many addresses may be learnt behind all ports together.",
            Gauge(|(_, fdb)| fdb.learnt_entries_max as u64),
        ),
        Metric(
            "vswitch_fdb_static_entries",
            "Addresses that belong to a port by configuration.",
            Gauge(|(_, fdb)| fdb.static_entries as u64),
        ),
        Metric(
            "vswitch_fdb_moves",
            "Times that an address was seen behind another port than before.",
            Counter(|(_, fdb)| fdb.moves),
        ),
        Metric(
            "vswitch_fdb_aged_entries",
            "Addresses that were forgotten, not having been seen for too long.",
            Counter(|(_, fdb)| fdb.aged_entries),
        ),
        Metric(
            "vswitch_fdb_not_learnt_frames",
            "Frames whose source was not learnt, its port having as many addresses as it may have.",
            Counter(|(_, fdb)| fdb.not_learnt_frames),
        ),
    ],
};

pub(super) fn families(report: &Report) -> Vec<Family> {
    let loops: Vec<Loop> = (1..).zip(report.loops.iter().cloned()).collect();
    let fdbs = |(number, of): &Loop| {
        let number = *number;
        of.fdbs.clone().into_iter().map(move |fdb| (number, fdb))
    };
    let fdbs: Vec<Fdb> = loops.iter().flat_map(fdbs).collect();
    [LOOPS.families(&loops), FDBS.families(&fdbs)].into_iter().flatten().collect()
}
