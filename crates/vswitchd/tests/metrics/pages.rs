//! Reports to make pages of.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use vswitch::counters::{Direction, DropReason, LoopCounters, PortCounters};
use vswitch::fabric::PortIndex;
use vswitch::switch::{FdbReport, ListenerReport, LoopReport, PoolReport, PortReport, Report};
use vswitchd::metrics::{Changes, ServiceFacts};
use vswitchd::report::{InterfaceReport, InterfaceRole, ReadyNetwork, ReadyPort, UplinkState};

/// A name: any text, and often one with what a page uses between names.
pub(crate) fn name() -> impl Strategy<Value = String> {
    let any = prop::collection::vec(any::<char>(), 0..12);
    let any = any.prop_map(|chars| chars.into_iter().collect());
    prop_oneof![any, "[a#\"\\\\\n\r\t{}=, ]{0,8}", "[a-z0-9.-]{1,8}"]
}

fn drops(going: Direction) -> impl Strategy<Value = Vec<(DropReason, u64)>> {
    let reasons: Vec<_> = DropReason::ALL.iter().copied().filter(|of| of.occurs(going)).collect();
    prop::collection::vec((prop::sample::select(reasons), 0..1_u64 << 40), 0..6)
}

/// Batches, and how many frames are in all of them.
fn batches() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(1_u64..3000, 0..40)
}

prop_compose! {
    /// Counters whose sums hold, and how many frames are held and queued.
    fn counters()(
        received in batches(),
        sent in batches(),
        ingress in drops(Direction::Ingress),
        egress in drops(Direction::Egress),
        split in (0_u64..100, 0_u64..100, 0_u64..100),
        bytes in (0_u64..1 << 50, 0_u64..1 << 50),
        others in (0_u64..1 << 50, 0_u64..1 << 50, 0_u64..1 << 50, 0_u64..1 << 50),
    ) -> (PortCounters, usize, usize) {
        let mut counters = PortCounters::default();
        let to = &mut counters.ingress;
        // What was dropped came in batches too.
        let dropped: u64 = ingress.iter().map(|(_, frames)| frames).sum();
        ingress.iter().for_each(|(reason, frames)| to.dropped.add(*reason, *frames));
        received.iter().chain([&dropped].into_iter().filter(|n| **n > 0)).for_each(|frames| {
            to.batches.record(*frames);
        });
        let live: u64 = received.iter().sum();
        let held = live * split.0 / 100;
        to.forwarded_frames = (live - held) * split.1 / 100;
        to.flooded_frames = live - held - to.forwarded_frames;
        to.received_frames = live - held + dropped;
        (to.received_bytes, to.empty_batches) = (bytes.0, others.0);
        let to = &mut counters.egress;
        sent.iter().for_each(|frames| to.batches.record(*frames));
        egress.iter().for_each(|(reason, frames)| to.dropped.add(*reason, *frames));
        to.sent_frames = sent.iter().sum();
        to.enqueued_frames = to.sent_frames + to.dropped.total() + split.2;
        (to.sent_bytes, to.empty_batches) = (bytes.1, others.1);
        (counters.kernel_dropped_frames, counters.pauses) = (others.2, others.3);
        (counters, usize::try_from(held).unwrap(), usize::try_from(split.2).unwrap())
    }
}

prop_compose! {
    fn port()(
        (counters, held_frames, queued_frames) in counters(),
        name in name(),
        network in name(),
        queued_bytes in 0_usize..1 << 30,
        gone in any::<bool>(),
        is_link_up in any::<bool>(),
    ) -> PortReport {
        PortReport {
            index: PortIndex(0),
            name,
            network,
            listener: None,
            counters,
            queued_frames,
            queued_bytes,
            held_frames,
            waiting_on: None,
            gone,
            is_link_up,
        }
    }
}

prop_compose! {
    /// A listener and its clients.
    fn listener()(
        (ended, held, queued) in counters(),
        name in name(),
        network in name(),
        clients in prop::collection::vec(port(), 0..4),
        accepted in 0_u64..1 << 50,
        turned_away in 0_u64..1 << 50,
        is_link_up in any::<bool>(),
    ) -> (ListenerReport, Vec<PortReport>) {
        // One that has ended holds nothing any more.
        let mut ended = ended;
        ended.ingress.received_frames += held as u64;
        ended.ingress.dropped.add(DropReason::Removed, held as u64);
        ended.egress.dropped.add(DropReason::Removed, queued as u64);
        let client = |(number, port): (usize, PortReport)| PortReport {
            name: format!("{name}.{number}"),
            network: network.clone(),
            listener: Some(name.clone()),
            gone: false,
            is_link_up,
            ..port
        };
        let clients: Vec<_> = clients.into_iter().enumerate().map(client).collect();
        let clients_now = clients.len();
        let listener = ListenerReport {
            name: name.clone(),
            network: network.clone(),
            clients: clients_now,
            accepted,
            turned_away,
            is_link_up,
            ended,
        };
        (listener, clients)
    }
}

prop_compose! {
    fn fdb()(
        network in name(),
        entries in (0_usize..1 << 20, 0_usize..1 << 20, 0_usize..1 << 30),
        counts in (0_u64..1 << 50, 0_u64..1 << 50, 0_u64..1 << 50),
    ) -> FdbReport {
        FdbReport {
            network,
            static_entries: entries.0,
            learnt_entries: entries.1,
            learnt_entries_max: entries.2,
            moves: counts.0,
            aged_entries: counts.1,
            not_learnt_frames: counts.2,
        }
    }
}

prop_compose! {
    fn one_loop()(
        fdbs in prop::collection::vec(fdb(), 0..3),
        rounds in prop::collection::vec(0_u64..1 << 34, 0..50),
        counts in (0_u64..1 << 50, 0_u64..1 << 50),
        pool in (0_usize..1 << 40, 0_usize..1 << 40, 0_usize..1 << 40, 0_usize..1 << 40),
    ) -> LoopReport {
        let mut counters =
            LoopCounters { wakeups: counts.0, commands: counts.1, ..LoopCounters::default() };
        rounds.iter().for_each(|time| counters.rounds.record(*time));
        let pool = PoolReport {
            budget_bytes: pool.0,
            allocated_bytes: pool.1,
            used_bytes: pool.2,
            available_bytes: pool.3,
        };
        // Within a loop, a network has one.
        let mut seen = BTreeSet::new();
        let fdbs = fdbs.into_iter().filter(|fdb| seen.insert(fdb.network.clone())).collect();
        LoopReport { counters, pool, fdbs }
    }
}

prop_compose! {
    /// Any report: each port once, as in a switch.
    pub(crate) fn report()(
        ports in prop::collection::vec(port(), 1..6),
        listeners in prop::collection::vec(listener(), 0..3),
        trunks in prop::collection::vec(port(), 0..4),
        loops in prop::collection::vec(one_loop(), 1..3),
    ) -> Report {
        let mut report = Report { trunks, loops, ..Report::default() };
        let mut seen = BTreeSet::new();
        for (listener, clients) in listeners {
            if seen.insert((listener.network.clone(), listener.name.clone())) {
                report.listeners.push(listener);
                report.ports.extend(clients);
            }
        }
        let is_new = |port: &PortReport| seen.insert((port.network.clone(), port.name.clone()));
        report.ports.extend(ports.into_iter().filter(is_new));
        report
    }
}

prop_compose! {
    /// Any networks of one port each.
    pub(crate) fn facts()(
        names in prop::collection::btree_set(name(), 0..4),
        words in (name(), name(), name()),
        started_s in 0_u64..1 << 33,
        changes in (0_u64..1 << 50, 0_u64..1 << 50, 0_u64..1 << 50),
        repairs in prop::array::uniform5(0_u64..1 << 50),
        is_waiting: bool,
    ) -> ServiceFacts {
        let network = |network| ReadyNetwork {
            network,
            uplink: words.0.clone(),
            uplink_state: Some([UplinkState::Up, UplinkState::Waiting][usize::from(is_waiting)]),
            interfaces: vec![InterfaceReport {
                name: words.1.clone(),
                role: InterfaceRole::SwitchEnd,
                mtu: 1500,
                created: true,
            }],
            ports: vec![ReadyPort {
                name: words.1.clone(),
                attachment: words.2.clone(),
                mac: Some("02:00:00:00:00:01".to_owned()),
                is_hot: false,
            }],
        };
        ServiceFacts {
            started_at: SystemTime::UNIX_EPOCH + Duration::from_secs(started_s),
            networks: names.into_iter().map(network).collect(),
            changes: Changes { applied: changes.0, incomplete: changes.1, refused: changes.2 },
            repairs,
            ..ServiceFacts::default()
        }
    }
}

/// A page's report with something of everything.
pub(crate) fn full() -> (Report, ServiceFacts) {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    loop {
        let (report, facts) = (report(), facts()).new_tree(&mut runner).unwrap().current();
        let has_all = !report.trunks.is_empty()
            && !report.listeners.is_empty()
            && report.loops.iter().all(|of| !of.fdbs.is_empty())
            && !facts.networks.is_empty();
        if has_all {
            return (report, facts);
        }
    }
}
