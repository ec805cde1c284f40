//! What the switch takes of a machine: memory, wake-ups, system calls.

use super::{Bound, Case, Contender, Load, Target, Times, pairs};
use crate::figures::Figure::{CallsPerFrame, CpuPercent, ResidentMebibytes, WakeUpsPerSecond};
use crate::subject::{Subject, Wiring};
use crate::system::socket::Buffers;

pub(super) fn cases(times: Times) -> Vec<Case> {
    vec![
        idle(times),
        memory(times, 2, 16.0),
        memory(times, 64, 64.0),
        calls(times, 64),
        calls(times, 1514),
    ]
}

fn wiring(ends: usize, idle: usize, frame_bytes: usize) -> Wiring {
    Wiring::Datagrams { ends, connected: true, buffers: Buffers::Large, idle, frame_bytes }
}

/// Each port looks four times a second whether its guest is still there (a dead datagram peer tells
/// nobody), all of them by the same wake-up.
const LOOKS_PER_SECOND: f64 = 4.0;

fn idle(times: Times) -> Case {
    let contender =
        |idle| Contender::new(Subject::Vswitch, wiring(0, idle, 64), Load::Idle(times.load));
    Case {
        name: "idle".to_owned(),
        what: "two ports at which nobody is".to_owned(),
        contenders: vec![contender(2), contender(64).called("64 ports")],
        targets: vec![
            Target::alone(ResidentMebibytes, Bound::AtMost(8.0)),
            Target::alone(WakeUpsPerSecond, Bound::AtMost(LOOKS_PER_SECOND + 1.0)),
            Target::alone(CpuPercent, Bound::AtMost(0.1)),
        ],
        quick: true,
    }
}

fn memory(times: Times, ends: usize, most_mib: f64) -> Case {
    let load = times.saturate(&pairs(ends), 65_535);
    Case {
        name: format!("memory-{ends}-ports"),
        what: format!("{ends} unixgram ports after each was saturated with 65,535 B"),
        contenders: vec![Contender::new(
            Subject::Vswitch,
            wiring(ends, 0, 65_535),
            Load::Memory(load),
        )],
        targets: vec![Target::alone(ResidentMebibytes, Bound::AtMost(most_mib))],
        quick: ends == 2,
    }
}

fn calls(times: Times, frame_bytes: usize) -> Case {
    let contender = |subject| {
        let load = Load::Calls(times.saturate(&[(0, 1)], frame_bytes));
        Contender::new(subject, wiring(2, 0, frame_bytes), load)
    };
    Case {
        name: format!("calls-{frame_bytes}"),
        what: format!("system calls, unixgram to unixgram, one way, {frame_bytes} B"),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Relay { batch: 32 })],
        targets: vec![Target::ratio(CallsPerFrame, &[1], Bound::AtMost(1.25))],
        quick: false,
    }
}
