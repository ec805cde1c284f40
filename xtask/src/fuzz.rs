//! `cargo xtask fuzz`: any bytes, chosen by libFuzzer for what they reach, to all that takes bytes
//! from outside.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod build;
mod log;
mod target;

use target::{Setting, Target};

/// Runs the fuzz targets (`fuzz/fuzz_targets`), each on its kept inputs first and then on what
/// libFuzzer makes of them.
///
/// A target fails when it panics, takes 60 s for one input, or leaves memory or descriptors behind.
/// The input is kept in `target/xtask/fuzz/TARGET`, and the command is told that runs it again. Any
/// Rust that the workspace builds with will do, and a C++ compiler is needed (Debian: g++).
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples: cargo xtask fuzz --seconds 600 --target control_http; \
                        cargo xtask fuzz --target stream --replay \
                        target/xtask/fuzz/stream/crash-…")]
pub(crate) struct Arguments {
    /// How long each target runs
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only this target; may be given more than once
    #[arg(long = "target", short)]
    targets: Vec<String>,
    /// Where libFuzzer's random numbers begin
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    seed: u32,
    /// Adds to fuzz/seeds what was found and reaches code that no input there does
    #[arg(long)]
    keep: bool,
    /// Runs this one input and nothing else
    #[arg(long, value_name = "FILE", requires = "targets", conflicts_with = "keep")]
    replay: Option<PathBuf>,
}

/// Fails if a target does; the others are run all the same.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let targets = chosen(build::programs(&workspace)?, &arguments.targets)?;
    let setting = Setting {
        seconds: arguments.seconds,
        seed: arguments.seed,
        seeds: workspace.root.join("fuzz/seeds"),
        scratch: workspace.scratch("xtask")?.join("fuzz"),
    };
    if let Some(input) = &arguments.replay {
        return replay(&targets, input);
    }
    println!("fuzz: {} s each, random numbers from {}", setting.seconds, setting.seed);
    let mut failed = Vec::new();
    for target in &targets {
        match target.run(&setting) {
            Ok(words) => println!("fuzz: {:<20} {words}", target.name),
            Err(failure) => {
                println!("fuzz: {:<20} FAILED: {failure}", target.name);
                failed.push(target.name.as_str());
            }
        }
        if arguments.keep {
            let kept = target.keep(&setting)?;
            println!("fuzz: {:<20} {kept} inputs more in fuzz/seeds", target.name);
        }
    }
    match &failed[..] {
        [] => Ok(()),
        some => Err(Failure::found(format!("fuzz: {} failed", some.join(", ")))),
    }
}

/// Those that were asked for, all if none was.
fn chosen(mut built: Vec<Target>, wanted: &[String]) -> Result<Vec<Target>> {
    let names: Vec<&str> = built.iter().map(|target| target.name.as_str()).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let why = format!("there are {}", names.join(", "));
        return Err(Failure::new(format!("find the fuzz target {unknown}"), why));
    }
    built.retain(|target| wanted.is_empty() || wanted.contains(&target.name));
    Ok(built)
}

fn replay(targets: &[Target], input: &Path) -> Result<()> {
    if !input.is_file() {
        return Err(Failure::new("replay", format!("there is no file {}", input.display())));
    }
    targets.iter().try_for_each(|target| target.replay(input))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_chosen_by_name() {
        let built = || ["a", "b"].map(|name| Target { name: name.into(), program: "/x".into() });
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            chosen(built().into(), &wanted)
                .map(|targets| targets.into_iter().map(|target| target.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["a", "b"]);
        assert_eq!(names(&["b"]).unwrap(), ["b"]);
        assert!(names(&["b", "c"]).unwrap_err().to_string().contains("there are a, b"));
    }
}
