//! The kernel's interfaces: a bridge, TAPs, and TCP over them.

use super::{Bound, Case, Contender, Load, Target, Times};
use crate::figures::Figure::{CpuMicrosPerFrame, GbitPerSecond, KiloframesPerSecond};
use crate::load::Tcp;
use crate::subject::{Subject, Wiring};

pub(super) fn cases(times: Times) -> Vec<Case> {
    let mut cases = Vec::new();
    for frame_bytes in [64, 1514, 9014] {
        cases.push(bridge(times, frame_bytes, (0, 1)));
        cases.push(bridge(times, frame_bytes, (1, 0)));
    }
    cases.extend([
        host_and_guest(times, true),
        host_and_guest(times, false),
        taps_plain(times),
        taps_offload(times),
        tap_to_bridge(times),
    ]);
    cases
}

/// What a flow between datagrams, end 0, and a bridge is called.
pub(super) const fn way(flow: (usize, usize)) -> &'static str {
    if flow.0 == 0 { "datagrams-to-bridge" } else { "bridge-to-datagrams" }
}

fn bridge(times: Times, frame_bytes: usize, flow: (usize, usize)) -> Case {
    let wiring = Wiring::DatagramToBridge { frame_bytes };
    let contender = |subject| {
        Contender::new(subject, wiring, Load::Saturate(times.saturate(&[flow], frame_bytes)))
    };
    let way = way(flow);
    let mut contenders = vec![
        contender(Subject::Vswitch),
        contender(Subject::Relay { batch: 32 }),
        contender(Subject::KernelBridge),
    ];
    let mut targets = vec![
        Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95)),
        Target::ratio(CpuMicrosPerFrame, &[1], Bound::AtMost(1.10)),
    ];
    if flow == (1, 0) {
        // The switch's own design, bare.
        contenders.push(contender(Subject::RingRelay));
        targets.push(Target::ratio(KiloframesPerSecond, &[3], Bound::Open));
        targets.push(Target::ratio(CpuMicrosPerFrame, &[3], Bound::Open));
    }
    Case {
        name: format!("{way}-{frame_bytes}"),
        what: format!("{}, one way, {frame_bytes} B", way.replace('-', " ")),
        contenders,
        targets,
        quick: frame_bytes == 1514 && flow == (0, 1),
    }
}

fn tcp(times: Times, subject: Subject, wiring: Wiring) -> Contender {
    Contender::new(subject, wiring, Load::Tcp(Tcp { time: times.load.max(MIN_TCP) }))
}

/// iperf3 counts whole seconds.
const MIN_TCP: std::time::Duration = std::time::Duration::from_secs(2);

fn host_and_guest(times: Times, inwards: bool) -> Case {
    let wiring = Wiring::HostAndGuest { inwards };
    let (name, what) = match inwards {
        true => ("tcp-host-to-guest", "TCP from the host's stack to a guest at a unixgram port"),
        false => ("tcp-guest-to-host", "TCP from a guest at a unixgram port to the host's stack"),
    };
    Case {
        name: name.to_owned(),
        what: what.to_owned(),
        contenders: vec![
            tcp(times, Subject::Vswitch, wiring),
            tcp(times, Subject::Relay { batch: 32 }, wiring),
        ],
        targets: vec![Target::ratio(GbitPerSecond, &[1], Bound::AtLeast(0.95))],
        quick: false,
    }
}

fn taps_plain(times: Times) -> Case {
    let wiring = Wiring::Taps { mtu: 1500, offload: false };
    Case {
        name: "tcp-taps-plain".to_owned(),
        what: "TCP from TAP to TAP, offloads off in both namespaces".to_owned(),
        contenders: vec![
            tcp(times, Subject::Vswitch, wiring),
            tcp(times, Subject::Relay { batch: 32 }, wiring),
            tcp(times, Subject::KernelBridge, wiring),
            tcp(times, Subject::Ovs, wiring),
        ],
        targets: vec![
            Target::ratio(GbitPerSecond, &[1], Bound::AtLeast(0.95)),
            Target::ratio(GbitPerSecond, &[3], Bound::AtLeast(1.0)),
        ],
        quick: false,
    }
}

fn taps_offload(times: Times) -> Case {
    let wiring = |offload| Wiring::Taps { mtu: 1500, offload };
    Case {
        name: "tcp-taps-offload".to_owned(),
        what: "TCP from TAP to TAP, big segments passed untouched".to_owned(),
        contenders: vec![
            tcp(times, Subject::Vswitch, wiring(true)),
            tcp(times, Subject::VnetRelay, wiring(true)),
            tcp(times, Subject::Vswitch, wiring(false)).called("offloads off"),
            tcp(times, Subject::KernelBridge, wiring(true)),
        ],
        targets: vec![
            Target::ratio(GbitPerSecond, &[1], Bound::AtLeast(0.9)),
            Target::ratio(GbitPerSecond, &[2], Bound::AtLeast(4.0)),
        ],
        quick: true,
    }
}

fn tap_to_bridge(times: Times) -> Case {
    let wiring = Wiring::TapToBridge { mtu: 1500 };
    Case {
        name: "tcp-tap-to-bridge".to_owned(),
        what: "TCP from a TAP to a host on a bridge, with offloads".to_owned(),
        contenders: vec![
            tcp(times, Subject::Vswitch, wiring),
            tcp(times, Subject::KernelBridge, wiring),
        ],
        targets: vec![Target::ratio(GbitPerSecond, &[1], Bound::AtLeast(0.7))],
        quick: false,
    }
}
