//! What a process and the machine have used, as the kernel counts it.

use std::fs;
use std::time::Duration;

use crate::failure::{Failure, Result, Trying as _};

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a processor, all threads.
    pub(crate) cpu: Duration,
    /// How often its threads went to sleep by themselves.
    pub(crate) sleeps: u64,
}

impl Usage {
    /// Of the process `pid`, in nanoseconds where the kernel tells them (`schedstat`), without what
    /// threads used that have ended.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let mut usage = Self::default();
        let tasks = fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.trying(format_args!("read what process {pid} used"))? {
            let task = task.trying("read a process's threads")?.path();
            let Ok(text) = fs::read_to_string(task.join("schedstat")) else { continue };
            let on_cpu_ns = text.split_whitespace().next().and_then(|word| word.parse().ok());
            usage.cpu += Duration::from_nanos(on_cpu_ns.unwrap_or(0));
            let status = fs::read_to_string(task.join("status")).unwrap_or_default();
            usage.sleeps += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(usage)
    }
}

/// The memory that a process keeps in RAM, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let what = format!("read the memory of process {pid}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).trying(&what)?;
    field(&status, "VmRSS:").ok_or_else(|| Failure::new(what, "no VmRSS"))
}

/// What the machine has used so far, in ticks of all processors.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// Ticks in which somebody's work was done.
    pub(crate) busy_ticks: u64,
    /// Ticks that another machine on the same hardware had instead.
    pub(crate) stolen_ticks: u64,
}

impl Machine {
    pub(crate) fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").trying("read /proc/stat")?;
        let ticks: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|word| word.parse().ok())
            .collect();
        let at = |place: usize| ticks.get(place).copied().unwrap_or(0);
        // proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal.
        let busy_ticks = [0, 1, 2, 5, 6].into_iter().map(at).sum();
        Ok(Self { busy_ticks, stolen_ticks: at(7) })
    }
}

/// How many ticks a second has (`USER_HZ`, which Linux fixed at 100 for what it tells programs).
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        let before = Usage::of(pid).unwrap();
        let mut sum = 0_u64;
        for n in 0..30_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(n));
        }
        let used = Usage::of(pid).unwrap().cpu.saturating_sub(before.cpu);
        assert!(used > Duration::ZERO, "{used:?}");
        assert!(resident_kib(pid).unwrap() > 100);
        assert!(Machine::now().unwrap().busy_ticks > 0);
    }

    #[test]
    fn a_field_is_its_number_and_nothing_else() {
        let status = "VmHWM:\t 12 kB\nVmRSS:\t  34 kB\nnonvoluntary_ctxt_switches:\t9\n";
        assert_eq!(field(status, "VmRSS:"), Some(34));
        assert_eq!(field(status, "voluntary_ctxt_switches:"), None);
    }
}
