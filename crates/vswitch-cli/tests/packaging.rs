//! What service managers are given, read by their own programs or by another's parser.
#![cfg(target_os = "linux")]

mod common;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Guard, VSWITCH, bridge_or_skip, output, prepared, start, vswitch};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use support::{SOON, wait_for};

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(packaging(path)).unwrap()
}

/// The lines of the unit with this name.
fn unit_lines(name: &str) -> Vec<String> {
    let text = text("systemd/vswitch.service");
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    text.lines().filter_map(value).collect()
}

#[test]
fn systemd_finds_no_fault_with_the_unit_and_calls_it_hardened() {
    if !testkit::tool_or_skip("systemd-analyze", "systemd") {
        return;
    }
    let dir = testkit::scratch_dir();
    let unit = dir.path().join("vswitch.service");
    // The program has to be where the unit says.
    let here = text("systemd/vswitch.service").replace("/usr/bin/vswitch", VSWITCH);
    std::fs::write(&unit, &here).unwrap();
    let analyze = |arguments: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(arguments).arg(&unit);
        let done = output(command);
        let told = [&done.stdout[..], &done.stderr[..]].concat();
        (done.status.success(), String::from_utf8(told).unwrap())
    };
    let verify = ["verify", "--man=no", "--recursive-errors=no"];
    assert_eq!(analyze(&verify), (true, String::new()));
    std::fs::write(&unit, here.replace("Restart=", "Restarts=")).unwrap();
    let (_, told) = analyze(&verify);
    assert!(told.contains("Restarts"), "a mistake is told: {told}");
    std::fs::write(&unit, here).unwrap();
    // Of 100; without any of it, 96.
    let (is_fine, told) = analyze(&["security", "--offline=true", "--no-pager", "--threshold=40"]);
    assert!(is_fine, "{told}");
}

/// Sets of system calls by their names, as this machine's systemd has them.
struct CallSets(BTreeMap<String, Vec<String>>);

impl CallSets {
    fn ask() -> Self {
        let told = testkit::command::output("systemd-analyze", "syscall-filter --no-pager");
        let mut sets: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut name = String::new();
        for line in told.lines() {
            match line.strip_prefix("    ") {
                None if line.starts_with('@') => line.clone_into(&mut name),
                Some(call) if !call.starts_with('#') => {
                    sets.entry(name.clone()).or_default().push(call.to_owned());
                }
                _ => {}
            }
        }
        Self(sets)
    }

    /// The calls in a set and in the sets that are in it.
    fn calls_of(&self, name: &str) -> BTreeSet<String> {
        match self.0.get(name) {
            Some(within) => within.iter().flat_map(|name| self.calls_of(name)).collect(),
            None => BTreeSet::from([name.to_owned()]),
        }
    }

    /// What the unit's filter lets through (systemd.exec(5)): the first list says what is allowed,
    /// besides what every program needs, and those with `~` take away of it.
    fn allowed(&self) -> BTreeSet<String> {
        let mut allowed = self.calls_of("@default");
        for line in unit_lines("SystemCallFilter") {
            let names = |text: &str| -> BTreeSet<String> {
                text.split(' ').flat_map(|name| self.calls_of(name)).collect()
            };
            match line.strip_prefix('~') {
                None => allowed.extend(names(&line)),
                Some(denied) => allowed = &allowed - &names(denied),
            }
        }
        allowed
    }
}

/// A network on a bridge, with a port of each kind that can be had here.
const EVERYTHING: &str = "\
[control]
socket = \"control\"
[[network]]
name = \"lan\"
uplink = \"bridge:br0\"
port = [
  { name = \"a\", attach = \"unixgram:a\" },
  { name = \"b\", attach = \"stream:b\" },
  { name = \"c\", attach = \"tap:tap0\" },
]
";

#[test]
fn the_units_filter_lets_every_system_call_of_the_switch_through() {
    let tools = [("strace", "strace"), ("systemd-analyze", "systemd")];
    if !tools.into_iter().all(|(tool, package)| testkit::tool_or_skip(tool, package)) {
        return;
    }
    if !Path::new("/dev/net/tun").exists() {
        return testkit::skip("no /dev/net/tun");
    }
    if !bridge_or_skip() {
        return;
    }
    let dir = testkit::scratch_dir();
    let configuration = dir.path().join("vswitch.toml");
    std::fs::write(&configuration, EVERYTHING).unwrap();
    let trace = dir.path().join("trace");
    // As under systemd, with a manager that has a watchdog.
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_read_timeout(Some(SOON)).unwrap();
    let mut strace = Command::new("sh");
    let exec = "WATCHDOG_PID=$$ exec strace --daemonize=grandchild -f -qq -o \"$0\" \"$@\"";
    strace.args(["-c", exec]).arg(&trace).arg(VSWITCH);
    strace.env("NOTIFY_SOCKET", dir.path().join("notify")).env("WATCHDOG_USEC", "100000");
    let arguments = format!("run --config {}", configuration.display());
    let mut running = start(dir.path(), prepared(strace, &arguments));
    let port = |port: &str| dir.path().join(port).display().to_string();
    let (one, other) = (port("a"), port("b"));
    let listen = format!("probe --connect unixgram:{one} --ip 192.0.2.1/24 listen");
    let listener =
        Guard(vswitch(&listen).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let ping = format!("probe --connect stream:{other} --ip 192.0.2.2/24 ping 192.0.2.1");
    let pinged = output(vswitch(&ping));
    assert!(pinged.status.success(), "{}", String::from_utf8_lossy(&pinged.stderr));
    drop(listener);
    let listed = output(vswitch(&format!("ports --json --control {}", port("control"))));
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    std::fs::write(&configuration, EVERYTHING.replace("unixgram:a", "unixgram:d")).unwrap();
    kill(running.pid(), Signal::SIGHUP).unwrap();
    // A manager that does not read is waited for.
    for message in ["RELOADING=1", "READY=1", "WATCHDOG=1"] {
        wait_for(message, || {
            let mut buffer = [0; 1000];
            let len = manager.recv(&mut buffer).unwrap();
            buffer[..len].starts_with(message.as_bytes())
        });
    }
    assert_eq!(running.line()["failed"], json!([]));
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let called = called(&std::fs::read_to_string(&trace).unwrap());
    assert!(called.contains("execve") && called.contains("sendmmsg"), "{called:?}");
    let allowed = CallSets::ask().allowed();
    let denied: Vec<_> = called.difference(&allowed).collect();
    assert!(denied.is_empty(), "the unit forbids {denied:?}");
    assert!(!allowed.contains("mount") && !allowed.contains("setuid"));
}

/// The names of calls in strace's lines: `PID name(…` or `PID <... name resumed>…`.
fn called(trace: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let (_, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then(|| name.to_owned())
    };
    trace.lines().filter_map(name).collect()
}

#[test]
fn launchd_is_told_to_keep_it_running_and_to_let_nothing_wait() {
    if !testkit::tool_or_skip("python3", "python3") {
        return;
    }
    let file = packaging("launchd/io.github.vswitch.plist");
    let mut python = Command::new("python3");
    let read = "import json, plistlib, sys; \
                json.dump(plistlib.load(open(sys.argv[1], 'rb')), sys.stdout)";
    python.args(["-c", read]).arg(&file);
    let done = output(python);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let plist: Value = serde_json::from_slice(&done.stdout).unwrap();
    // launchd wants the file to be named so.
    assert_eq!(plist["Label"], *file.file_stem().unwrap().to_str().unwrap());
    for (key, value) in [
        ("ProcessType", json!("Interactive")),
        ("KeepAlive", json!(true)),
        ("RunAtLoad", json!(true)),
    ] {
        assert_eq!(plist[key], value, "{key}");
    }
    let arguments = ["/usr/local/bin/vswitch", "run", "--config", "/usr/local/etc/vswitch.toml"];
    assert_eq!(plist["ProgramArguments"], json!(arguments));
}

#[test]
fn the_packages_configuration_has_no_mistake() {
    let file = packaging("debian/vswitch.toml");
    let checked = output(vswitch(&format!("config check {}", file.display())));
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
