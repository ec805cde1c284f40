//! Instructions per frame: the program `guard` under callgrind.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::tools::output_of;
use crate::workspace::Workspace;

/// Each case runs with so many frames and with twice as many. What a frame costs is in the
/// difference; what is done before the first frame is in both.
const FRAMES: u32 = 100_000;

/// Every case of the program, with its instructions per frame.
pub(super) fn count(workspace: &Workspace, valgrind: &Path) -> Result<BTreeMap<String, f64>> {
    let guard = workspace.build_program("guard", "guard", true)?;
    let names = output_of(&mut Command::new(&guard))?;
    let scratch = workspace.scratch("xtask/guard")?;
    let mut counts = BTreeMap::new();
    for name in String::from_utf8_lossy(&names).lines() {
        let run = |frames: u32| {
            let mut command = Command::new(valgrind);
            command.args(["--tool=callgrind", "--log-file=/dev/stdout"]);
            command.arg(format!("--callgrind-out-file={}/callgrind.out", scratch.display()));
            command.arg(&guard).args([name, &frames.to_string()]);
            let said = output_of(&mut command)?;
            collected(&String::from_utf8_lossy(&said)).ok_or_else(|| {
                Failure::new(format!("count {name}"), "callgrind does not say what it collected")
            })
        };
        counts.insert(name.to_owned(), per_frame(run(FRAMES)?, run(2 * FRAMES)?));
    }
    Ok(counts)
}

/// What a frame costs when `once` is the cost of [`FRAMES`] and `twice` that of twice as many, in
/// tenths of an instruction.
#[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_frame(once: u64, twice: u64) -> f64 {
    let tenths = 10 * twice.saturating_sub(once) / u64::from(FRAMES);
    tenths as f64 / 10.0
}

/// The number behind `Collected :`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_callgrind_says() {
        let said = "==7== Events    : Ir\n==7== Collected : 19912401\n==7== \n==7== I   refs: 1\n";
        assert_eq!(collected(said), Some(19_912_401));
        assert_eq!(collected("==7== Events    : Ir"), None);
    }

    #[test]
    fn what_comes_before_the_frames_falls_out() {
        assert!((per_frame(1_000_000, 1_000_000 + 170 * 100_000) - 170.0).abs() < 1e-9);
        assert!((per_frame(5, 5 + 31_044 * 100) - 31.0).abs() < 1e-9);
    }
}
