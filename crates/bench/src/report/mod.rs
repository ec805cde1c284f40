//! What is printed and written.

mod plot;
mod table;

use std::path::Path;

use crate::failure::{Result, Trying as _};
use crate::rounds::Outcome;

pub(crate) use plot::plot;
pub(crate) use table::{case, summary};

/// A whole run.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Run {
    /// Rounds of each case.
    pub(crate) rounds: usize,
    pub(crate) machine: Machine,
    pub(crate) cases: Vec<Outcome>,
}

/// Where it was measured.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// The largest send buffer that a program may ask for, in bytes.
    pub(crate) wmem_max_bytes: String,
}

impl Machine {
    pub(crate) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processor = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|pair| pair.1))
            .unwrap_or("unknown")
            .to_owned();
        Self {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            processor,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            wmem_max_bytes: read("/proc/sys/net/core/wmem_max").trim().to_owned(),
        }
    }
}

/// Writes the run for programs.
pub(crate) fn write_json(run: &Run, path: &Path) -> Result<()> {
    let what = format!("write {}", path.display());
    let text = serde_json::to_string_pretty(run).trying(&what)?;
    std::fs::write(path, text + "\n").trying(&what)
}
