//! Stream ports.

use super::{Bound, Case, Contender, Load, Target, Times};
use crate::figures::Figure::{CpuMicrosPerFrame, KiloframesPerSecond, LossPercent};
use crate::subject::{Subject, Wiring};

pub(super) fn cases(times: Times) -> Vec<Case> {
    let mut cases: Vec<Case> = [64, 1514, 9014].map(|bytes| streams(times, bytes)).into();
    for frame_bytes in [64, 1514] {
        cases.push(mixed(times, frame_bytes, (0, 1)));
        cases.push(mixed(times, frame_bytes, (1, 0)));
    }
    cases
}

fn streams(times: Times, frame_bytes: usize) -> Case {
    let load = || {
        let mut load = times.saturate(&[(0, 1)], frame_bytes);
        load.batch_frames = 64;
        Load::Saturate(load)
    };
    let contender = |subject| Contender::new(subject, Wiring::Streams, load());
    let least = if frame_bytes == 64 { 0.6 } else { 0.9 };
    Case {
        name: format!("streams-{frame_bytes}"),
        what: format!("stream to stream, one way, {frame_bytes} B"),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Relay { batch: 64 })],
        targets: vec![
            Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(least)),
            Target::alone(LossPercent, Bound::AtMost(0.0)),
        ],
        quick: frame_bytes <= 1514,
    }
}

fn mixed(times: Times, frame_bytes: usize, flow: (usize, usize)) -> Case {
    let wiring = Wiring::StreamToDatagram { frame_bytes };
    let contender = |subject| {
        Contender::new(subject, wiring, Load::Saturate(times.saturate(&[flow], frame_bytes)))
    };
    let way = if flow == (0, 1) { "stream-to-datagrams" } else { "datagrams-to-stream" };
    Case {
        name: format!("{way}-{frame_bytes}"),
        what: format!("{}, one way, {frame_bytes} B", way.replace('-', " ")),
        contenders: vec![contender(Subject::Vswitch), contender(Subject::Relay { batch: 32 })],
        targets: vec![
            Target::ratio(KiloframesPerSecond, &[1], Bound::AtLeast(0.95)),
            Target::ratio(CpuMicrosPerFrame, &[1], Bound::AtMost(1.10)),
        ],
        quick: false,
    }
}
