//! A program that runs beside the checks: what it says is kept, and it never outlives them.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Result};

/// A child process with its standard streams; killed and waited for when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Lines of its standard output, in order, not yet taken by [`Self::expect`].
    lines: Receiver<String>,
    /// The last lines of both its outputs, for failures.
    transcript: Transcript,
    /// One for each output.
    readers: Vec<JoinHandle<()>>,
}

type Transcript = Arc<Mutex<Vec<String>>>;

/// How many lines of a transcript are kept.
const TRANSCRIPT_LINES: usize = 200;

/// How many of them a failure shows.
const SHOWN_LINES: usize = 12;

/// How long a failure waits for a program's last words.
const LAST_WORDS_MAX: Duration = Duration::from_millis(200);

/// How long a program that was asked to stop may take.
const STOP_MAX: Duration = Duration::from_secs(10);

impl Process {
    /// Starts `command`; `name` is what failures call it.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| Failure::new(format!("start {name}"), error))?;
        let transcript = Transcript::default();
        let (sender, lines) = mpsc::channel();
        let out = child.stdout.take().map(|out| collect(out, &transcript, Some(sender)));
        let err = child.stderr.take().map(|err| collect(err, &transcript, None));
        let readers = out.into_iter().chain(err).collect();
        Ok(Self { name: name.to_owned(), child, lines, transcript, readers })
    }

    /// Waits for a line of its standard output that begins with `beginning`, and gives the rest of
    /// it; lines before it are passed over.
    pub(crate) fn expect(&self, beginning: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    return Err(self.failure(&format!("no {beginning:?} within {limit:?}")));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(self.failure(&format!("it ended before it said {beginning:?}")));
                }
            };
            if let Some(rest) = line.strip_prefix(beginning) {
                return Ok(rest.trim().to_owned());
            }
        }
    }

    /// Writes one line to its standard input.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        let written = match self.child.stdin.as_mut() {
            Some(stdin) => stdin.write_all(format!("{line}\n").as_bytes()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| self.failure(&format!("write to it: {error}")))
    }

    /// Asks it to stop by a signal and waits; kills it if it does not.
    pub(crate) fn stop(&mut self, signal: Signal) -> Result<ExitStatus> {
        self.signal(signal)?;
        self.wait(STOP_MAX)
    }

    /// Its number.
    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid =
            i32::try_from(self.child.id()).map_err(|error| self.failure(&error.to_string()))?;
        kill(Pid::from_raw(pid), signal).map_err(|errno| self.failure(&format!("kill: {errno}")))
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Ok(status),
                Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(5)),
                Ok(None) => return Err(self.failure(&format!("still running after {limit:?}"))),
                Err(error) => return Err(self.failure(&format!("wait: {error}"))),
            }
        }
    }

    /// A failure with the last lines that the program said.
    pub(crate) fn failure(&self, why: &str) -> Failure {
        // Its last words may still be on their way to us.
        let end = Instant::now() + LAST_WORDS_MAX;
        while Instant::now() < end && !self.readers.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(5));
        }
        let transcript = self.transcript.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = transcript.len().saturating_sub(SHOWN_LINES);
        let last: String =
            transcript[shown..].iter().map(|line| format!("\n         | {line}")).collect();
        Failure::new(&self.name, format!("{why}{last}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended and was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Reads `stream` to its end on a thread of its own.
fn collect(
    stream: impl Read + Send + 'static,
    transcript: &Transcript,
    sender: Option<Sender<String>>,
) -> JoinHandle<()> {
    let transcript = Arc::clone(transcript);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(std::io::Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let mut transcript = transcript.lock().unwrap_or_else(PoisonError::into_inner);
            if transcript.len() == TRANSCRIPT_LINES {
                transcript.remove(0);
            }
            transcript.push(line.clone());
            drop(transcript);
            if let Some(sender) = &sender {
                // The receiver is gone only when the process is being dropped.
                sender.send(line).ok();
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("the shell", command).unwrap()
    }

    #[test]
    fn talks_and_ends() {
        let mut process = shell("echo noise; read a; echo \"@ got $a\"; echo more; exit 3");
        process.tell("word").unwrap();
        assert_eq!(process.expect("@ got ", SOON).unwrap(), "word");
        assert_eq!(process.wait(SOON).unwrap().code(), Some(3));
        assert_eq!(process.expect("", SOON).unwrap(), "more");
    }

    #[test]
    fn a_failure_shows_what_it_said_last() {
        let process = shell("echo why >&2");
        let failure = process.expect("@", SOON).unwrap_err().to_string();
        assert!(failure.contains("it ended before"), "{failure}");
        let slow = shell("echo words; sleep 60");
        let failure = slow.expect("@", Duration::from_millis(300)).unwrap_err().to_string();
        assert!(failure.contains("within") && failure.contains("| words"), "{failure}");
    }

    #[test]
    fn stops_by_a_signal() {
        let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
        process.expect("ready", SOON).unwrap();
        assert_eq!(process.stop(Signal::SIGTERM).unwrap().code(), Some(7));
    }
}
