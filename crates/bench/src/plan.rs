//! What is measured, how often, and where it is written.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::cases::{self, Case, Times};
use crate::failure::{Failure, Result, Trying as _};
use crate::looks::Looks;
use crate::report::{self, Machine, Run};
use crate::rounds::{Outcome, Progress};
use crate::subject::{Image, Programs};
use crate::system::namespace;
use crate::{relay, rounds};

/// A ratio of so many rounds may be quoted.
const ROUNDS: usize = 15;

/// Until then buffers are touched for the first time, and batches are not yet as large as they get.
const WARM_UP_MIN: Duration = Duration::from_millis(100);

/// What is not decided after so many is too close to its bound for this machine.
const ROUNDS_MAX: usize = 60;

/// Measure the switch beside bare relays and its peers, in interleaved rounds.
///
/// Everything runs in network namespaces of its own; nothing outside is touched. A peer that is not
/// installed is named and left out. Wants a quiet machine: whatever else runs, shows.
#[derive(Parser, Debug)]
#[command(name = "vswitch-bench", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    bench: BenchArguments,
}

#[derive(Subcommand, Debug)]
enum Part {
    /// A yardstick by itself: a bare relay between two sides
    Relay(relay::Arguments),
}

#[derive(clap::Args, Debug)]
struct BenchArguments {
    /// The switch's program
    #[arg(long, default_value = "target/release/vswitch")]
    vswitch: PathBuf,
    /// What QEMU's guests boot: a kernel; without it nothing is measured between guests
    #[arg(long, value_name = "FILE", requires = "guest_initrd")]
    guest_kernel: Option<PathBuf>,
    /// Their initial file system (`cargo xtask guest-image` makes both)
    #[arg(long, value_name = "FILE", requires = "guest_kernel")]
    guest_initrd: Option<PathBuf>,
    /// Instead of the yardsticks: another build of the switch beside it, under the same loads
    #[arg(long, value_name = "PROGRAM")]
    beside: Option<PathBuf>,
    /// A few cases, three short rounds each: under two minutes, and no more than a first look
    #[arg(long)]
    quick: bool,
    /// How many rounds each case has; 15 give a ratio that may be quoted
    #[arg(long)]
    rounds: Option<usize>,
    /// How many rounds a case may have while a bound is inside an interval; if neither this nor
    /// `--rounds` is given, 60
    #[arg(long)]
    rounds_max: Option<usize>,
    /// How long each run is loaded, in seconds
    #[arg(long)]
    seconds: Option<f64>,
    /// Only the cases with these names, or with these words in their names, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Say which cases there are
    #[arg(long)]
    list: bool,
    /// Write everything, each round's figures too, to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the tables to this file, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Parses the arguments and does what they say.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.part {
        Some(Part::Relay(arguments)) => relay::main(&arguments),
        None => bench(&arguments.bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("vswitch-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &BenchArguments) -> Result<()> {
    let (rounds, seconds) = if arguments.quick { (3, 0.25) } else { (ROUNDS, 0.7) };
    let rounds = arguments.rounds.unwrap_or(rounds);
    let most = if arguments.quick || arguments.rounds.is_some() { rounds } else { ROUNDS_MAX };
    let looks = Looks::new(rounds, arguments.rounds_max.unwrap_or(most));
    let seconds = arguments.seconds.unwrap_or(seconds).clamp(0.05, 60.0);
    let load = Duration::from_secs_f64(seconds);
    let mut cases = chosen(arguments, Times { warm_up: (load / 4).max(WARM_UP_MIN), load });
    if arguments.beside.is_some() {
        cases = cases.iter().filter_map(Case::beside_another_build).collect();
    }
    if arguments.list {
        for case in &cases {
            println!("{:<34} {}", case.name, case.what);
        }
        return Ok(());
    }
    if cases.is_empty() {
        return Err(Failure::new("choose cases", "none has such a name (see --list)"));
    }
    let programs = programs(arguments)?;
    namespace::enter()?;
    let started = Instant::now();
    let mut told = Run { looks, machine: Machine::this(), cases: Vec::new() };
    run(&cases, looks, seconds, &programs, |outcome| {
        told.cases.push(outcome);
        // What is measured stays if the rest is broken off.
        write(arguments, &told)
    })?;
    if let Some(summary) = report::summary(&told.cases) {
        println!("\n{summary}");
    }
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn programs(arguments: &BenchArguments) -> Result<Programs> {
    let find = |path: &PathBuf| {
        path.canonicalize().trying(format_args!(
            "find the switch at {} (cargo build --release -p vswitch-cli)",
            path.display()
        ))
    };
    let files = arguments.guest_kernel.clone().zip(arguments.guest_initrd.clone());
    Ok(Programs {
        vswitch: find(&arguments.vswitch)?,
        other_vswitch: arguments.beside.as_ref().map(find).transpose()?,
        own: std::env::current_exe().trying("find this program")?,
        guest: files.map(|(kernel, initramfs)| Image { kernel, initramfs }),
    })
}

/// Says how long it will take, runs all cases, and tells of each.
fn run(
    cases: &[Case],
    looks: Looks,
    seconds: f64,
    programs: &Programs,
    mut tell: impl FnMut(Outcome) -> Result<()>,
) -> Result<()> {
    let minutes = |rounds_of: &dyn Fn(Looks) -> usize| -> f64 {
        let case_s = |case: &Case| -> f64 {
            let round_s: f64 = case.contenders.iter().map(|it| it.load.run_s(seconds)).sum();
            round_s * rounds_of(looks.at_most(case.rounds_max())) as f64
        };
        (cases.iter().map(case_s).sum::<f64>() / 60.0).ceil()
    };
    let (least, most) = (minutes(&Looks::first), minutes(&Looks::last));
    let first_runs = |case: &Case| case.contenders.len() * looks.at_most(case.rounds_max()).first();
    let mut runs: usize = cases.iter().map(first_runs).sum();
    print!("{} cases, {} rounds each, {runs} runs: about {least} min", cases.len(), looks.first());
    if looks.last() > looks.first() {
        print!(", at most {most} if every case needs {} rounds to be decided", looks.last());
    }
    println!();
    let mut done = 0;
    for case in cases {
        let outcome = rounds::run(case, looks, programs, |progress| match progress {
            Progress::More { runs: more } => runs += more,
            Progress::Run { round, contender } => {
                done += 1;
                let (round, name) = (round + 1, contender.name());
                eprint!("\r\x1b[K{done}/{runs} {} round {round}: {name}", case.name);
                let _ = std::io::stderr().flush();
            }
        });
        eprint!("\r\x1b[K");
        println!("\n{}", report::case(&outcome));
        tell(outcome)?;
    }
    Ok(())
}

fn chosen(arguments: &BenchArguments, times: Times) -> Vec<Case> {
    let all = cases::all(times);
    let is_name = |word: &str| all.iter().any(|case| case.name == word);
    let fits = |case: &Case, word: &str| match is_name(word) {
        true => case.name == word,
        false => case.name.contains(word),
    };
    let named = |case: &&Case| match &arguments.only[..] {
        [] => case.quick || !arguments.quick,
        words => words.iter().any(|word| fits(case, word)),
    };
    all.iter().filter(named).cloned().collect()
}

fn write(arguments: &BenchArguments, run: &Run) -> Result<()> {
    if let Some(path) = &arguments.json {
        report::write_json(run, path)?;
    }
    let write = |path: &PathBuf, text: String| {
        std::fs::write(path, text).trying(format_args!("write {}", path.display()))
    };
    if let Some(path) = &arguments.svg {
        write(path, report::plot(&run.cases))?;
    }
    if let Some(path) = &arguments.markdown {
        write(path, report::page(run))?;
    }
    Ok(())
}
