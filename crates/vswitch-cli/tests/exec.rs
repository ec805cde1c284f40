//! `vswitch exec`: a command with its network card on descriptor 3.
#![cfg(unix)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

#[cfg(target_os = "linux")]
use common::failure;
use common::{Guard, PATIENCE, frame, prepared};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// `vswitch exec … -- sh -c SCRIPT`.
fn exec(options: &str, script: &str) -> Command {
    let mut command = prepared(Command::new(common::VSWITCH), "exec --uplink none");
    command.args(options.split_whitespace()).args(["--", "sh", "-c", script]);
    command
}

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

fn output(command: Command) -> Output {
    common::output(command)
}

#[test]
fn the_exit_code_is_the_commands() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -9 $$", 128 + 9),
        ("kill -TERM $$", 128 + 15),
        ("kill -SEGV $$", 128 + 11),
    ] {
        let ended = output(exec("", script));
        assert_eq!(ended.status.code(), Some(code), "{script}: {}", text(&ended.stderr));
        assert!(text(&ended.stderr).contains("PORT"), "the counters are told all the same");
    }
}

#[test]
fn a_command_that_cannot_be_run_is_told_as_a_shell_does() {
    let dir = testkit::scratch_dir();
    std::fs::write(dir.path().join("plain"), "no program").unwrap();
    let run = |program: &str| {
        let arguments = format!("exec --uplink none -- {program} with arguments");
        let mut command = prepared(Command::new(common::VSWITCH), &arguments);
        // A directory on it that is closed to this user would answer for the program (execvp(3)).
        command.env("PATH", "/usr/bin:/bin");
        output(command)
    };
    let missing = run("/no/such/program");
    assert_eq!(missing.status.code(), Some(127));
    let said = text(&missing.stderr);
    assert!(said.contains("vswitch: run /no/such/program: No such file or directory"), "{said}");
    assert_eq!(run("no-such-program-on-the-path").status.code(), Some(127));
    let plain = run(dir.path().join("plain").to_str().unwrap());
    assert_eq!(plain.status.code(), Some(126), "{}", text(&plain.stderr));
}

#[test]
fn standard_input_and_output_are_the_commands_alone() {
    let mut command = exec("", "cat; echo to stderr >&2");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"first\nsecond\n").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(text(&ended.stdout), "first\nsecond\n", "and nothing of the switch's own");
    assert!(text(&ended.stderr).contains("to stderr"));
}

/// What a script can see of its descriptors: the kinds, the card's type (2 is `SOCK_DGRAM` in
/// /proc/net/unix), and whether it blocks (no O_NONBLOCK, 04000, in its flags).
#[cfg(target_os = "linux")]
#[test]
fn the_card_is_a_blocking_datagram_socket_and_nothing_else_is_passed_on() {
    let script = "
        inode=$(readlink /proc/self/fd/3 | tr -dc 0-9)
        while read -r _ _ _ _ type _ number _; do
            [ \"$number\" = \"$inode\" ] && echo type $type
        done < /proc/net/unix
        grep flags /proc/self/fdinfo/3
        for fd in /proc/$$/fd/*; do echo ${fd##*/} $(readlink $fd); done";
    let ended = output(exec("--mac 52:54:00:00:00:07", script));
    let said = text(&ended.stdout);
    assert!(said.contains("type 0002"), "{said}");
    let flags = said.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
    assert_eq!(u32::from_str_radix(flags, 8).unwrap() & 0o4000, 0, "{said}");
    let sockets: Vec<_> = said.lines().filter(|line| line.contains("socket:")).collect();
    assert_eq!(sockets.len(), 1, "{said}");
    assert!(sockets[0].starts_with("3 "), "{said}");
    assert!(!said.contains("anon_inode"), "epoll or eventfd is passed on: {said}");
}

/// A VM on the datagram port `dir/vm`, connected as soon as the switch is there.
fn vm(dir: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(dir.join("peer")).unwrap();
    assert!(testkit::wait_until(PATIENCE, || socket.connect(dir.join("vm")).is_ok()));
    socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    socket
}

#[test]
fn frames_pass_between_the_card_and_the_other_ports() {
    let dir = testkit::scratch_dir();
    let d = dir.path().display();
    std::fs::write(dir.path().join("own"), frame(2, 1, 1514)).unwrap();
    std::fs::write(dir.path().join("foreign"), frame(2, 9, 1514)).unwrap();
    let script = format!(
        "dd bs=4096 count=1 <&3 >{d}/got 2>{d}/dd
         dd if={d}/foreign bs=4096 count=1 >&3 2>{d}/dd
         dd if={d}/own bs=4096 count=1 >&3 2>{d}/dd
         read _"
    );
    let options = format!("--mac 02:00:00:00:00:01 --port vm=unixgram:{d}/vm");
    let mut command = exec(&options, &script);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Guard(command.spawn().unwrap());
    let vm = vm(dir.path());
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
    let said: Vec<String> = BufReader::new(child.0.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .filter(|line| line.starts_with("cmd "))
        .collect();
    assert!(said[0].contains("foreign_source 1"), "{said:?}");
    assert!(!dir.path().join("vm").exists(), "the port's path goes with the command");
}

#[test]
fn signals_are_passed_on_and_the_command_decides() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let script = "trap 'echo asked; exit 5' TERM; echo up; while :; do sleep 0.02; done";
        let mut command = exec("", script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Guard(command.spawn().unwrap());
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "up");
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), signal).unwrap();
        assert!(common::has_ended(&mut child.0, PATIENCE));
        assert_eq!(lines.next().unwrap().unwrap(), "asked");
        assert_eq!(child.0.wait().unwrap().code(), Some(5));
    }
}

/// A grandchild that holds the card open keeps nobody waiting.
#[test]
fn the_end_of_the_command_is_the_end() {
    let ended = output(exec("", "sleep 20 >/dev/null 2>&1 </dev/null & echo $!; exit 3"));
    assert_eq!(ended.status.code(), Some(3));
    let grandchild: i32 = text(&ended.stdout).trim().parse().unwrap();
    kill(Pid::from_raw(grandchild), Signal::SIGKILL).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn the_command_runs_as_whom_it_should() {
    let dir = testkit::scratch_dir();
    if !testkit::tool_or_skip("setpriv", "util-linux") || !common::is_real_root_or_skip(dir.path())
    {
        return;
    }
    let who = "echo $(id -u) $(id -g) $(id -G)";
    let said = |command| {
        let ended = output(command);
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        text(&ended.stdout).trim().to_owned()
    };
    assert!(said(exec("", who)).starts_with("0 0"));
    assert!(said(exec("--user nobody", who)).starts_with("65534 65534"));
    // Not even when root has more groups than its own.
    let mut grouped = Command::new("setpriv");
    grouped.args(["--groups", "7,8", "--", common::VSWITCH]);
    let mut grouped = prepared(grouped, "exec --uplink none --user 4321 -- sh -c");
    grouped.arg(who);
    assert_eq!(said(grouped), "4321 4321 4321", "none of root's groups");
    let mut sudo = exec("", who);
    sudo.envs([("SUDO_UID", "1234"), ("SUDO_GID", "5678")]);
    assert_eq!(said(sudo), "1234 5678 5678");
    let mut sudo = exec("--user root", who);
    sudo.envs([("SUDO_UID", "1234"), ("SUDO_GID", "5678")]);
    assert!(said(sudo).starts_with("0 0"), "what is said wins");
    // The way back is closed: no saved user either.
    let ids = said(exec("--user 4321", "grep -E '^(Uid|Gid)' /proc/self/status"));
    assert_eq!(ids.matches("4321").count(), 8, "{ids}");
    let unknown = failure(exec("--user no-such-user", "true"), 1);
    assert!(unknown.contains("there is no user \"no-such-user\""), "{unknown}");

    let Some(nobody) = common::as_nobody(dir.path()) else { return };
    let mut command = prepared(nobody, "exec --uplink none --user root --");
    command.arg("true");
    let refused = output(command);
    assert_eq!(refused.status.code(), Some(126));
    let said = text(&refused.stderr);
    assert!(said.contains("become user 0") && said.contains("only root can"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_left_of_the_uplink_however_the_command_ends() {
    if !common::bridge_or_skip() {
        return;
    }
    let before = common::interfaces();
    let uplink = |command: &[&str]| {
        let mut this = prepared(Command::new(common::VSWITCH), "exec --uplink bridge:br0 --");
        this.args(command);
        output(this).status.code()
    };
    let during = "grep -q vsw0 /proc/net/dev";
    assert_eq!(uplink(&["sh", "-c", during]), Some(0), "it is there while the command runs");
    assert_eq!(common::interfaces(), before);
    assert_eq!(uplink(&["/no/such/program"]), Some(127));
    assert_eq!(common::interfaces(), before);
    assert_eq!(uplink(&["sh", "-c", "kill -9 $$"]), Some(137));
    assert_eq!(common::interfaces(), before);
    // Asked to end at any moment of its start.
    for step in (0..60).step_by(2) {
        let mut this = prepared(Command::new(common::VSWITCH), "exec --uplink bridge:br0 --");
        this.args(["sleep", "30"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Guard(this.spawn().unwrap());
        std::thread::sleep(Duration::from_millis(step));
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(common::has_ended(&mut child.0, PATIENCE), "after {step} ms");
        assert_eq!(common::interfaces(), before, "killed after {step} ms");
    }
}
