//! `cargo xtask ci`: everything that must hold before a change goes in.

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::namespace::own_program;
use crate::workspace::Workspace;

/// Formatting, clippy, docs, tidy, the references, tests, fuzz targets, the cost of a frame, the
/// programs for both Macs, the Debian package, the main job with both kinds of guest, and a switch
/// that is changed while guests use it.
///
/// Runs every step even if one fails, and says at the end which failed and how long each took.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Leave out `cargo xtask test`, which the caller has run already
    #[arg(long)]
    skip_tests: bool,
}

/// Fails if a step failed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let steps = steps(&workspace, arguments.skip_tests)?;
    let results: Vec<Outcome> = steps.into_iter().map(Outcome::of).collect();
    println!("\n{}", table(&results));
    match results.iter().filter(|result| !result.held).count() {
        0 => Ok(()),
        count => Err(Failure::found(format!("ci: {count} of {} steps failed", results.len()))),
    }
}

/// A step's name and the command that does it.
struct Step {
    name: &'static str,
    command: Command,
}

/// How a step ended.
struct Outcome {
    name: &'static str,
    held: bool,
    took: Duration,
}

/// The main job of the macOS switch, on each simulated macOS.
const SIMULATED: [(&str, &str); 5] = [
    ("sim 12", "12"),
    ("sim 13", "13"),
    ("sim 14.0", "14.0"),
    ("sim 14.4", "14.4"),
    ("sim 15", "15"),
];

fn steps(workspace: &Workspace, skip_tests: bool) -> Result<Vec<Step>> {
    let cargo = |arguments: &[&str]| workspace.cargo(arguments);
    let program = own_program()?;
    let task = |arguments: &[&str]| {
        let mut command = Command::new(&program);
        command.args(arguments).current_dir(&workspace.root);
        command
    };
    // Libraries only: the program `vswitch` and the library `vswitch` would share one file name.
    let mut docs = cargo(&["doc", "--workspace", "--no-deps", "--lib"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    let clippy = cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let mut steps = vec![
        Step { name: "fmt", command: cargo(&["fmt", "--all", "--check"]) },
        Step { name: "tidy", command: task(&["tidy"]) },
        Step { name: "clippy", command: clippy },
        Step { name: "docs", command: docs },
        Step { name: "pages", command: task(&["docs", "--check"]) },
    ];
    if !skip_tests {
        steps.push(Step { name: "test", command: task(&["test", "--no-skip"]) });
    }
    steps.push(Step { name: "fuzz", command: task(&["fuzz"]) });
    steps.push(Step { name: "guard", command: task(&["guard"]) });
    steps.push(Step { name: "darwin", command: task(&["darwin"]) });
    steps.push(Step { name: "package", command: task(&["package", "--check"]) });
    steps.push(Step { name: "run", command: task(&["run"]) });
    steps.push(Step { name: "run qemu", command: task(&["run", "--guests", "qemu"]) });
    steps.push(Step { name: "operate", command: task(&["run", "--operate"]) });
    for (name, version) in SIMULATED {
        let command = task(&["run", "--kernel", "sim", "--macos", version]);
        steps.push(Step { name, command });
    }
    Ok(steps)
}

impl Outcome {
    fn of(mut step: Step) -> Self {
        println!("\n=== {} ===", step.name);
        let started = Instant::now();
        let status = step.command.status();
        let held = status.as_ref().is_ok_and(ExitStatus::success);
        if let Err(error) = status {
            println!("{}: {error}", step.command.get_program().display());
        }
        Self { name: step.name, held, took: started.elapsed() }
    }
}

fn table(results: &[Outcome]) -> String {
    let line = |result: &Outcome| {
        let verdict = if result.held { "ok" } else { "FAILED" };
        format!("ci: {:<10} {verdict:<6} {:>6.1} s", result.name, result.took.as_secs_f64())
    };
    results.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_fails_or_does_not_start_is_reported() {
        let outcome =
            |program: &str| Outcome::of(Step { name: "x", command: Command::new(program) });
        let results = [outcome("true"), outcome("false"), outcome("/nonexistent/program")];
        assert_eq!(results.each_ref().map(|result| result.held), [true, false, false]);
        assert_eq!(table(&results).matches("FAILED").count(), 2);
    }
}
