//! What a frame costs in system calls, beside what it cost the original's loop.

use xnu_lab::cost::{self, Cost, Flow, WAYS, Way};
use xnu_sim::MacOs;

use crate::failure::{Failure, Result};
use crate::run::checks::Checks;

/// Enough that the first and the last batch do not count for much.
const FRAMES: u64 = 20_000;

/// The most calls per frame that a way may cost when its kernel has the calls for it.
const CALLS_MAX: f64 = 0.05;

pub(super) fn compare(checks: &mut Checks, version: MacOs) {
    for way in WAYS {
        let name = match way {
            Way::GuestToHost => "guest → host",
            Way::HostToGuest => "host → guest",
            Way::GuestToGuest => "guest → guest",
        };
        let ours = checks.attempt(name, || {
            let flow = Flow::of_full_frames(way, FRAMES);
            let ours = cost::of_switch(version, flow).map_err(failed)?;
            let original = cost::of_original(version, flow).map_err(failed)?;
            judge(&ours)?;
            let detail = format!(
                "{:.3} ({:.0} bytes copied); the original's loop {:.3}",
                ours.calls_per_frame(),
                ours.copied_bytes_per_frame(),
                original.calls_per_frame(),
            );
            Ok((detail, ours))
        });
        if let Some(ours) = ours {
            checks.note(&[by_name(&ours)]);
        }
    }
}

fn judge(cost: &Cost) -> Result<()> {
    let calls = cost.calls_per_frame();
    if calls <= CALLS_MAX {
        return Ok(());
    }
    Err(Failure::new("calls per frame", format!("{calls:.3}, {CALLS_MAX} are the most")))
}

/// Which calls, for 1,000 frames.
fn by_name(cost: &Cost) -> String {
    let per_thousand = |calls: u64| calls * 1000 / cost.frames.max(1);
    let shown = cost.counters.calls.iter();
    let shown = shown.map(|(call, count)| format!("{call} {}", per_thousand(*count)));
    format!("per 1,000 frames: {}", shown.collect::<Vec<_>>().join(", "))
}

fn failed(error: xnu_lab::LabError) -> Failure {
    Failure::new("measure", error)
}
