//! Round trips.

use super::{Bound, Case, Contender, Load, Target, Times};
use crate::figures::Figure::{P50Micros, P99Micros};
use crate::load::PingPong;
use crate::subject::{Subject, Wiring};
use crate::system::socket::Buffers;

pub(super) fn cases(times: Times) -> Vec<Case> {
    vec![pinned(times), to_the_bridge(times), unpinned(times)]
}

/// There and back between a guest and a host at a bridge.
fn to_the_bridge(times: Times) -> Case {
    let wiring = Wiring::DatagramToBridge { frame_bytes: 64 };
    let ping_pong = PingPong { frame_bytes: 64, time: times.load };
    let contender =
        |subject| Contender::new(subject, wiring, Load::PingPong { ping_pong, pinned: true });
    Case {
        name: "round-trip-bridge".to_owned(),
        what: "round trip of 64 B between a unixgram port and a bridge, all on one processor"
            .to_owned(),
        contenders: [Subject::Vswitch, Subject::Relay { batch: 32 }, Subject::KernelBridge]
            .map(contender)
            .into(),
        targets: vec![
            Target::ratio(P50Micros, &[1], Bound::AtMost(1.10)),
            Target::ratio(P99Micros, &[1], Bound::AtMost(1.10)),
        ],
        quick: false,
    }
}

fn contender(times: Times, subject: Subject, pinned: bool) -> Contender {
    let wiring = Wiring::Datagrams {
        ends: 2,
        connected: true,
        buffers: Buffers::Large,
        idle: 0,
        frame_bytes: 64,
    };
    let ping_pong = PingPong { frame_bytes: 64, time: times.load };
    Contender::new(subject, wiring, Load::PingPong { ping_pong, pinned })
}

fn pinned(times: Times) -> Case {
    let subjects = [Subject::Vswitch, Subject::Relay { batch: 32 }, Subject::Vde, Subject::Direct];
    Case {
        name: "round-trip-pinned".to_owned(),
        what: "round trip of 64 B between unixgram ports, all on one processor".to_owned(),
        contenders: subjects.map(|subject| contender(times, subject, true)).into(),
        targets: vec![
            Target::ratio(P50Micros, &[1], Bound::AtMost(1.10)),
            Target::ratio(P99Micros, &[1], Bound::AtMost(1.10)),
        ],
        quick: true,
    }
}

fn unpinned(times: Times) -> Case {
    let subjects =
        [Subject::VswitchBusy, Subject::Vswitch, Subject::Relay { batch: 32 }, Subject::Direct];
    Case {
        name: "round-trip-busy-poll".to_owned(),
        what: "round trip of 64 B between unixgram ports on two processors".to_owned(),
        contenders: subjects.map(|subject| contender(times, subject, false)).into(),
        targets: vec![Target::ratio(P50Micros, &[1], Bound::AtMost(0.7))],
        quick: false,
    }
}
