//! One fuzz target, and how it is run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::log::Log;
use crate::failure::{Failure, Result};

/// No input is longer. What is to get more than this repeats a part of its input.
const INPUT_BYTES_MAX: u32 = 16 << 10;

/// Inputs that are kept are short, so that one can see what they are.
const KEPT_BYTES_MAX: u32 = 1 << 10;

/// An input that takes longer is a failure: one that never ends, even on a machine with other work.
const INPUT_SECONDS_MAX: u32 = 60;

/// A target that takes more memory fails, whatever it has it for.
const MEMORY_MAX_MIB: u32 = 1024;

/// A built target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) program: PathBuf,
}

/// How all targets are run.
pub(super) struct Setting {
    pub(super) seconds: u32,
    pub(super) seed: u32,
    /// Where the kept inputs of each target are, in a directory of its name.
    pub(super) seeds: PathBuf,
    /// Where what is found is written, in the same way.
    pub(super) scratch: PathBuf,
}

impl Target {
    /// Runs it, and tells what came of it; the failure says how to see it again.
    pub(super) fn run(&self, setting: &Setting) -> Result<String> {
        let seeds = setting.seeds.join(&self.name);
        let count = files_in(&seeds)?;
        if count == 0 {
            let why = "there is none (write some, or let --keep choose)";
            return Err(Failure::new(format!("read the inputs in {}", seeds.display()), why));
        }
        let scratch = setting.scratch.join(&self.name);
        let found = scratch.join("found");
        make(&found)?;
        let mut program = self.program();
        program.arg(format!("-max_total_time={}", setting.seconds));
        program.arg(format!("-seed={}", setting.seed));
        program.arg(format!("-max_len={INPUT_BYTES_MAX}"));
        program.arg(format!("-artifact_prefix={}/", scratch.display()));
        program.arg("-print_final_stats=1").arg(&found).arg(&seeds);
        let path = scratch.join("log.txt");
        let status = run_into(&mut program, &path)?;
        let log =
            fs::read(&path).map_err(|e| Failure::new(format!("read {}", path.display()), e))?;
        let log = Log::read(&String::from_utf8_lossy(&log));
        self.judge(status, &log, count, &path)
    }

    fn judge(&self, status: ExitStatus, log: &Log, seeds: u64, path: &Path) -> Result<String> {
        let see = format!("see {}", path.display());
        if !status.success() {
            let reason = log.reason.as_deref().unwrap_or("no reason was told");
            let again = match &log.artifact {
                Some(input) => self.replay_words(input),
                None => format!("{status}"),
            };
            return Err(Failure::new(reason, format!("{again}; {see}")));
        }
        if log.counters == 0 || log.reached_first == 0 {
            return Err(Failure::new("no coverage is counted: was it built with it?", see));
        }
        if log.runs < seeds {
            let what = format!("{} runs, and there are {seeds} kept inputs", log.runs);
            return Err(Failure::new(what, see));
        }
        let Log { reached_first, reached, runs, runs_per_second, peak_mib, .. } = log;
        Ok(format!(
            "ok, {runs} runs, {runs_per_second}/s; {seeds} kept inputs reach {reached_first} \
             edges, all {reached}; {peak_mib} MiB"
        ))
    }

    /// How somebody runs an input again.
    fn replay_words(&self, input: &Path) -> String {
        format!("cargo xtask fuzz --target {} --replay {}", self.name, input.display())
    }

    /// Runs one input, everything being shown.
    pub(super) fn replay(&self, input: &Path) -> Result<()> {
        let what = format!("run {} on {}", self.name, input.display());
        let status = self.program().arg(input).status().map_err(|e| Failure::new(&what, e))?;
        if status.success() { Ok(()) } else { Err(Failure::new(what, status)) }
    }

    /// Adds to the kept inputs as few of those found as reach what the kept ones do not; says how
    /// many those are.
    pub(super) fn keep(&self, setting: &Setting) -> Result<u64> {
        let (seeds, scratch) = (setting.seeds.join(&self.name), setting.scratch.join(&self.name));
        make(&seeds)?;
        let before = files_in(&seeds)?;
        let mut program = self.program();
        program.args(["-merge=1", "-set_cover_merge=1", "-use_counters=0"]);
        program.arg(format!("-max_len={KEPT_BYTES_MAX}"));
        program.arg(&seeds).arg(scratch.join("found"));
        let path = scratch.join("merge.txt");
        let status = run_into(&mut program, &path)?;
        match status.success() {
            true => Ok(files_in(&seeds)?.saturating_sub(before)),
            false => Err(Failure::new("merge", format!("{status}; see {}", path.display()))),
        }
    }

    fn program(&self) -> Command {
        let mut program = Command::new(&self.program);
        program.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
        program.arg(format!("-rss_limit_mb={MEMORY_MAX_MIB}"));
        program
    }
}

/// Runs a program to its end, with what it says in the file at `path`.
fn run_into(program: &mut Command, path: &Path) -> Result<ExitStatus> {
    let file = File::create(path).and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) = file.map_err(|e| Failure::new(format!("write {}", path.display()), e))?;
    let what = format!("run {}", program.get_program().display());
    let status = program.stdin(Stdio::null()).stdout(out).stderr(err).status();
    status.map_err(|error| Failure::new(what, error))
}

fn make(directory: &Path) -> Result<()> {
    let what = format!("make {}", directory.display());
    fs::create_dir_all(directory).map_err(|error| Failure::new(what, error))
}

/// How many files a directory has; none if it is not there.
fn files_in(directory: &Path) -> Result<u64> {
    if !directory.exists() {
        return Ok(0);
    }
    let what = format!("read {}", directory.display());
    let entries = fs::read_dir(directory).map_err(|error| Failure::new(what, error))?;
    Ok(entries.map(|_| 1).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target of shell that behaves as `script` says, with one kept input.
    fn run(script: &str) -> Result<String> {
        let dir = tempfile::tempdir().unwrap();
        let setting = Setting {
            seconds: 1,
            seed: 1,
            seeds: dir.path().join("seeds"),
            scratch: dir.path().join("scratch"),
        };
        let program = dir.path().join("t");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&program, mode).unwrap();
        make(&setting.seeds.join("t")).unwrap();
        fs::write(setting.seeds.join("t/one"), "x").unwrap();
        Target { name: "t".into(), program }.run(&setting)
    }

    const COUNTS: &str = "echo 'INFO: Loaded 1 modules   (9 inline 8-bit counters): 9' >&2";
    const RUNS: &str = "echo '#2 INITED cov: 3 ft: 3'; echo 'stat::number_of_executed_units: 2'";

    #[test]
    fn a_target_that_runs_holds() {
        let words = run(&format!("{COUNTS}; {RUNS}")).unwrap();
        assert!(words.starts_with("ok, 2 runs") && words.contains("reach 3 edges"), "{words}");
    }

    #[test]
    fn what_is_not_fuzzing_is_no_success() {
        let of = |script: &str| run(script).unwrap_err().to_string();
        assert!(of(RUNS).contains("no coverage"));
        assert!(of(COUNTS).contains("no coverage"));
        assert!(of(&format!("{COUNTS}; echo '#0 INITED cov: 3'")).contains("0 runs"));
        let crash = format!("{COUNTS}; {RUNS}; echo \"Test unit written to /t/crash-1\"; exit 77");
        assert!(of(&crash).contains("--target t --replay /t/crash-1"));
    }
}
