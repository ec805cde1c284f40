//! Unix datagram ports.

use super::{Bound, Case, Contender, Load, Target, Times, pairs};
use crate::figures::Figure::{CpuMicrosPerFrame, KiloframesPerSecond, LossPercent};
use crate::subject::{Subject, Wiring};
use crate::system::socket::Buffers;

/// vde cuts every frame above this.
const VDE_FRAME_MAX_BYTES: usize = 1518;

pub(super) fn cases(times: Times) -> Vec<Case> {
    let mut cases = Vec::new();
    for frame_bytes in [64, 1514, 9014, 65_535] {
        cases.push(one_way(times, frame_bytes));
    }
    for frame_bytes in [64, 1514] {
        cases.push(default_buffers(times, frame_bytes));
        cases.push(unconnected(times, frame_bytes));
    }
    for frame_bytes in [64, 1514] {
        cases.push(both_ways(times, frame_bytes));
    }
    cases.push(many(times, 8));
    cases.push(many(times, 32));
    cases.push(many_by_relay(times, 32));
    cases.push(idle_neighbours(times));
    cases.push(flooder(times));
    cases.push(control_clients(times));
    cases
}

/// Ends as vfkit's, with large buffers.
pub(super) fn wiring(ends: usize, frame_bytes: usize) -> Wiring {
    Wiring::Datagrams { ends, connected: true, buffers: Buffers::Large, idle: 0, frame_bytes }
}

/// The batch sizes among which the best relay is, by frame size: big frames want small batches.
const fn relays(frame_bytes: usize) -> &'static [usize] {
    match frame_bytes {
        0..=2000 => &[32],
        2001..=20_000 => &[32, 8],
        _ => &[8, 1],
    }
}

fn one_way(times: Times, frame_bytes: usize) -> Case {
    let load = || Load::Saturate(times.saturate(&[(0, 1)], frame_bytes));
    let contender = |subject| Contender::new(subject, wiring(2, frame_bytes), load());
    let mut contenders = vec![contender(Subject::Vswitch)];
    contenders.extend(relays(frame_bytes).iter().map(|&batch| contender(Subject::Relay { batch })));
    let relays: Vec<usize> = (1..contenders.len()).collect();
    let mut targets = vec![
        Target::ratio(KiloframesPerSecond, &relays, Bound::AtLeast(0.95)),
        Target::ratio(CpuMicrosPerFrame, &relays, Bound::AtMost(1.10)),
        Target::alone(LossPercent, Bound::AtMost(0.0)),
    ];
    if frame_bytes <= VDE_FRAME_MAX_BYTES {
        let vde = contenders.len();
        contenders.push(contender(Subject::Vde));
        let faster = if frame_bytes == 64 { 1.4 } else { 1.15 };
        targets.push(Target::ratio(KiloframesPerSecond, &[vde], Bound::AtLeast(faster)));
        targets.push(Target::ratio(CpuMicrosPerFrame, &[vde], Bound::AtMost(0.75)));
    }
    Case {
        name: format!("datagrams-{frame_bytes}"),
        what: format!("unixgram to unixgram, one way, {frame_bytes} B"),
        contenders,
        targets,
        quick: frame_bytes <= 1514,
    }
}

/// The system's own socket buffers at both of the load's ends.
fn default_buffers(times: Times, frame_bytes: usize) -> Case {
    let wiring = Wiring::Datagrams {
        ends: 2,
        connected: true,
        buffers: Buffers::Default,
        idle: 0,
        frame_bytes,
    };
    let load = || Load::Saturate(times.saturate(&[(0, 1)], frame_bytes));
    let contender = |subject| Contender::new(subject, wiring, load());
    Case {
        name: format!("datagrams-default-buffers-{frame_bytes}"),
        what: format!(
            "unixgram to unixgram, one way, {frame_bytes} B, guests with the system's buffers"
        ),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Relay { batch: 32 })],
        targets: vec![
            Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95)),
            Target::alone(LossPercent, Bound::AtMost(0.0)),
        ],
        quick: frame_bytes == 1514,
    }
}

/// Ends that do not connect their sockets, as QEMU's.
fn unconnected(times: Times, frame_bytes: usize) -> Case {
    let wiring = Wiring::Datagrams {
        ends: 2,
        connected: false,
        buffers: Buffers::Large,
        idle: 0,
        frame_bytes,
    };
    let load = || Load::Saturate(times.saturate(&[(0, 1)], frame_bytes));
    let contender = |subject| Contender::new(subject, wiring, load());
    Case {
        name: format!("datagrams-unconnected-{frame_bytes}"),
        what: format!("unixgram to unixgram, one way, {frame_bytes} B, ends as QEMU's"),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Relay { batch: 32 })],
        targets: vec![
            Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95)),
            Target::alone(LossPercent, Bound::AtMost(0.0)),
        ],
        quick: false,
    }
}

fn both_ways(times: Times, frame_bytes: usize) -> Case {
    let load = || Load::Saturate(times.saturate(&[(0, 1), (1, 0)], frame_bytes));
    let contender = |subject| Contender::new(subject, wiring(2, frame_bytes), load());
    Case {
        name: format!("datagrams-both-ways-{frame_bytes}"),
        what: format!("unixgram to unixgram, both ways, {frame_bytes} B"),
        contenders: vec![
            contender(Subject::Vswitch),
            contender(Subject::Relay { batch: 32 }),
            contender(Subject::Vde),
        ],
        targets: vec![
            Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95)),
            Target::ratio(CpuMicrosPerFrame, &[1], Bound::AtMost(1.10)),
            Target::ratio(KiloframesPerSecond, &[2], Bound::AtLeast(1.7)),
        ],
        quick: false,
    }
}

/// Many busy ports, beside two.
fn many(times: Times, ends: usize) -> Case {
    let load = |ends| Load::Saturate(times.saturate(&pairs(ends), 64));
    let contender = |subject, ends| Contender::new(subject, wiring(ends, 64), load(ends));
    Case {
        name: format!("datagrams-{ends}-ports"),
        what: format!("unixgram, {ends} ports in pairs, one way, 64 B"),
        contenders: vec![
            contender(Subject::Vswitch, ends),
            contender(Subject::Vswitch, 2).called("2 ports"),
            contender(Subject::Relay { batch: 32 }, ends),
        ],
        targets: vec![
            Target::ratio(CpuMicrosPerFrame, &[1], Bound::AtMost(1.10)),
            Target::ratio(KiloframesPerSecond, &[2], Bound::AtLeast(0.95)),
            // One relay for all pairs, which waits by epoll.
            Target::ratio(CpuMicrosPerFrame, &[2], Bound::Open),
        ],
        quick: false,
    }
}

/// What many busy pairs cost a bare relay, beside one. With both it waits by epoll: with one pair
/// the yardsticks wait by poll, and that would be part of the difference.
fn many_by_relay(times: Times, ends: usize) -> Case {
    let load = |ends| Load::Saturate(times.saturate(&pairs(ends), 64));
    let relay = |ends| Contender::new(Subject::EpollRelay, wiring(ends, 64), load(ends));
    Case {
        name: format!("relay-{ends}-ports"),
        what: format!("unixgram, {ends} ends in pairs at one bare relay, one way, 64 B"),
        contenders: vec![relay(ends), relay(2).called("2 ports")],
        targets: vec![Target::ratio(CpuMicrosPerFrame, &[1], Bound::Open)],
        quick: false,
    }
}

/// Ports at which nobody is.
fn idle_neighbours(times: Times) -> Case {
    let wiring = |idle| Wiring::Datagrams {
        ends: 2,
        connected: true,
        buffers: Buffers::Large,
        idle,
        frame_bytes: 64,
    };
    let load = || Load::Saturate(times.saturate(&[(0, 1)], 64));
    Case {
        name: "datagrams-62-idle-ports".to_owned(),
        what: "unixgram to unixgram, one way, 64 B, with 62 ports at which nobody is".to_owned(),
        contenders: vec![
            Contender::new(Subject::Vswitch, wiring(62), load()),
            Contender::new(Subject::Vswitch, wiring(0), load()).called("none idle"),
        ],
        targets: vec![Target::ratio(CpuMicrosPerFrame, &[1], Bound::AtMost(1.05))],
        quick: false,
    }
}

/// Two hundred clients at the control socket: half of them ask for the counters once a second, half
/// listen for events and never read.
fn control_clients(times: Times) -> Case {
    let load = || Load::Saturate(times.saturate(&[(0, 1)], 1514));
    let contender = |subject| Contender::new(subject, wiring(2, 1514), load());
    Case {
        name: "datagrams-control-clients".to_owned(),
        what: "unixgram to unixgram, one way, 1514 B, with 200 clients at the control socket"
            .to_owned(),
        contenders: vec![contender(Subject::VswitchAsked), contender(Subject::Vswitch)],
        targets: vec![Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95))],
        quick: false,
    }
}

/// One guest floods at full speed; beside it as many that behave.
fn flooder(times: Times) -> Case {
    let flood = || {
        let mut load = times.saturate(&pairs(4), 1514);
        load.flooder = Some(4);
        Load::Saturate(load)
    };
    // Without a flooder the same port sends to one station, as the others do.
    let fair = || {
        let mut load = times.saturate(&pairs(6), 1514);
        load.counted_flows = Some(2);
        Load::Saturate(load)
    };
    Case {
        name: "datagrams-flooder".to_owned(),
        what: "two pairs of unixgram ports, 1514 B, beside a port that floods broadcasts"
            .to_owned(),
        contenders: vec![
            Contender::new(Subject::Vswitch, wiring(6, 1514), flood()),
            Contender::new(Subject::Vswitch, wiring(6, 1514), fair())
                .called("a third pair instead"),
        ],
        targets: vec![Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.8))],
        quick: false,
    }
}
