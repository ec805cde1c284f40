//! Runs a case: every contender once in each round, in alternating order, so that what the machine
//! does meanwhile hits all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::cases::{Case, Contender, Load};
use crate::failure::{Failure, Result, Trying as _};
use crate::figures::{self, Figure, Figures};
use crate::judge::{self, TargetOutcome};
use crate::load::{Meter, Saturate};
use crate::looks::Looks;
use crate::statistics::{ERROR, Estimate, estimate};
use crate::subject::{Programs, Rig};
use crate::system::process::Process;
use crate::system::program;
use crate::system::usage::{self, Usage};

/// How often a run that a neighbour disturbed is repeated.
const REPEATS_MAX: usize = 3;

/// What a case told.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) what: String,
    /// How many rounds it had in the end.
    pub(crate) rounds: usize,
    pub(crate) contenders: Vec<ContenderOutcome>,
    pub(crate) targets: Vec<TargetOutcome>,
}

/// One contender's figures over all rounds.
#[derive(Debug, serde::Serialize)]
pub(crate) struct ContenderOutcome {
    pub(crate) name: String,
    /// Why it was left out, if it was.
    pub(crate) left_out: Option<String>,
    pub(crate) figures: BTreeMap<Figure, Estimate>,
    /// By round; `null` where a run failed, or was not needed any more.
    pub(crate) rounds: Vec<Option<Figures>>,
}

/// What is told while a case runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Progress<'a> {
    /// A run begins.
    Run {
        /// Counted from 0.
        round: usize,
        contender: &'a Contender,
    },
    /// So many runs come on top of those that were planned.
    More { runs: usize },
}

/// Runs the rounds, and more of them while a target is not decided.
pub(crate) fn run(
    case: &Case,
    looks: Looks,
    programs: &Programs,
    mut progress: impl FnMut(Progress<'_>),
) -> Outcome {
    let looks = looks.at_most(case.rounds_max());
    let mut left_out: Vec<Option<String>> = case.contenders.iter().map(why_left_out).collect();
    let mut told: Vec<Vec<Option<Figures>>> = vec![Vec::new(); case.contenders.len()];
    let mut targets = Vec::new();
    let mut runs: BTreeSet<usize> = (0..case.contenders.len()).collect();
    let mut round = 0;
    for rounds in looks.rounds() {
        if round > 0 {
            runs = judge::concerned(case, &targets);
            runs.retain(|index| left_out[*index].is_none());
            if runs.is_empty() {
                break;
            }
            progress(Progress::More { runs: runs.len() * (rounds - round) });
        }
        while round < rounds {
            run_round(case, round, &runs, programs, &mut left_out, &mut told, &mut progress);
            round += 1;
        }
        let judge = |target| judge::judge(case, target, &told, looks.error_each());
        targets = case.targets.iter().map(judge).collect();
    }
    let contenders = case
        .contenders
        .iter()
        .zip(left_out)
        .zip(told)
        .map(|((contender, left_out), rounds)| {
            ContenderOutcome::new(contender.name(), left_out, rounds)
        })
        .collect();
    Outcome { name: case.name.clone(), what: case.what.clone(), rounds: round, contenders, targets }
}

/// Runs once each contender of `runs` that is not left out.
fn run_round(
    case: &Case,
    round: usize,
    runs: &BTreeSet<usize>,
    programs: &Programs,
    left_out: &mut [Option<String>],
    told: &mut [Vec<Option<Figures>>],
    progress: &mut impl FnMut(Progress<'_>),
) {
    let mut order: Vec<usize> = (0..case.contenders.len()).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    for index in order {
        if left_out[index].is_some() {
            continue;
        }
        if !runs.contains(&index) {
            told[index].push(None);
            continue;
        }
        let contender = &case.contenders[index];
        progress(Progress::Run { round, contender });
        let figures = run_undisturbed(contender, programs);
        if let Err(failure) = &figures {
            // One that cannot be measured the first time is not tried again.
            match round {
                0 => left_out[index] = Some(failure.to_string()),
                _ => eprintln!("\n{}: {failure}", contender.name()),
            }
        }
        told[index].push(figures.ok());
    }
}

fn why_left_out(contender: &Contender) -> Option<String> {
    let tool = match contender.load {
        Load::Tcp(_) => crate::load::Tcp::missing(),
        Load::Calls(_) if program::find("strace").is_none() => Some("no strace (package strace)"),
        _ => None,
    };
    contender.subject.missing().or(tool).map(str::to_owned)
}

fn run_undisturbed(contender: &Contender, programs: &Programs) -> Result<Figures> {
    let mut last = None;
    for _ in 0..REPEATS_MAX {
        let mut rig = contender.subject.start(&contender.wiring, programs)?;
        let started = Instant::now();
        let meter = Meter::start(None)?;
        let figures = run_once(contender, &mut rig)?;
        if !figures::was_disturbed(&meter.stop()?, started.elapsed()) {
            return Ok(figures);
        }
        last = Some(figures);
    }
    last.ok_or_else(|| Failure::new("run", "not once"))
}

fn run_once(contender: &Contender, rig: &mut Rig) -> Result<Figures> {
    match &contender.load {
        Load::Saturate(load) => saturate(load, rig),
        Load::Memory(load) => {
            let mut figures = saturate(load, rig)?;
            figures.extend(memory_of(rig)?);
            Ok(figures)
        }
        Load::Calls(load) => count_calls(load, rig),
        Load::PingPong { ping_pong, pinned } => {
            let before = if *pinned { Some(pin(rig)?) } else { None };
            let trips = ping_pong.run(&rig.places);
            if let Some(before) = before {
                sched_setaffinity(Pid::from_raw(0), &before).trying("use all processors again")?;
            }
            Ok(figures::of_round_trips(&trips?))
        }
        Load::Tcp(tcp) => {
            let hosts = rig.hosts.as_ref();
            let hosts = hosts.ok_or_else(|| Failure::new("run TCP", "there are no hosts"))?;
            Ok(figures::of_transfer(&tcp.run(hosts, rig.pid())?))
        }
        Load::Guests { mebibytes } => between_guests(*mebibytes, rig),
        Load::Idle(time) => idle(*time, rig),
    }
}

fn between_guests(mebibytes: u32, rig: &mut Rig) -> Result<Figures> {
    let pid = rig.pid();
    let guests = rig.guests.as_mut();
    let guests = guests.ok_or_else(|| Failure::new("run TCP", "there are no guests"))?;
    // Addresses are resolved and learnt.
    guests.transfer(1)?;
    let meter = Meter::start(pid)?;
    let took = guests.transfer(mebibytes)?;
    Ok(figures::of_guests(u64::from(mebibytes) << 20, took, &meter.stop()?))
}

fn saturate(load: &Saturate, rig: &Rig) -> Result<Figures> {
    let delivery = load.run(&rig.places, rig.pid())?;
    if delivery.frames == 0 {
        return Err(Failure::new("load", "no frame arrived"));
    }
    if delivery.again > 0 {
        let why = format!("{} frames came twice or out of order", delivery.again);
        return Err(Failure::new("load", why));
    }
    if delivery.misshapen > 0 {
        return Err(Failure::new("load", format!("{} frames were cut", delivery.misshapen)));
    }
    Ok(figures::of_delivery(&delivery, load.frame_bytes))
}

fn memory_of(rig: &Rig) -> Result<Figures> {
    let pid = rig.pid().ok_or_else(|| Failure::new("measure memory", "there is no process"))?;
    let mebibytes = usage::resident_kib(pid)? as f64 / 1024.0;
    Ok(Figures::from([(Figure::ResidentMebibytes, mebibytes)]))
}

fn idle(time: Duration, rig: &Rig) -> Result<Figures> {
    let pid = rig.pid().ok_or_else(|| Failure::new("watch it idle", "there is no process"))?;
    // Its start is over by then.
    thread::sleep(Duration::from_millis(300));
    let (before, started) = (Usage::of(pid)?, Instant::now());
    thread::sleep(time.max(Duration::from_secs(1)));
    let (after, seconds) = (Usage::of(pid)?, started.elapsed().as_secs_f64());
    let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let mut figures = memory_of(rig)?;
    figures.insert(Figure::CpuPercent, 100.0 * cpu_s / seconds);
    let sleeps = after.sleeps.saturating_sub(before.sleeps) as f64;
    figures.insert(Figure::WakeUpsPerSecond, sleeps / seconds);
    Ok(figures)
}

/// The load with `strace` at the switch: everything is slower by it, the calls are as many.
fn count_calls(load: &Saturate, rig: &Rig) -> Result<Figures> {
    let pid = rig.pid().ok_or_else(|| Failure::new("count calls", "there is no process"))?;
    let directory = tempfile::tempdir().trying("make a directory")?;
    let summary = directory.path().join("calls");
    let strace = program::find("strace").ok_or_else(|| Failure::new("strace", "not found"))?;
    let mut command = Command::new(strace);
    command.args(["-f", "-c", "-U", "calls,name", "-p", &pid.to_string(), "-o"]).arg(&summary);
    let tracer = Process::start(&mut command)?;
    thread::sleep(Duration::from_millis(300));
    let delivery = load.run(&rig.places, rig.pid())?;
    drop(tracer);
    let text = std::fs::read_to_string(&summary).trying("read strace's summary")?;
    let calls = total_calls(&text)
        .ok_or_else(|| Failure::new("read strace's summary", format!("no total in {text:?}")))?;
    let arrived = delivery.arrived.max(1) as f64;
    Ok(Figures::from([(Figure::CallsPerFrame, calls as f64 / arrived)]))
}

fn total_calls(summary: &str) -> Option<u64> {
    let line = summary.lines().find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Puts this thread, those that it starts, and the process onto the first processor that there is;
/// what this thread had before.
fn pin(rig: &Rig) -> Result<CpuSet> {
    let what = "stay on one processor";
    let here = Pid::from_raw(0);
    let before = sched_getaffinity(here).trying(what)?;
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|cpu| before.is_set(*cpu).unwrap_or(false));
    one.set(first.unwrap_or(0)).trying(what)?;
    sched_setaffinity(here, &one).trying(what)?;
    if let Some(pid) = rig.pid() {
        for task in Path::new(&format!("/proc/{pid}/task")).read_dir().trying(what)? {
            let name = task.trying(what)?.file_name();
            let task = name.to_string_lossy().parse().trying(what)?;
            sched_setaffinity(Pid::from_raw(task), &one).trying(what)?;
        }
    }
    Ok(before)
}

impl ContenderOutcome {
    fn new(name: String, left_out: Option<String>, rounds: Vec<Option<Figures>>) -> Self {
        let mut figures = BTreeMap::new();
        let kinds = rounds.iter().flatten().flat_map(Figures::keys).copied();
        for figure in kinds.collect::<BTreeSet<_>>() {
            let samples = rounds.iter().flatten().filter_map(|round| round.get(&figure)).copied();
            figures.extend(estimate(samples, ERROR).map(|estimate| (figure, estimate)));
        }
        Self { name, left_out, figures, rounds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_from_what_strace_says() {
        let text = "    calls syscall\n--------- --------\n       12 recvmmsg\n        3 poll\n\
                    --------- --------\n       15 total\n";
        assert_eq!(total_calls(text), Some(15));
    }
}
