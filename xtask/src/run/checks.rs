//! Named checks, told to a person while they run.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};

/// Runs checks one after the other and prints one line of a table for each as it ends; what is
/// under way is shown on a terminal.
#[derive(Debug)]
pub(crate) struct Checks {
    started: Instant,
    live: bool,
    held: usize,
    failed: Vec<String>,
    left_out: usize,
}

impl Checks {
    /// Begins with a line that says what is going to be checked.
    pub(crate) fn begin(title: &str) -> Self {
        println!("{title}");
        Self {
            started: Instant::now(),
            live: io::stdout().is_terminal(),
            held: 0,
            failed: Vec::new(),
            left_out: 0,
        }
    }

    /// A heading over the checks that follow.
    pub(crate) fn section(&self, name: &str) {
        println!("\n{name}");
    }

    /// Runs one check. Its answer is the detail shown in its line; its failure is shown in the same
    /// place and remembered. Says whether it held, for checks that build on it.
    pub(crate) fn check<D: fmt::Display>(
        &mut self,
        name: &str,
        check: impl FnOnce() -> Result<D>,
    ) -> bool {
        self.attempt(name, || check().map(|detail| (detail, ()))).is_some()
    }

    /// Like [`Self::check`], for a step that makes something the following checks need.
    pub(crate) fn attempt<D: fmt::Display, T>(
        &mut self,
        name: &str,
        step: impl FnOnce() -> Result<(D, T)>,
    ) -> Option<T> {
        self.show_progress(name);
        let started = Instant::now();
        let result = step();
        let took = started.elapsed();
        match result {
            Ok((detail, made)) => {
                self.held += 1;
                println!("{}", line("ok", name, &detail.to_string(), Some(took)));
                Some(made)
            }
            Err(failure) => {
                self.failed.push(name.to_owned());
                println!("{}", line("FAILED", name, &failure.to_string(), Some(took)));
                None
            }
        }
    }

    /// Says that a check is left out here, and why.
    pub(crate) fn leave_out(&mut self, name: &str, why: impl fmt::Display) {
        self.left_out += 1;
        println!("{}", line("-", name, &why.to_string(), None));
    }

    /// Lines that belong to the check above them.
    pub(crate) fn note(&self, lines: &[String]) {
        for line in lines {
            println!("         {line}");
        }
    }

    /// The last line; an error if a check failed.
    pub(crate) fn end(self) -> Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        let left_out = match self.left_out {
            0 => String::new(),
            count => format!(", {count} left out"),
        };
        println!("\n{} checks held{left_out}, {seconds:.1} s", self.held);
        if self.failed.is_empty() {
            return Ok(());
        }
        let count = self.failed.len();
        Err(Failure::found(format!("run: {count} checks failed: {}", self.failed.join("; "))))
    }

    /// On a terminal the line is written over when the check ends.
    fn show_progress(&self, name: &str) {
        if self.live {
            print!("  ...    {name}\r");
            // Progress that cannot be shown is no reason to fail.
            io::stdout().flush().ok();
        }
    }
}

/// Wide enough for every name that the scenarios use.
const NAME_COLUMNS: usize = 52;

fn line(verdict: &str, name: &str, detail: &str, took: Option<Duration>) -> String {
    let seconds = took.map(|took| format!("{:6.2} s", took.as_secs_f64())).unwrap_or_default();
    let line = format!("  {verdict:<6} {name:<NAME_COLUMNS$} {seconds:>8}  {detail}");
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_the_whole() {
        let mut checks = Checks::begin("test");
        assert!(checks.check("a", || Ok("fine")));
        checks.leave_out("b", "no reason");
        assert!(!checks.check("c", || Err::<&str, _>(Failure::new("c", "broken"))));
        assert_eq!(checks.attempt("d", || Ok(("made", 7))), Some(7));
        let failure = checks.end().unwrap_err().to_string();
        assert!(failure.contains("1 checks failed: c"), "{failure}");
    }

    #[test]
    fn the_table_has_columns() {
        let a = line("ok", "short", "detail", Some(Duration::from_millis(1500)));
        let b = line("FAILED", "a longer name", "detail", None);
        assert_eq!(a.find("detail"), b.find("detail"));
        assert!(a.contains("  1.50 s"));
    }
}
