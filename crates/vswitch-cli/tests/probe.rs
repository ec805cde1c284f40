//! `vswitch probe` as a person runs it: two processes on a hub of a few lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::Value;

/// Hands every frame that comes in at one end out at all others.
#[derive(Clone, Default)]
struct Hub(Arc<Mutex<Vec<Outlet>>>);

type Outlet = Box<dyn FnMut(&[u8]) + Send>;

impl Hub {
    /// A datagram port at `path`: the first datagram tells who is there, and may be a handshake.
    fn unixgram(&self, path: &Path) {
        let socket = UnixDatagram::bind(path).expect("bind a port");
        let hub = self.clone();
        thread::spawn(move || {
            let mut frame = vec![0; 70_000];
            let (len, from) = socket.recv_from(&mut frame).expect("a first datagram");
            socket.connect(from.as_pathname().expect("a path")).expect("connect back");
            let first = (frame[..len] != *b"VFKT").then(|| frame[..len].to_vec());
            hub.serve_datagrams(socket, first);
        });
    }

    fn serve_datagrams(&self, socket: UnixDatagram, first: Option<Vec<u8>>) {
        let sender = socket.try_clone().expect("a clone");
        // A guest that is gone misses its frames.
        let number = self.add(Box::new(move |frame| drop(sender.send(frame))));
        if let Some(frame) = first {
            self.pass(number, &frame);
        }
        let mut frame = vec![0; 70_000];
        while let Ok(len) = socket.recv(&mut frame) {
            self.pass(number, &frame[..len]);
        }
    }

    /// A stream port at `path`.
    fn stream(&self, path: &Path) {
        let listener = UnixListener::bind(path).expect("a listener");
        let hub = self.clone();
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            hub.serve_stream(stream);
        });
    }

    fn serve_stream(&self, mut stream: UnixStream) {
        let mut sender = stream.try_clone().expect("a clone");
        let number = self.add(Box::new(move |frame| {
            let length = u32::try_from(frame.len()).expect("a short frame").to_be_bytes();
            drop(sender.write_all(&[&length, frame].concat()));
        }));
        let mut length = [0; 4];
        while stream.read_exact(&mut length).is_ok() {
            let len = usize::try_from(u32::from_be_bytes(length)).expect("a length");
            let mut frame = vec![0; len];
            if stream.read_exact(&mut frame).is_err() {
                return;
            }
            self.pass(number, &frame);
        }
    }

    fn add(&self, outlet: Outlet) -> usize {
        let mut outlets = self.0.lock().expect("the hub");
        outlets.push(outlet);
        outlets.len() - 1
    }

    fn pass(&self, from: usize, frame: &[u8]) {
        let mut outlets = self.0.lock().expect("the hub");
        let others = outlets.iter_mut().enumerate().filter(|(number, _)| *number != from);
        others.for_each(|(_, outlet)| outlet(frame));
    }
}

fn command(connect: &str, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vswitch"));
    command.args(["probe", "--connect", connect]).args(words.split_whitespace());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(connect: &str, words: &str) -> Output {
    command(connect, words).output().expect("vswitch runs")
}

/// The text on stdout of a command that ended with `code`.
#[track_caller]
fn stdout(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// The text on stderr of a command that failed with `code`.
#[track_caller]
fn stderr(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// `vswitch probe … listen --json`, and what it prints.
struct Listener {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Listener {
    fn start(connect: &str, words: &str) -> Self {
        let mut child = command(connect, &format!("{words} --json listen"))
            .stderr(Stdio::inherit())
            .spawn()
            .expect("vswitch starts");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut listener = Self { child, lines };
        let ready = listener.next();
        assert_eq!(ready["event"], "ready", "{ready}");
        listener
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    fn wait_for(&mut self, event: &str) -> Value {
        loop {
            let next = self.next();
            if next["event"] == event {
                return next;
            }
            assert_ne!(next["event"], "stopped", "no {event}");
        }
    }

    /// Ends it as a service manager would; its last line.
    fn stop(mut self) -> Value {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("send a signal");
        let stopped = self.wait_for("stopped");
        assert!(self.child.wait().expect("an end").success());
        stopped
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A hub with two datagram ports and a stream, in a directory of its own.
struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { dir: testkit::scratch_dir() };
        let hub = Hub::default();
        hub.unixgram(&lab.path("a"));
        hub.unixgram(&lab.path("b"));
        hub.stream(&lab.path("c"));
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn link(&self, kind: &str, name: &str) -> String {
        format!("{kind}:{}", self.path(name).display())
    }
}

#[test]
fn pings_and_transfers_between_two_processes() {
    let lab = Lab::new();
    let words = "--mac 52:54:00:00:00:02 --vfkit --ip 192.0.2.2/24 --ip 2001:db8::2/64";
    let mut listener = Listener::start(&lab.link("unixgram", "b"), words);

    let from = "--ip 192.0.2.1/24 --ip 2001:db8::1/64";
    let said = stdout(
        &run(
            &lab.link("unixgram", "a"),
            &format!("{from} ping 192.0.2.2 --count 3 --interval 0.01"),
        ),
        0,
    );
    assert!(said.starts_with("PING 192.0.2.2: 56 data bytes\n"), "{said}");
    assert!(said.contains("64 bytes from 192.0.2.2: seq=2 time="), "{said}");
    assert!(said.contains("3 sent, 3 answered, 0 lost; round trip min/mean/max "), "{said}");
    let echo = listener.wait_for("echo");
    assert_eq!((&echo["to"], &echo["size"]), (&"192.0.2.1".into(), &56.into()));

    let stream = lab.link("stream", "c");
    let words = format!("{from} throughput 2001:db8::2 --bytes 2000000 --json");
    let report: Value = serde_json::from_str(&stdout(&run(&stream, &words), 0)).expect("JSON");
    assert_eq!((&report["bytes"], &report["way"]), (&2_000_000.into(), &"upload".into()));
    assert!(report["mbit_per_s"].as_f64().is_some_and(|rate| rate > 0.0), "{report}");
    let served = listener.wait_for("served");
    assert_eq!((&served["service"], &served["ok"]), (&"throughput".into(), &true.into()));
    assert_eq!(served["received_bytes"], 2_000_007);

    let stopped = listener.stop();
    assert_eq!(stopped["echo_replies_sent"], 3);
    let mut left: Vec<_> = std::fs::read_dir(lab.dir.path())
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    left.sort();
    assert_eq!(left, ["a", "b", "c"], "the guests' own paths are gone");
}

#[test]
fn a_download_by_time_in_words() {
    let lab = Lab::new();
    let listener = Listener::start(&lab.link("unixgram", "b"), "--ip 192.0.2.2/24");
    let words = "--ip 192.0.2.1/24 throughput 192.0.2.2:5882 --reverse --seconds 0.3";
    let said = stdout(&run(&lab.link("unixgram", "a"), words), 0);
    assert!(said.starts_with("download from 192.0.2.2:5882: "), "{said}");
    assert!(said.contains(" Mbit/s, all bytes right"), "{said}");
    drop(listener);
}

#[test]
fn what_nobody_answers_fails() {
    let lab = Lab::new();
    let a = lab.link("unixgram", "a");
    let words = "--ip 192.0.2.1/24 ping 192.0.2.77 -c 2 -i 0.01 --timeout 0.2 --json";
    let report: Value = serde_json::from_str(&stdout(&run(&a, words), 1)).expect("JSON");
    assert_eq!((&report["sent"], &report["lost"]), (&2.into(), &2.into()), "{report}");
    assert_eq!(report["round_trip_ms"], Value::Null);

    let b = lab.link("unixgram", "b");
    let began = Instant::now();
    let said = stderr(&run(&b, "dhcp --timeout 1"), 1);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let expected = "vswitch: get an address by DHCP: timed out after 1.0s while waiting for a DHCP \
                    offer (1 DHCPDISCOVER sent)\n";
    assert_eq!(said, expected);

    let c = lab.link("stream", "c");
    let said = stderr(&run(&c, "ping 192.0.2.2"), 1);
    assert!(said.contains("no route to 192.0.2.2"), "{said}");
    assert!(said.contains("(give the guest one: --ip, --gateway or --dhcp)"), "{said}");
}

#[test]
fn mistakes_are_told() {
    let dir = testkit::scratch_dir();
    let nowhere = format!("unixgram:{}", dir.path().join("none").display());
    let said = stderr(&run(&nowhere, "dhcp"), 1);
    assert!(said.starts_with("vswitch: plug in the built-in guest: connect "), "{said}");
    assert!(said.trim_end().ends_with("(is a switch running with that port?)"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("a directory").count(), 0);

    for words in
        ["ping 192.0.2.1 --count 0", "ping nobody", "throughput 1:2:x", "--ip 1.2.3.4 dhcp", ""]
    {
        stderr(&run(&nowhere, words), 2);
    }
    stderr(&run("tcp:192.0.2.1", "dhcp"), 2);
    let said = stderr(&run("fd:77", "dhcp"), 1);
    assert!(said.contains("descriptor 77: it is not open"), "{said}");
    let said = stderr(&run(&nowhere, "--mtu 10 dhcp"), 1);
    assert!(said.contains("MTU 10"), "{said}");
}

#[test]
fn a_guest_on_an_inherited_descriptor() {
    let hub = Hub::default();
    let lab = Lab { dir: testkit::scratch_dir() };
    hub.unixgram(&lab.path("a"));
    let listener = Listener::start(&lab.link("unixgram", "a"), "--ip 192.0.2.2/24");
    let (datagram, far_datagram) = UnixDatagram::pair().expect("a pair");
    let (stream, far_stream) = UnixStream::pair().expect("a pair");
    let (one, two) = (hub.clone(), hub);
    thread::spawn(move || one.serve_datagrams(far_datagram, None));
    thread::spawn(move || two.serve_stream(far_stream));
    for (number, parent_fd) in
        [OwnedFd::from(datagram), OwnedFd::from(stream)].into_iter().enumerate()
    {
        let words = format!("--ip 192.0.2.{}/24 ping 192.0.2.2 -i 0.01", 10 + number);
        let mut command = command("fd:3", &words);
        command.fd_mappings(vec![FdMapping { parent_fd, child_fd: 3 }]).expect("a free number");
        let said = stdout(&command.output().expect("vswitch runs"), 0);
        assert!(said.contains("4 sent, 4 answered, 0 lost"), "{said}");
    }
    drop(listener);
}
