//! `cargo xtask guard`: what a frame costs, as counts that are the same on every run, held against
//! what they were and against what they must not exceed.

use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

mod instructions;
mod record;
#[cfg(target_os = "linux")]
mod system_calls;
#[cfg(not(target_os = "linux"))]
#[path = "guard/system_calls/elsewhere.rs"]
mod system_calls;

use record::{Figures, Record};

/// Counts instructions per frame (valgrind's callgrind) and system calls per frame (strace), and
/// fails where a frame costs more than written down. Time is not looked at.
///
/// Instructions are held against crates/guard/instructions.json, with an allowance of 5 %; of 25 %
/// when that was written with another compiler. System calls have bounds of their own.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Write the instructions down as what they are now
    #[arg(long)]
    write: bool,
}

/// With 100,000 addresses the fabric may need so many times the instructions that it needs with 2.
const ADDRESSES_RATIO_MAX: f64 = 1.3;
const FEW_ADDRESSES: &str = "fabric, 2 addresses";
const MANY_ADDRESSES: &str = "fabric, 100000 addresses";

/// Counts, prints both tables, and fails if a figure is over its bound.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let (valgrind, strace) =
        (tools::find("valgrind", "valgrind")?, tools::find("strace", "strace")?);
    let now = Figures {
        rustc: rustc_version()?,
        instructions_per_frame: instructions::count(&workspace, &valgrind)?,
    };
    let mut faults = ratio(&now)?;
    let path = workspace.root.join("crates/guard/instructions.json");
    let mut record = Record::read(&path)?;
    if arguments.write {
        record.set(std::env::consts::ARCH, now);
        record.write(&path)?;
        println!("guard: written to {}", path.display());
    } else {
        faults.extend(record.compare(std::env::consts::ARCH, &now)?);
    }
    faults.extend(system_calls::check(&workspace, &strace)?);
    for fault in &faults {
        println!("guard: {fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => Err(Failure::found(format!("guard: {count} figures over their bounds"))),
    }
}

/// What is wrong with the cost of many addresses.
fn ratio(now: &Figures) -> Result<Vec<String>> {
    let figure = |name: &str| {
        let found = now.instructions_per_frame.get(name).copied();
        found.ok_or_else(|| Failure::new(name, "the program guard has no such case"))
    };
    let ratio = figure(MANY_ADDRESSES)? / figure(FEW_ADDRESSES)?;
    println!(
        "guard: {MANY_ADDRESSES}: {ratio:.2} times those for 2 (at most {ADDRESSES_RATIO_MAX})"
    );
    let is_over = ratio > ADDRESSES_RATIO_MAX;
    Ok(is_over
        .then(|| format!("{MANY_ADDRESSES}: {ratio:.2} times those for 2"))
        .into_iter()
        .collect())
}

/// The compiler that cargo uses here.
fn rustc_version() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let words = tools::output_of(std::process::Command::new(rustc).arg("--version"))?;
    Ok(String::from_utf8_lossy(&words).trim().to_owned())
}
