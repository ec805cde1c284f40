//! What a frame costs in system calls, registrations and copied bytes, by version and way.

use std::fmt::Write as _;

use xnu_lab::cost::{self, Cost, Flow, WAYS, Way};
use xnu_sim::MacOs;

const FRAMES: u64 = 10_000;

/// What [`table`] was when it was last written down.
const WRITTEN_DOWN: &str = include_str!("costs.txt");

/// Every figure is what was written down, to the digit: the simulation does the same each time, so
/// another figure is another switch (or another model of XNU). More is to be mended; less, and what
/// is meant, is to be written down.
#[test]
fn each_figure_is_what_was_written_down() {
    let now = table();
    let differences = differences(WRITTEN_DOWN, &now);
    if differences.is_empty() {
        return;
    }
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/costs.txt");
    std::fs::write(path, &now).unwrap();
    panic!(
        "a frame's cost changed (- written down, + now):\n{differences}\n\
         if it is meant: cp {path} crates/xnu-lab/tests/costs.txt"
    );
}

/// In saturated flow nobody blocks and nothing is registered, disabled or enabled again; at most
/// 0.05 calls per frame each way are what the design promises.
#[test]
fn saturated_flow_costs_few_calls_and_no_registrations() {
    for version in MacOs::ALL {
        for way in WAYS {
            let cost = cost::of_switch(version, Flow::of_full_frames(way, FRAMES)).unwrap();
            assert!(cost.calls_per_frame() <= 0.05, "{cost:?}");
            assert_eq!(cost.counters.kevent_registrations, 0, "{cost:?}");
        }
    }
}

/// What it is compared with: one frame read and one written, `kevent64` each time.
#[test]
fn the_originals_loop_costs_two_calls_and_more() {
    let of_original = |version, way| {
        cost::of_original(version, Flow::of_full_frames(way, FRAMES)).unwrap().calls_per_frame()
    };
    for version in MacOs::ALL {
        assert!(of_original(version, Way::GuestToHost) >= 2.0, "{version:?}");
        assert!(of_original(version, Way::HostToGuest) >= 1.0, "{version:?}");
    }
}

/// Without the calls for many messages a frame costs one call at each socket: one at a guest's,
/// and one at the NDRV socket where BPF does not take many frames by a write, as before macOS 14.1.
/// Nothing else is there to take or give many: `read`, `recvmsg` and `recvfrom` take one datagram,
/// `write` and `sendmsg` give one, whatever the vector; a BPF write carries one frame until
/// `BIOCSBATCHWRITE`; and `lio_listio` refuses sockets (`aio_validate` in XNU
/// `bsd/kern/kern_aio.c`). So these are the fewest that there can be.
#[test]
fn without_calls_of_many_messages_a_frame_costs_one_call_at_each_socket() {
    for version in MacOs::ALL {
        for way in WAYS {
            let flow = Flow::of_full_frames(way, FRAMES);
            let cost = cost::without_message_calls(version, flow).unwrap();
            let has_batch_write = version >= MacOs::V14_4;
            let (reads, writes) = match way {
                Way::GuestToHost => (1.0, if has_batch_write { 0.0 } else { 1.0 }),
                Way::HostToGuest => (0.0, 1.0),
                Way::GuestToGuest => (1.0, 1.0),
            };
            let floor = reads + writes;
            let calls = cost.calls_per_frame();
            assert!((floor..=floor + 0.1).contains(&calls), "{calls}: {cost:?}");
        }
    }
}

/// A line for each version, way and size, as the switch is and without the calls for many messages.
fn table() -> String {
    let mut table = String::from(
        "# What a frame costs on the simulated Mac; see cost.rs. Calls and registrations are for\n\
         # 1,000 frames; bytes copied from and to the process are for each byte of a frame.\n",
    );
    let mut add = |title: &str, cost: &Cost| {
        writeln!(table, "{title} {}", figures(cost)).unwrap();
    };
    for version in MacOs::ALL {
        for way in WAYS {
            for frame_bytes in [64, 1514] {
                let flow = Flow { way, frame_bytes, frames: FRAMES };
                let title = format!("{version:?} {way:?} {frame_bytes}:");
                add(&title, &cost::of_switch(version, flow).unwrap());
            }
            let flow = Flow::of_full_frames(way, FRAMES);
            let title = format!("{version:?} {way:?} 1514, no message calls:");
            add(&title, &cost::without_message_calls(version, flow).unwrap());
        }
    }
    table
}

fn figures(cost: &Cost) -> String {
    let per_thousand = |count: u64| 1000.0 * cost.per_frame(count);
    let calls = cost.counters.calls.iter();
    let calls = calls.map(|(call, count)| format!("{call} {:.2}", per_thousand(*count)));
    let bytes = u64::try_from(cost.flow.frame_bytes).unwrap();
    let ratio = |copied: u64| cost.per_frame(copied) / cost.per_frame(bytes * cost.frames);
    format!(
        "{}; registrations {:.2}; in {:.4}, out {:.4}",
        calls.collect::<Vec<_>>().join(", "),
        per_thousand(cost.counters.kevent_registrations),
        ratio(cost.counters.copied_in_bytes),
        ratio(cost.counters.copied_out_bytes),
    )
}

/// Lines that only one of them has, in the order of the first.
fn differences(before: &str, now: &str) -> String {
    let only = |mark: &str, of: &str, other: &str| -> String {
        let lines = of.lines().filter(|line| !other.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    only("-", before, now) + &only("+", now, before)
}
