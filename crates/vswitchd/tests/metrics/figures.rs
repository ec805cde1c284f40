//! What a page says is what the report said.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vswitch::counters::{Direction, DropReason, PortCounters};
use vswitch::queue::QUEUE_FRAMES_MAX;
use vswitch::switch::{PortReport, Report};
use vswitchd::metrics::{Format, ServiceFacts, render_as};
use vswitchd::repairs::Mended;
use vswitchd::report::UplinkState;

use crate::pages;
use crate::parser::{Page, Parser};
use crate::sums::assert_sums;

/// Any report, with names of any kind, in both formats.
#[test]
fn a_page_says_what_the_report_said() {
    let Some(parser) = Parser::start_or_skip() else { return };
    let parser = std::sync::Mutex::new(parser);
    let both = (pages::report(), pages::facts());
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) };
    proptest!(config, |((report, facts) in both)| {
        let mut parser = parser.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for format in [Format::Text, Format::OpenMetrics] {
            let page = parser.parse(format, &render_as(format, &report, &facts));
            assert_sums(&page);
            assert_ports(&page, &report);
            assert_trunks(&page, &report);
            assert_loops(&page, &report);
            assert_facts(&page, &facts);
        }
    });
}

/// What a page tells of as a port, and the ports of the report that are in it.
struct Told<'a> {
    network: &'a str,
    port: &'a str,
    counters: PortCounters,
    is_link_up: bool,
    members: Vec<&'a PortReport>,
}

fn told(report: &Report) -> Vec<Told<'_>> {
    let alone = report.ports.iter().filter(|port| port.listener.is_none()).map(|port| Told {
        network: &port.network,
        port: &port.name,
        counters: port.counters,
        is_link_up: port.is_link_up,
        members: vec![port],
    });
    let listeners = report.listeners.iter().map(|listener| {
        let is_its = |port: &&PortReport| {
            port.network == listener.network && port.listener.as_ref() == Some(&listener.name)
        };
        let members: Vec<_> = report.ports.iter().filter(is_its).collect();
        let mut counters = listener.ended;
        members.iter().for_each(|client| counters.add(&client.counters));
        let (network, port) = (&*listener.network, &*listener.name);
        Told { network, port, counters, is_link_up: listener.is_link_up, members }
    });
    alone.chain(listeners).collect()
}

fn assert_ports(page: &Page, report: &Report) {
    let expected = told(report);
    let series = page.values("vswitch_port_received_frames_total", &[]).len();
    assert_eq!(series, expected.len());
    for Told { network, port, counters, is_link_up, members } in &expected {
        let PortCounters { ingress, egress, .. } = counters;
        let of = [("network", *network), ("port", *port)];
        let value = |name: &str| page.value(&format!("vswitch_port_{name}"), &of);
        let sum =
            |of: fn(&PortReport) -> usize| members.iter().map(|of_it| of(of_it)).sum::<usize>();
        for (name, figure) in [
            ("received_frames_total", ingress.received_frames),
            ("received_bytes_total", ingress.received_bytes),
            ("forwarded_frames_total", ingress.forwarded_frames),
            ("flooded_frames_total", ingress.flooded_frames),
            ("empty_receive_calls_total", ingress.empty_batches),
            ("receive_batch_frames_count", ingress.batches.count()),
            ("receive_batch_frames_sum", ingress.batches.sum()),
            ("enqueued_frames_total", egress.enqueued_frames),
            ("sent_frames_total", egress.sent_frames),
            ("sent_bytes_total", egress.sent_bytes),
            ("empty_send_calls_total", egress.empty_batches),
            ("send_batch_frames_count", egress.batches.count()),
            ("send_batch_frames_sum", egress.batches.sum()),
            ("kernel_dropped_frames_total", counters.kernel_dropped_frames),
            ("pauses_total", counters.pauses),
            ("queued_frames", sum(|port| port.queued_frames) as u64),
            ("queued_bytes", sum(|port| port.queued_bytes) as u64),
            ("held_frames", sum(|port| port.held_frames) as u64),
            ("queue_limit_frames", (members.len() * QUEUE_FRAMES_MAX) as u64),
            ("up", u64::from(members.iter().all(|port| !port.gone))),
            ("link_up", u64::from(*is_link_up)),
        ] {
            assert_eq!(value(name), figure, "{name} of {of:?}");
        }
        for (going, dropped) in
            [(Direction::Ingress, &ingress.dropped), (Direction::Egress, &egress.dropped)]
        {
            assert_drops(page, "vswitch_port", &of, going, |reason| dropped.of(reason));
        }
        assert_buckets(page, "vswitch_port_send_batch_frames", &of, 1.0, egress.batches.buckets());
    }
    for listener in &report.listeners {
        let of = [("network", &*listener.network), ("port", &*listener.name)];
        let value = |name: &str| page.value(&format!("vswitch_port_{name}"), &of);
        assert_eq!(value("clients"), listener.clients as u64);
        assert_eq!(value("clients_accepted_total"), listener.accepted);
        assert_eq!(value("clients_turned_away_total"), listener.turned_away);
    }
}

/// Those that can be dropped for a reason are told from the beginning, all others are not.
fn assert_drops(
    page: &Page,
    subject: &str,
    of: &[(&str, &str)],
    going: Direction,
    dropped: impl Fn(DropReason) -> u64,
) {
    for reason in DropReason::ALL {
        let own = [("direction", going.name()), ("reason", reason.name())];
        let told = page.values(&format!("{subject}_dropped_frames_total"), &[of, &own].concat());
        let figure = dropped(*reason);
        if reason.occurs(going) || figure > 0 {
            #[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
            let expected = [figure as f64];
            assert_eq!(told, expected, "{reason:?} {going:?} of {of:?}");
        } else {
            assert_eq!(told, [0.0; 0], "{reason:?} {going:?} of {of:?}");
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^53")]
fn assert_buckets(
    page: &Page,
    name: &str,
    of: &[(&str, &str)],
    per: f64,
    buckets: impl Iterator<Item = (Option<u64>, u64)>,
) {
    let is_it = |sample: &&crate::parser::Sample| {
        let has = |(label, value): &(&str, &str)| sample.labels[*label] == *value;
        sample.name == format!("{name}_bucket") && of.iter().all(has)
    };
    let told: Vec<(f64, f64)> = page
        .samples
        .iter()
        .filter(is_it)
        .map(|sample| {
            let bound = sample.labels["le"].parse().unwrap();
            (bound, sample.value.as_f64().unwrap())
        })
        .collect();
    let mut below = 0;
    let cumulative = buckets.map(|(bound, count)| {
        below += count;
        (bound.map_or(f64::INFINITY, |bound| bound as f64 / per), below as f64)
    });
    assert_eq!(told, cumulative.collect::<Vec<_>>(), "{name} of {of:?}");
}

fn assert_trunks(page: &Page, report: &Report) {
    let networks: BTreeSet<&str> = report.trunks.iter().map(|trunk| &*trunk.network).collect();
    assert_eq!(page.values("vswitch_trunk_queued_frames", &[]).len(), networks.len());
    for network in networks {
        let trunks = || report.trunks.iter().filter(|trunk| trunk.network == network);
        let mut sum = PortCounters::default();
        trunks().for_each(|trunk| sum.add(&trunk.counters));
        let of = [("network", network)];
        let value = |name: &str| page.value(&format!("vswitch_trunk_{name}"), &of);
        assert_eq!(value("enqueued_frames_total"), sum.egress.enqueued_frames);
        assert_eq!(value("sent_frames_total"), sum.egress.sent_frames);
        assert_eq!(value("sent_bytes_total"), sum.egress.sent_bytes);
        assert_eq!(value("received_frames_total"), sum.ingress.received_frames);
        let queued: usize = trunks().map(|trunk| trunk.queued_frames).sum();
        assert_eq!(value("queued_frames"), queued as u64);
        for going in Direction::ALL {
            assert_drops(page, "vswitch_trunk", &of, going, |reason| sum.dropped(going).of(reason));
        }
    }
}

fn assert_loops(page: &Page, report: &Report) {
    assert_eq!(page.values("vswitch_loop_wakeups_total", &[]).len(), report.loops.len());
    for (number, one) in (1..).zip(&report.loops) {
        let number = i32::to_string(&number);
        let of = [("loop", &*number)];
        for (name, figure) in [
            ("vswitch_loop_wakeups_total", one.counters.wakeups),
            ("vswitch_loop_commands_total", one.counters.commands),
            ("vswitch_loop_round_seconds_count", one.counters.rounds.count()),
            ("vswitch_pool_budget_bytes", one.pool.budget_bytes as u64),
            ("vswitch_pool_allocated_bytes", one.pool.allocated_bytes as u64),
            ("vswitch_pool_used_bytes", one.pool.used_bytes as u64),
            ("vswitch_pool_available_bytes", one.pool.available_bytes as u64),
        ] {
            assert_eq!(page.value(name, &of), figure, "{name} of {of:?}");
        }
        let rounds = &one.counters.rounds;
        assert_buckets(page, "vswitch_loop_round_seconds", &of, 1e9, rounds.buckets());
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let seconds = rounds.sum() as f64 / 1e9;
        assert_eq!(page.values("vswitch_loop_round_seconds_sum", &of), [seconds]);
        for fdb in &one.fdbs {
            let of = [("network", &*fdb.network), ("loop", &*number)];
            for (name, figure) in [
                ("learnt_entries", fdb.learnt_entries as u64),
                ("learnt_limit_entries", fdb.learnt_entries_max as u64),
                ("static_entries", fdb.static_entries as u64),
                ("moves_total", fdb.moves),
                ("aged_entries_total", fdb.aged_entries),
                ("not_learnt_frames_total", fdb.not_learnt_frames),
            ] {
                let told = page.value(&format!("vswitch_fdb_{name}"), &of);
                assert_eq!(told, figure, "{name} of {of:?}");
            }
        }
    }
}

fn assert_facts(page: &Page, facts: &ServiceFacts) {
    assert_eq!(page.value("vswitch_build_info", &[("version", facts.version)]), 1);
    let since = facts.started_at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(page.value("vswitch_start_time_seconds", &[]), since.as_secs());
    let changes = &facts.changes;
    for (result, count) in [
        ("applied", changes.applied),
        ("incomplete", changes.incomplete),
        ("refused", changes.refused),
    ] {
        assert_eq!(page.value("vswitch_config_changes_total", &[("result", result)]), count);
    }
    for (what, count) in Mended::ALL.into_iter().zip(facts.repairs) {
        assert_eq!(page.value("vswitch_repairs_total", &[("what", what.name())]), count);
    }
    for network in &facts.networks {
        let is_up = u64::from(network.uplink_state == Some(UplinkState::Up));
        assert_eq!(page.value("vswitch_uplink_up", &[("network", &*network.network)]), is_up);
        let of = [("network", &*network.network), ("uplink", &*network.uplink)];
        assert_eq!(page.value("vswitch_network_info", &of), 1);
        for port in &network.ports {
            let mac = port.mac.as_deref().unwrap();
            let own = [("port", &*port.name), ("attachment", &*port.attachment), ("mac", mac)];
            assert_eq!(page.value("vswitch_port_info", &[&of[..1], &own].concat()), 1);
        }
        let uplink = [of[0], ("port", "uplink"), ("attachment", of[1].1), ("mac", "")];
        let is_there = u64::from(network.uplink != "none");
        assert_eq!(page.values("vswitch_port_info", &uplink).len() as u64, is_there);
        for interface in &network.interfaces {
            let own = [of[0], ("interface", &*interface.name), ("role", "switch_end")];
            assert_eq!(page.value("vswitch_interface_mtu_bytes", &own), u64::from(interface.mtu));
        }
    }
}

/// A parser that takes all would prove nothing.
#[test]
fn the_parsers_refuse_what_is_no_page() {
    let Some(mut parser) = Parser::start_or_skip() else { return };
    for format in [Format::Text, Format::OpenMetrics] {
        for page in ["a{b=\"c} 1\n", "a{b=\"c\"} x\n"] {
            parser.try_parse(format, page).unwrap_err();
        }
    }
    let (report, facts) = pages::full();
    let page = render_as(Format::OpenMetrics, &report, &facts);
    parser.try_parse(Format::OpenMetrics, page.trim_end_matches("# EOF\n")).unwrap_err();
}
