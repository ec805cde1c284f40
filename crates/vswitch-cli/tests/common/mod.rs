//! What the tests of the whole binary share: the process, its lines, its end.
#![allow(dead_code, reason = "each test binary uses its part")]

#[cfg(target_os = "linux")]
pub(crate) mod pxe;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;

pub(crate) const VSWITCH: &str = env!("CARGO_BIN_EXE_vswitch");

/// How long the binary may take for anything here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running `vswitch run`, killed if the test fails.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: PathBuf,
    /// Its first line.
    pub(crate) ready: Value,
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// The last line of `vswitch run`.
    pub(crate) stopped: Value,
    pub(crate) stderr: String,
}

/// `vswitch` with these arguments, parted at blanks, and without a caller of sudo in its
/// environment.
pub(crate) fn vswitch(arguments: &str) -> Command {
    prepared(Command::new(VSWITCH), arguments)
}

/// As [`vswitch`], started by another command (`setpriv …`).
pub(crate) fn prepared(mut command: Command, arguments: &str) -> Command {
    command.args(arguments.split_whitespace());
    command.env_remove("SUDO_UID").env_remove("SUDO_GID").env_remove("RUST_LOG");
    command
}

/// The output of a command that ends by itself.
pub(crate) fn output(mut command: Command) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut child = Guard(child);
    assert!(has_ended(&mut child.0, PATIENCE), "{command:?} did not end");
    let mut output =
        Output { status: child.0.wait().unwrap(), stdout: Vec::new(), stderr: Vec::new() };
    child.0.stdout.take().unwrap().read_to_end(&mut output.stdout).unwrap();
    child.0.stderr.take().unwrap().read_to_end(&mut output.stderr).unwrap();
    output
}

/// The line on stderr of a command that fails with `code`, and nothing on stdout.
pub(crate) fn failure(command: Command, code: i32) -> String {
    let shown = format!("{command:?}");
    let output = output(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{shown}: {stderr}");
    assert!(output.stdout.is_empty(), "{shown}");
    stderr
}

/// Starts `vswitch run …` and waits until it is ready.
pub(crate) fn start(dir: &Path, mut command: Command) -> Running {
    let stderr = dir.join(format!("stderr.{}", unique()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(File::create(&stderr).unwrap());
    let mut child = command.spawn().expect("vswitch starts");
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
        let _ = child.wait();
        panic!("no line when ready: {line:?} {}", std::fs::read_to_string(&stderr).unwrap())
    });
    Running { child, stdout, stderr, ready }
}

impl Running {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}; {}", self.log()))
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap()
    }

    /// Sends a signal and waits for the end, of which the counters are the last line.
    pub(crate) fn end(mut self, signal: Signal) -> Ended {
        kill(self.pid(), signal).unwrap();
        assert!(has_ended(&mut self.child, PATIENCE), "it did not end");
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let stderr = std::fs::read_to_string(&self.stderr).unwrap();
        let stopped = match rest.lines().collect::<Vec<_>>()[..] {
            [] => Value::Null,
            [line] => serde_json::from_str(line).expect("the last line is JSON"),
            _ => panic!("more than one line at the end: {rest}"),
        };
        Ended { code: self.child.wait().unwrap().code(), stopped, stderr }
    }

    /// Kills it as a crash would.
    pub(crate) fn crash(self) {
        assert_eq!(self.end(Signal::SIGKILL).code, None);
    }

    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// The processor time it has used.
    pub(crate) fn busy(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/schedstat", self.pid())).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that does not outlive the test.
#[derive(Debug)]
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn has_ended(child: &mut Child, limit: Duration) -> bool {
    testkit::wait_until(limit, || child.try_wait().unwrap().is_some())
}

/// A command line that runs the binary as the user `nobody`, who has no privilege. `None` after
/// saying so where this process cannot become another user.
pub(crate) fn as_nobody(dir: &Path) -> Option<Command> {
    if !testkit::tool_or_skip("setpriv", "util-linux") || !is_real_root_or_skip(dir) {
        return None;
    }
    // Where the build's directory is closed to others, so is the binary.
    let binary = dir.join("vswitch");
    if !binary.exists() {
        std::fs::copy(VSWITCH, &binary).unwrap();
    }
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(binary);
    Some(command)
}

/// Whether this process may give files to other users: root, and not only of a user namespace.
pub(crate) fn is_real_root_or_skip(dir: &Path) -> bool {
    let file = dir.join(format!("mine.{}", unique()));
    File::create(&file).unwrap();
    let given = std::os::unix::fs::chown(&file, Some(65534), Some(65534)).is_ok();
    std::fs::remove_file(&file).unwrap();
    let is_root = Uid::effective().is_root() && given;
    if !is_root {
        testkit::skip("needs root of the whole machine, who can become another user");
    }
    is_root
}

/// The names of all interfaces of this thread's namespace.
pub(crate) fn interfaces() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()));
    names.collect()
}

pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// A namespace of this test's own, with a bridge `br0` in it.
#[cfg(target_os = "linux")]
pub(crate) fn bridge_or_skip() -> bool {
    if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
        return false;
    }
    ip("link add br0 type bridge");
    ip("link set br0 up");
    true
}

/// A frame of `size` bytes, none of them zero behind the header.
pub(crate) fn frame(to: u8, from: u8, size: usize) -> Vec<u8> {
    let mut frame = vec![to ^ from ^ 0x55; size];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, to]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, from]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
