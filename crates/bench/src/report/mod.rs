//! What is printed and written.

mod plot;
mod table;

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::{Result, Trying as _};
use crate::looks::Looks;
use crate::rounds::Outcome;

pub(crate) use plot::plot;
pub(crate) use table::{case, summary};

/// A whole run.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Run {
    /// How many rounds the cases could have.
    pub(crate) looks: Looks,
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
            kernel: release(&read("/proc/sys/kernel/osrelease")),
            wmem_max_bytes: read("/proc/sys/net/core/wmem_max").trim().to_owned(),
        }
    }
}

/// A kernel's version, without what a distribution or an owner calls his own.
fn release(text: &str) -> String {
    text.trim().split('-').next().unwrap_or_default().to_owned()
}

/// The run in Markdown: where and how often, what became of the targets, then each case.
pub(crate) fn page(run: &Run) -> String {
    let Run { looks, machine, cases } = run;
    let Machine { processors, processor, kernel, wmem_max_bytes } = machine;
    let mut rounds = format!("{} rounds of each case", looks.first());
    if looks.last() > looks.first() {
        let _ = write!(rounds, " and up to {} while a bound is inside an interval", looks.last());
    }
    let head = format!(
        "{rounds}, fewer of QEMU's, on a machine with {processors} processors \
         ({processor}, Linux {kernel}, wmem_max {wmem_max_bytes}).{}\n\n",
        table::verdicts(cases).map(|verdicts| format!(" {verdicts}.")).unwrap_or_default()
    );
    head + &cases.iter().map(case).collect::<Vec<_>>().join("\n")
}

/// Writes the run for programs.
pub(crate) fn write_json(run: &Run, path: &Path) -> Result<()> {
    let what = format!("write {}", path.display());
    let text = serde_json::to_string_pretty(run).trying(&what)?;
    std::fs::write(path, text + "\n").trying(&what)
}
