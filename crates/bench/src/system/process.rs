//! A process that is measured, and ends with its handle.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Result, Trying as _};

/// How long a process may take to end by itself, once asked.
const END_MAX: Duration = Duration::from_secs(5);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    said: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it; what it says on stdout is read by [`Self::wait_for`], its log is thrown away.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            // Kept open: vde_switch ends with its input.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .trying(format_args!("start {name}"))?;
        let said = child.stdout.take().map(BufReader::new);
        Ok(Self { name, child, said })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with `word` in it.
    pub(crate) fn wait_for(&mut self, word: &str) -> Result<String> {
        let mut line = String::new();
        let said = self.said.as_mut();
        let said = said.ok_or_else(|| Failure::new(&self.name, "nothing to be heard"))?;
        loop {
            line.clear();
            if said.read_line(&mut line).trying(&self.name)? == 0 {
                return Err(Failure::new(&self.name, format!("ended without saying {word:?}")));
            }
            if line.contains(word) {
                return Ok(line);
            }
        }
    }

    /// Writes a line to its stdin.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let stdin = self.child.stdin.as_mut();
        let stdin = stdin.ok_or_else(|| Failure::new(&self.name, "it does not listen"))?;
        writeln!(stdin, "{line}").trying(format_args!("tell {} {line:?}", self.name))
    }

    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let end = Instant::now() + END_MAX;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
