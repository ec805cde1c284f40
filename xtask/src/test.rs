//! `cargo xtask test`: everything that can run here.

use std::fs;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::namespace;
use crate::workspace::Workspace;

mod own_kernel;

/// Runs every test: unit, property, simulation, integration, doc examples, and each bench once.
///
/// Each test binary runs in a network namespace of its own, as root of it; the build does not. At
/// the end all results are summed up, and the skipped tests are listed with their reasons.
///
/// On a Mac the tests on its own kernel (feths, bridges, BPF, NDRV, uplinks, the program) are run
/// by `--root` alone, since they make interfaces of its real network.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples: cargo xtask test --package vswitch fabric; \
                        sudo cargo xtask test --root")]
pub(crate) struct Arguments {
    /// Leave out benches and doc examples, and try fewer random cases
    #[arg(long)]
    quick: bool,
    /// A test that cannot run here fails instead of being skipped
    #[arg(long)]
    no_skip: bool,
    /// Only the tests on this Mac's own kernel, one at a time, as root
    #[arg(long)]
    root: bool,
    /// Only this package's tests
    #[arg(long, short)]
    package: Option<String>,
    /// Only tests whose name contains one of these
    filters: Vec<String>,
}

/// Prints cargo's output as it comes, then the sum; fails if a test failed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    if arguments.root {
        own_kernel::check()?;
    }
    let workspace = Workspace::load()?;
    let scratch = workspace.scratch("xtask")?;
    let skip_log = scratch.join("skipped-tests.txt");
    write(&skip_log, "")?;
    let runner = runner(arguments.no_skip)?;
    let calls = match arguments.root {
        true => own_kernel::calls(&workspace, arguments),
        false => calls(&workspace, arguments, &runner),
    };
    let mut sum = Sum::default();
    for mut cargo in calls {
        cargo.env("VSWITCH_SKIP_LOG", &skip_log);
        if arguments.no_skip {
            cargo.env("VSWITCH_NO_SKIP", "1");
        }
        if arguments.quick {
            cargo.env("PROPTEST_CASES", QUICK_CASES).env("VSWITCH_SIM_SEEDS", QUICK_CASES);
        }
        sum.run(cargo)?;
    }
    let skips = fs::read_to_string(&skip_log).unwrap_or_default();
    let report = sum.report(&skips, started.elapsed().as_secs());
    println!("\n{report}");
    write(&scratch.join("test-results.txt"), &format!("{}{report}\n", sum.result_lines))?;
    match sum.holds() {
        true if arguments.root && sum.passed == 0 => Err(Failure::found("test: none was run")),
        true => Ok(()),
        false => Err(Failure::found("test: not everything passed")),
    }
}

/// How many random cases and seeds `--quick` tries.
const QUICK_CASES: &str = "16";

/// Cargo's arguments for the namespaces; empty, after saying why, where there are none. On a Mac no
/// test needs one.
fn runner(required: bool) -> Result<Vec<String>> {
    match namespace::available() {
        Err(_) if cfg!(target_os = "macos") => Ok(Vec::new()),
        Ok(()) => Ok(namespace::runner_arguments()?.into()),
        Err(why) if required => Err(Failure::new("run tests with --no-skip", why)),
        Err(why) => {
            println!("Tests run without a network namespace, those that need one are skipped.");
            println!("  {why}");
            Ok(Vec::new())
        }
    }
}

/// The calls of cargo that run the tests: all targets first, then the doc examples.
fn calls(workspace: &Workspace, arguments: &Arguments, runner: &[String]) -> Vec<Command> {
    let everything = !arguments.quick && arguments.filters.is_empty();
    let targets = if everything { "--all-targets" } else { "--tests" };
    // Cargo refuses to look for doc examples in a package that is a program only.
    let program_only = workspace
        .packages
        .iter()
        .any(|package| Some(&package.name) == arguments.package.as_ref() && !package.has_library);
    let doc = (everything && !program_only).then_some("--doc");
    let call = |targets: &str| call(workspace, arguments, &[targets], runner);
    [Some(targets), doc].into_iter().flatten().map(call).collect()
}

/// A call of cargo that runs tests of these targets.
fn call(
    workspace: &Workspace,
    arguments: &Arguments,
    targets: &[&str],
    runner: &[String],
) -> Command {
    let mut cargo = workspace.cargo(&["test", "--no-fail-fast"]);
    cargo.args(targets);
    match &arguments.package {
        Some(package) => cargo.args(["--package", package]),
        None => cargo.arg("--workspace"),
    };
    cargo.args(runner).arg("--").args(&arguments.filters);
    if std::io::stdout().is_terminal() {
        cargo.args(["--color", "always"]);
    }
    cargo.env("PATH", path_with_sbin());
    cargo
}

/// Tests call tools that an ordinary user's `PATH` often lacks (`ip`, `tcpdump`).
fn path_with_sbin() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| Failure::new(format!("write {}", path.display()), error))
}

/// What all test binaries said together.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sum {
    binaries: u64,
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Names of failed tests.
    failures: Vec<String>,
    /// Calls of cargo that did not end well.
    bad_ends: u64,
    /// Each binary's last line, as it was.
    result_lines: String,
}

impl Sum {
    /// Runs one call of cargo and adds up what it prints.
    fn run(&mut self, mut cargo: Command) -> Result<()> {
        let fail = |error| Failure::new("run cargo test", error);
        let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(fail)?;
        let output =
            child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).split(b'\n'));
        for line in output {
            let line = line.map_err(fail)?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.add(&line);
        }
        let status = child.wait().map_err(fail)?;
        self.bad_ends += u64::from(!status.success());
        Ok(())
    }

    /// Takes in a line that a test binary printed.
    fn add(&mut self, line: &str) {
        if line.starts_with("test result: ") {
            self.binaries += 1;
            self.passed += number_before(line, "passed");
            self.failed += number_before(line, "failed");
            self.ignored += number_before(line, "ignored");
            self.result_lines.push_str(line);
            self.result_lines.push('\n');
        } else if let Some((name, result)) =
            line.strip_prefix("test ").and_then(|test| test.rsplit_once(" ... "))
            && result.contains("FAILED")
        {
            self.failures.push(name.to_owned());
        }
    }

    fn holds(&self) -> bool {
        self.failed == 0 && self.bad_ends == 0
    }

    /// The words at the end; the last line has the form of a test binary's own.
    fn report(&self, skips: &str, seconds: u64) -> String {
        let mut text = String::new();
        for skip in skips.lines() {
            text.push_str(&format!("{skip}\n"));
        }
        for name in &self.failures {
            text.push_str(&format!("FAILED {name}\n"));
        }
        if self.failed == 0 && self.bad_ends > 0 {
            text.push_str("A test binary did not build or did not end well, see above.\n");
        }
        let verdict = if self.holds() { "ok" } else { "FAILED" };
        text.push_str(&format!(
            "test result: {verdict}. {} passed; {} failed; {} ignored; {} skipped; in {} test \
             binaries; finished in {seconds} s",
            self.passed,
            self.failed,
            self.ignored,
            skips.lines().count(),
            self.binaries,
        ));
        text
    }
}

/// The number that stands before `word` in a result line; 0 if there is none.
fn number_before(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split_whitespace().collect();
    let pair = words.windows(2).find(|pair| pair[1].trim_end_matches(';') == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str =
        "test result: ok. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out";

    #[test]
    fn results_of_binaries_add_up() {
        let mut sum = Sum::default();
        sum.add("test fabric::tests::learns ... ok");
        sum.add("test fabric::tests::ages - should panic ... FAILED");
        sum.add(RESULT);
        sum.add(&RESULT.replace("ok.", "\u{1b}[32mok\u{1b}[m."));
        assert_eq!((sum.binaries, sum.passed, sum.failed, sum.ignored), (2, 6, 2, 4));
        assert_eq!(sum.failures, ["fabric::tests::ages - should panic"]);
        assert!(!sum.holds());
    }

    #[test]
    fn a_binary_that_died_is_a_failure() {
        let mut sum = Sum { passed: 3, ..Sum::default() };
        assert!(sum.holds());
        sum.run(Command::new("false")).unwrap();
        assert!(!sum.holds());
        assert!(sum.report("", 0).contains("test result: FAILED. 3 passed; 0 failed"));
    }

    #[test]
    fn skips_are_listed_and_counted() {
        let report = Sum::default().report("SKIP a: no tool\nSKIP b: no tool\n", 1);
        assert!(report.starts_with("SKIP a: no tool\nSKIP b: no tool\n"));
        assert!(report.contains(" 2 skipped;"));
    }
}
