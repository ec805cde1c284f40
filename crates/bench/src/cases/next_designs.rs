//! What memory brings that is shared with the guests, or with the kernel. An uplink sends by
//! `AF_XDP`; nothing receives by that, and no port shares memory with its guest: bare relays beside
//! the switch's ports say what these could bring at most.

use super::{Bound, Case, Contender, Load, Target, Times, datagrams, interfaces, pairs};
use crate::figures::Figure::{CpuMicrosPerFrame, KiloframesPerSecond};
use crate::subject::{Subject, Wiring};
use crate::system::xdp;

pub(super) fn cases(times: Times) -> Vec<Case> {
    let mut cases: Vec<Case> =
        [64, 1514, 9014].map(|frame_bytes| shared_memory(times, frame_bytes)).into();
    cases.push(shared_memory_of_many(times, 32));
    for frame_bytes in [64, 1514] {
        cases.push(by_xdp(times, frame_bytes, (0, 1)));
        cases.push(by_xdp(times, frame_bytes, (1, 0)));
    }
    cases
}

/// What is told of the first beside another.
fn beside(index: usize) -> [Target; 2] {
    [KiloframesPerSecond, CpuMicrosPerFrame]
        .map(|figure| Target::ratio(figure, &[index], Bound::Open))
}

fn shared_memory(times: Times, frame_bytes: usize) -> Case {
    let load = || Load::Saturate(times.saturate(&[(0, 1)], frame_bytes));
    let datagrams = datagrams::wiring(2, frame_bytes);
    Case {
        name: format!("shared-memory-{frame_bytes}"),
        what: format!("memory shared with both guests, one way, {frame_bytes} B: no port is so"),
        contenders: vec![
            Contender::new(Subject::SharedRelay, Wiring::Shared { ends: 2, frame_bytes }, load()),
            Contender::new(Subject::Vswitch, datagrams, load()).called("datagrams"),
            Contender::new(Subject::Vswitch, Wiring::Streams, load()).called("streams"),
        ],
        targets: [beside(1), beside(2)].concat(),
        quick: false,
    }
}

/// What many busy pairs cost such a relay, beside one.
fn shared_memory_of_many(times: Times, ends: usize) -> Case {
    let load = |ends| Load::Saturate(times.saturate(&pairs(ends), 64));
    let relay = |ends| {
        Contender::new(Subject::SharedRelay, Wiring::Shared { ends, frame_bytes: 64 }, load(ends))
    };
    let datagrams = Contender::new(Subject::Vswitch, datagrams::wiring(ends, 64), load(ends));
    Case {
        name: format!("shared-memory-{ends}-ports"),
        what: format!("memory shared with {ends} guests in pairs, one way, 64 B: no port is so"),
        contenders: vec![relay(ends), relay(2).called("2 ports"), datagrams.called("datagrams")],
        targets: [beside(1), beside(2)].concat(),
        quick: false,
    }
}

/// The kernel shares the memory of its frames with the relay, on the bridge's side. Frames of 9014
/// bytes do not fit.
fn by_xdp(times: Times, frame_bytes: usize, flow: (usize, usize)) -> Case {
    let wiring = Wiring::DatagramToBridge { frame_bytes };
    let contender = |subject| {
        Contender::new(subject, wiring, Load::Saturate(times.saturate(&[flow], frame_bytes)))
    };
    let way = interfaces::way(flow);
    Case {
        name: format!("xdp-{way}-{frame_bytes}"),
        what: format!("AF_XDP: {}, one way, {frame_bytes} B", way.replace('-', " ")),
        contenders: [Subject::XdpRelay, Subject::Vswitch, Subject::Relay { batch: 32 }]
            .map(contender)
            .into(),
        targets: [beside(1), beside(2)].concat(),
        quick: false,
    }
}

const _: () = assert!(xdp::FRAME_MAX_BYTES >= 1514);
