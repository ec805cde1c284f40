//! `vswitch exec --control`: a command with its network card at a switch that runs already.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Guard, PATIENCE, Running, failure, frame, output, start, vswitch};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A switch with a datagram port `vm` in its network `lan`.
fn switch(dir: &Path) -> Running {
    let d = dir.display();
    let ports = format!("--port vm=unixgram:{d}/vm");
    start(dir, vswitch(&format!("run --uplink none --network lan --control {d}/c {ports}")))
}

/// `vswitch exec --control … -- sh -c SCRIPT`.
fn exec(dir: &Path, options: &str, script: &str) -> Command {
    let mut command = vswitch(&format!("exec --control {}/c {options} -- sh -c", dir.display()));
    command.arg(script);
    command
}

/// The names of the ports that there are.
fn ports(dir: &Path) -> Vec<String> {
    let told = output(vswitch(&format!("ports --json --control {}/c", dir.display())));
    let ports: Vec<Value> = serde_json::from_slice(&told.stdout).expect("the ports");
    ports.iter().map(|port| port["name"].as_str().expect("a name").to_owned()).collect()
}

fn has_only_its_own(dir: &Path) -> bool {
    testkit::wait_until(PATIENCE, || ports(dir) == ["vm"])
}

#[test]
fn frames_pass_and_the_port_goes_with_the_command() {
    let dir = testkit::scratch_dir();
    let running = switch(dir.path());
    let d = dir.path().display();
    std::fs::write(dir.path().join("own"), frame(2, 1, 1514)).unwrap();
    std::fs::write(dir.path().join("foreign"), frame(2, 9, 1514)).unwrap();
    let script = format!(
        "dd bs=4096 count=1 <&3 >{d}/got 2>{d}/dd
         dd if={d}/foreign bs=4096 count=1 >&3 2>{d}/dd
         dd if={d}/own bs=4096 count=1 >&3 2>{d}/dd
         read _"
    );
    let options = "--network lan --name card --mac 02:00:00:00:00:01";
    let mut command = exec(dir.path(), options, &script);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = Guard(command.spawn().unwrap());
    assert!(testkit::wait_until(PATIENCE, || ports(dir.path()) == ["vm", "card"]));
    let vm = UnixDatagram::bind(dir.path().join("peer")).unwrap();
    vm.connect(dir.path().join("vm")).unwrap();
    vm.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut buffer = [0; 4096];
    let mut got = 0;
    let answered = testkit::wait_until(PATIENCE, || {
        vm.send(&frame(1, 2, 777)).unwrap();
        got = vm.recv(&mut buffer).unwrap_or(0);
        got > 0
    });
    assert!(answered, "the command answers");
    assert_eq!(buffer[..got], frame(2, 1, 1514), "and not from another address");
    assert_eq!(std::fs::read(dir.path().join("got")).unwrap(), frame(1, 2, 777));
    drop(child.0.stdin.take());
    assert!(common::has_ended(&mut child.0, PATIENCE));
    assert!(has_only_its_own(dir.path()), "the port is gone");
    let ended = running.end(Signal::SIGTERM);
    assert_eq!(ended.code, Some(0), "the switch is its own: {}", ended.stderr);
}

#[test]
fn the_exit_code_is_the_commands() {
    let dir = testkit::scratch_dir();
    let _running = switch(dir.path());
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
        ("exec /no/such/program", 127),
    ] {
        let ended = output(exec(dir.path(), "", script));
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{script}: {said}");
        assert!(!said.contains("PORT"), "the switch goes on, and its counters: {said}");
    }
    let path = format!("exec --control {}/c -- /no/such/program", dir.path().display());
    assert_eq!(output(vswitch(&path)).status.code(), Some(127));
    assert!(has_only_its_own(dir.path()), "nothing is left of any");
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    let dir = testkit::scratch_dir();
    let _running = switch(dir.path());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let script = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.02; done";
        let mut command = exec(dir.path(), "", script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Guard(command.spawn().unwrap());
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        assert_eq!(ports(dir.path()), ["vm", "given1"], "it has a name of its own");
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), signal).unwrap();
        assert!(common::has_ended(&mut child.0, PATIENCE));
        assert_eq!(lines.next().unwrap().unwrap(), "asked");
        assert_eq!(child.0.wait().unwrap().code(), Some(5));
        assert!(has_only_its_own(dir.path()));
    }
}

/// The port is held by this program's connection, which a kill closes.
#[test]
fn a_killed_exec_leaves_no_port() {
    let dir = testkit::scratch_dir();
    let _running = switch(dir.path());
    let mut command = exec(dir.path(), "", "echo $$; exec sleep 60");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Guard(command.spawn().unwrap());
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    assert!(has_only_its_own(dir.path()));
    kill(Pid::from_raw(line.trim().parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_about_that() {
    let dir = testkit::scratch_dir();
    let running = switch(dir.path());
    let told = |options: &str| failure(exec(dir.path(), options, "echo never"), 1);
    let taken = told("--name vm");
    assert!(taken.contains("two ports named vm"), "{taken}");
    assert!(!taken.contains("is a switch running"), "one is: {taken}");
    let unknown = told("--network nowhere");
    assert!(unknown.contains("nowhere") && !unknown.contains("is a switch running"), "{unknown}");
    running.end(Signal::SIGTERM);
    let nobody = told("");
    assert!(nobody.contains("is a switch running with --control"), "{nobody}");
}
