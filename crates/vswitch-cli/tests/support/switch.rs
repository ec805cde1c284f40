//! The real binary.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde_json::Value;

use super::lab::Room;
use super::{SOON, wait_for};

/// A running `vswitch run`.
#[derive(Debug)]
pub(crate) struct Switch {
    process: Child,
    lines: Receiver<String>,
    log: Log,
    /// The line that said that it is ready.
    pub(crate) ready: Value,
}

/// What a switch said at its end.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// The ports of its last line.
    ports: Vec<Value>,
    /// All that it wrote to stderr.
    pub(crate) log: String,
}

impl Switch {
    /// Starts a switch with datagram ports in `room` ([`Room::port`]), or with ports as they are
    /// told (`NAME=KIND:ARG`), and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(room: &Room, uplink: &str, ports: &[&str]) -> Self {
        Self::run(command(room, uplink, ports))
    }

    /// Starts a switch with a configuration file in `room`, and waits until it is ready.
    #[track_caller]
    pub(crate) fn configured(room: &Room, text: &str) -> Self {
        let path = room.path("vswitch.toml");
        std::fs::write(&path, text).expect("write the file");
        let mut command = piped();
        command.arg("run").arg("--config").arg(path);
        Self::run(command)
    }

    /// Has it read another text: the line in which it says what it did.
    #[track_caller]
    pub(crate) fn reload(&self, room: &Room, text: &str) -> Value {
        std::fs::write(room.path("vswitch.toml"), text).expect("write the file");
        kill(self.pid(), Signal::SIGHUP).expect("send the signal");
        self.line("reloaded")
    }

    #[track_caller]
    fn run(mut command: Command) -> Self {
        let mut process = command.spawn().expect("run vswitch");
        let log = Log::read(process.stderr.take().expect("piped"));
        let stdout = BufReader::new(process.stdout.take().expect("piped"));
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let mut this = Self { process, lines, log, ready: Value::Null };
        this.ready = this.line("ready");
        this
    }

    /// Runs a switch that cannot start: what it says on stderr. It exits 1 and prints nothing else.
    #[track_caller]
    pub(crate) fn refused(room: &Room, uplink: &str, ports: &[&str]) -> String {
        let mut process = command(room, uplink, ports).spawn().expect("run vswitch");
        let log = Log::read(process.stderr.take().expect("piped"));
        let status = end_of(&mut process);
        let text = log.text_at_its_end();
        assert_eq!(status.code(), Some(1), "{text}");
        let mut stdout = String::new();
        process.stdout.take().expect("piped").read_to_string(&mut stdout).expect("UTF-8");
        assert_eq!(stdout, "");
        text
    }

    /// Ends it by SIGTERM.
    #[track_caller]
    pub(crate) fn stop(self) -> Stopped {
        self.end_by(Signal::SIGTERM)
    }

    /// Ends it by `signal`: a clean end, with a last line whose numbers hold.
    #[track_caller]
    pub(crate) fn end_by(mut self, signal: Signal) -> Stopped {
        kill(self.pid(), signal).expect("send the signal");
        let status = end_of(&mut self.process);
        let log = self.log.text_at_its_end();
        assert!(status.success(), "{status}: {log}");
        assert!(!log.contains("panicked"), "{log}");
        let last = self.line("stopped");
        let ports = last["ports"].as_array().expect("ports").clone();
        let stopped = Stopped { ports, log };
        stopped.check_accounts();
        stopped
    }

    /// Ends it by SIGKILL: it can take nothing away.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("send SIGKILL");
        self.process.wait().expect("wait");
    }

    /// The interface by which it sends and receives.
    pub(crate) fn switch_end(&self) -> String {
        let interfaces = self.ready["interfaces"].as_array().expect("interfaces");
        let end = interfaces.iter().find(|interface| interface["role"] == "switch_end");
        end.expect("a switch's end")["name"].as_str().expect("a name").to_owned()
    }

    /// What it has written to stderr so far.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// Waits until it has written `words`.
    #[track_caller]
    pub(crate) fn expect_log(&self, words: &str) {
        let log = &self.log;
        assert!(
            testkit::wait_until(SOON, || log.text().contains(words)),
            "no \"{words}\" in: {}",
            log.text()
        );
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("a process id"))
    }

    /// The processor's time that it has used (`utime` and `stime` of proc_pid_stat(5)).
    pub(crate) fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("alive");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|field| field.parse::<u64>().expect("ticks")).sum();
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Duration::from_millis(ticks * 1000 / u64::try_from(per_second).expect("positive"))
    }

    #[track_caller]
    fn line(&self, event: &str) -> Value {
        let Ok(line) = self.lines.recv_timeout(SOON) else {
            panic!("no line {event}; on stderr: {}", self.log.text());
        };
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(line["event"], event);
        line
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Stopped {
    /// The names of all ports.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.ports.iter().map(|port| port["name"].as_str().expect("a name"))
    }

    /// One of the counters of the port `name`.
    #[track_caller]
    pub(crate) fn count(&self, name: &str, counter: &str) -> u64 {
        self.port(name)[counter].as_u64().unwrap_or_else(|| panic!("no counter {counter}"))
    }

    /// How many frames the port `name` dropped for `reason`.
    #[track_caller]
    pub(crate) fn drops(&self, name: &str, reason: &str) -> u64 {
        self.port(name)["drops"][reason].as_u64().unwrap_or(0)
    }

    #[track_caller]
    fn port(&self, name: &str) -> &Value {
        let port = self.ports.iter().find(|port| port["name"] == name);
        port.unwrap_or_else(|| panic!("no port {name} in {:?}", self.ports))
    }

    fn check_accounts(&self) {
        for port in &self.ports {
            let count = |name: &str| port[name].as_u64().expect("a counter");
            let decided =
                count("forwarded_frames") + count("flooded_frames") + count("dropped_frames");
            assert_eq!(count("received_frames"), decided, "{port}");
            let done = count("sent_frames") + count("unsent_frames") + count("queued_frames");
            assert_eq!(count("enqueued_frames"), done, "{port}");
        }
    }
}

/// What is read from a switch's stderr, by a thread.
#[derive(Debug)]
struct Log {
    text: Arc<Mutex<String>>,
    reader: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    fn read(stderr: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let to = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                to.lock().expect("no panic").push_str(&(line + "\n"));
            }
        });
        Self { text, reader: Mutex::new(Some(reader)) }
    }

    fn text(&self) -> String {
        self.text.lock().expect("no panic").clone()
    }

    fn text_at_its_end(&self) -> String {
        let _ = self.reader.lock().expect("no panic").take().map(JoinHandle::join);
        self.text()
    }
}

fn command(room: &Room, uplink: &str, ports: &[&str]) -> Command {
    let mut vswitch = piped();
    vswitch.args(["run", "--uplink", uplink]);
    let told = |port: &str| match port.split_once('=') {
        Some((name, _)) if !name.contains(',') => port.to_owned(),
        _ => room.port(port),
    };
    vswitch.args(ports.iter().flat_map(|port| ["--port".to_owned(), told(port)]));
    vswitch
}

fn piped() -> Command {
    let mut vswitch = Command::new(env!("CARGO_BIN_EXE_vswitch"));
    vswitch.env_remove("RUST_LOG").stdin(Stdio::null());
    vswitch.stdout(Stdio::piped()).stderr(Stdio::piped());
    vswitch
}

#[track_caller]
fn end_of(process: &mut Child) -> ExitStatus {
    wait_for("the switch's end", || process.try_wait().expect("wait").is_some());
    process.wait().expect("wait")
}
