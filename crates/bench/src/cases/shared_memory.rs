//! What another kind of port would have: memory that the switch shares with its guests. There is no
//! such port; its bare relay beside the switch's ports says what it could bring at most.

use super::{Bound, Case, Contender, Load, Target, Times};
use crate::figures::Figure::{CpuMicrosPerFrame, KiloframesPerSecond};
use crate::subject::{Subject, Wiring};
use crate::system::socket::Buffers;

pub(super) fn cases(times: Times) -> Vec<Case> {
    [64, 1514, 9014].map(|frame_bytes| one_way(times, frame_bytes)).into()
}

fn one_way(times: Times, frame_bytes: usize) -> Case {
    let load = || Load::Saturate(times.saturate(&[(0, 1)], frame_bytes));
    let datagrams = Wiring::Datagrams {
        ends: 2,
        connected: true,
        buffers: Buffers::Large,
        idle: 0,
        frame_bytes,
    };
    let told = [KiloframesPerSecond, CpuMicrosPerFrame];
    let beside = |index: usize| told.map(|figure| Target::ratio(figure, &[index], Bound::Open));
    Case {
        name: format!("shared-memory-{frame_bytes}"),
        what: format!("memory shared with both guests, one way, {frame_bytes} B: no port is so"),
        contenders: vec![
            Contender::new(Subject::SharedRelay, Wiring::Shared { frame_bytes }, load()),
            Contender::new(Subject::Vswitch, datagrams, load()).called("datagrams"),
            Contender::new(Subject::Vswitch, Wiring::Streams, load()).called("streams"),
        ],
        targets: [beside(1), beside(2)].concat(),
        quick: false,
    }
}
