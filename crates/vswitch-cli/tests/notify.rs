//! What the service manager is told: the unit's own command line, with a socket of the test's in
//! the place of systemd's.
#![cfg(target_os = "linux")]

mod common;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{PATIENCE, Running, VSWITCH, prepared, start};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::time::{ClockId, clock_gettime};

const UNIT: &str = include_str!("../../../packaging/systemd/vswitch.service");

const PAIR: &str = "\
[[network]]
name = \"lan\"
port = [
  { name = \"a\", attach = \"unixgram:a\" },
  { name = \"b\", attach = \"stream:b\" },
]
";

/// Where systemd would listen.
struct Manager(UnixDatagram);

/// A message: its lines, parted at the first `=`.
type Message = HashMap<String, String>;

impl Manager {
    fn listen(dir: &Path) -> Self {
        let socket = UnixDatagram::bind(dir.join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    /// The next message, or nothing when none comes for so long.
    fn next_within(&self, limit: Duration) -> Option<Message> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 4096];
        let len = match self.0.recv(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            received => received.unwrap(),
        };
        let text = std::str::from_utf8(&buffer[..len]).unwrap();
        let line = |line: &str| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        Some(text.lines().map(|text| line(text).expect("NAME=VALUE")).collect())
    }

    /// The next message that is not the watchdog's, of which there may be any number meanwhile.
    #[track_caller]
    fn next(&self) -> Message {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let message = self.next_within(PATIENCE).expect("a message");
            if !message.contains_key("WATCHDOG") {
                return message;
            }
        }
        panic!("the watchdog is fed, and nothing else is said");
    }

    /// The next is that it is ready, with this status.
    #[track_caller]
    fn expect_ready(&self, status: &str) {
        let message = self.next();
        assert_eq!(message["READY"], "1", "{message:?}");
        assert!(message["STATUS"].starts_with(status), "{message:?}");
    }

    /// The next is that it reloads, and from when.
    #[track_caller]
    fn expect_reloading(&self) {
        let message = self.next();
        assert_eq!(message["RELOADING"], "1", "{message:?}");
        let since: i64 = message["MONOTONIC_USEC"].parse().unwrap();
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
        let now = now.tv_sec() * 1_000_000 + now.tv_nsec() / 1000;
        assert!((now - 60_000_000..=now).contains(&since), "{since} of {now}");
    }
}

/// A line of the unit.
fn unit(name: &str) -> &'static str {
    let line = UNIT.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit has {name}"))
}

/// Starts what the unit starts, as its manager does, on a configuration of the test's own.
fn start_unit(dir: &Path, environment: &[(&str, &str)]) -> Running {
    let place = |text: &str| match text {
        "/usr/bin/vswitch" => VSWITCH.to_owned(),
        "/etc/vswitch/vswitch.toml" => dir.join("vswitch.toml").display().to_string(),
        word => word.to_owned(),
    };
    let words: Vec<_> = unit("ExecStart").split(' ').map(place).collect();
    // The manager names the process that it watches, which is known only after the fork.
    let mut command = Command::new("sh");
    command.args(["-c", "WATCHDOG_PID=$$ exec \"$@\"", "sh"]);
    command.args(words).env("NOTIFY_SOCKET", dir.join("notify"));
    command.envs(environment.iter().copied());
    start(dir, prepared(command, ""))
}

fn configure(dir: &Path, text: &str) {
    std::fs::write(dir.join("vswitch.toml"), text).unwrap();
}

#[test]
fn ready_reloading_ready_again_and_stopping() {
    assert_eq!(unit("Type"), "notify");
    assert_eq!(unit("ExecReload"), "/bin/kill -HUP $MAINPID");
    let dir = testkit::scratch_dir();
    let manager = Manager::listen(dir.path());
    configure(dir.path(), PAIR);
    let mut running = start_unit(dir.path(), &[]);
    manager.expect_ready("up with 1 network, 2 ports");
    assert!(dir.path().join("a").exists() && dir.path().join("b").exists());

    let more = format!("{PAIR}[[network]]\nname = \"lab\"\n");
    configure(dir.path(), &more);
    kill(running.pid(), Signal::SIGHUP).unwrap();
    manager.expect_reloading();
    manager.expect_ready("reloaded: 2 networks, 2 ports");
    assert_eq!(running.line()["event"], "reloaded");

    // A mistake leaves it as it is, and it says so: a manager would wait for it for ever.
    configure(dir.path(), "[[network]]\n");
    kill(running.pid(), Signal::SIGHUP).unwrap();
    manager.expect_reloading();
    manager.expect_ready("nothing was reloaded: configuration: ");

    // What cannot be had is told in few words.
    std::fs::write(dir.path().join("file"), "").unwrap();
    let taken = PAIR.replace("stream:b", "stream:file/b");
    configure(dir.path(), &taken);
    kill(running.pid(), Signal::SIGHUP).unwrap();
    manager.expect_reloading();
    manager.expect_ready("reloaded: 1 network, 1 port; not there: lan/b: ");
    assert_eq!(running.line()["failed"].as_array().unwrap().len(), 1);

    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(manager.next()["STOPPING"], "1");
    assert_eq!(manager.next_within(Duration::from_millis(50)), None);
}

/// How often the watchdog of this test is fed.
const FED_EVERY: Duration = Duration::from_millis(50);

#[test]
fn the_watchdog_is_fed_as_long_as_the_loop_answers() {
    let dir = testkit::scratch_dir();
    let manager = Manager::listen(dir.path());
    configure(dir.path(), PAIR);
    let limit = (FED_EVERY * 2).as_micros().to_string();
    let running = start_unit(dir.path(), &[("WATCHDOG_USEC", &limit)]);
    manager.expect_ready("up with 1 network, 2 ports");
    let is_fed = |within| manager.next_within(within).map(|message| message["WATCHDOG"] == "1");
    for _ in 0..3 {
        assert_eq!(is_fed(PATIENCE), Some(true));
    }
    // The main thread has the loop. A tracer stops it, and no other.
    if let Err(errno) = ptrace::attach(running.pid()) {
        return testkit::skip(&format!("cannot trace a child: {errno}"));
    }
    waitpid(running.pid(), Some(WaitPidFlag::__WALL)).unwrap();
    // One may have been answered already, and what was sent is to be taken out.
    let is_hungry = testkit::wait_until(PATIENCE, || is_fed(FED_EVERY * 4).is_none());
    assert!(is_hungry, "a loop that does not answer is fed");
    assert_eq!(is_fed(FED_EVERY * 10), None, "and again");
    ptrace::detach(running.pid(), None).unwrap();
    assert_eq!(is_fed(PATIENCE), Some(true), "and again when it does");
    assert_eq!(running.end(Signal::SIGTERM).code, Some(0));
}

#[test]
fn without_a_watchdog_or_a_manager_nobody_is_told() {
    let dir = testkit::scratch_dir();
    let manager = Manager::listen(dir.path());
    configure(dir.path(), PAIR);
    let running = start_unit(dir.path(), &[]);
    manager.expect_ready("up with 1 network, 2 ports");
    assert_eq!(manager.next_within(FED_EVERY * 10), None);
    assert_eq!(running.end(Signal::SIGTERM).code, Some(0));
    assert_eq!(manager.next()["STOPPING"], "1");

    // A socket that nobody listens on: the switch does its work, and complains in its log.
    drop(manager);
    let running = start_unit(dir.path(), &[]);
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("tell the service manager"), "{}", ended.stderr);
}
