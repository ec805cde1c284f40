//! The program on the kernel of the Mac that this runs on, as root: on a bridge of the test's own,
//! whose only member is the switch's, so that nothing leaves the machine.
#![cfg(target_os = "macos")]

use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ifctl::{Interfaces, OwnedInterface};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

const VSWITCH: &str = env!("CARGO_BIN_EXE_vswitch");

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The Mac's own addresses on the bridge, for examples (RFC 5737, RFC 3849).
const IPV4: &str = "198.51.100.1";
const IPV6: &str = "2001:db8:4::1";

/// `vswitch`, without a caller of sudo in its environment.
fn vswitch(arguments: &str) -> Command {
    let mut command = Command::new(VSWITCH);
    command.args(arguments.split_whitespace());
    command.env_remove("SUDO_UID").env_remove("SUDO_GID").env_remove("RUST_LOG");
    command
}

fn ifconfig(arguments: &str) -> String {
    let output = Command::new("/sbin/ifconfig").args(arguments.split_whitespace()).output();
    let output = output.expect("ifconfig");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ifconfig {arguments}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A bridge that is up, of the first free number of those that are the tests'.
fn new_bridge() -> OwnedInterface {
    let mut numbers = 4700..4800;
    let bridge = loop {
        let number = numbers.next().expect("a free number");
        match OwnedInterface::bridge(&format!("bridge{number}")) {
            Err(ifctl::Error::Exists { .. }) => {}
            made => break made.expect("a bridge"),
        }
    };
    Interfaces::open().expect("a socket").set_up(bridge.name(), true).expect("up");
    bridge
}

/// The guest is the program's own, on the end of the socketpair that a VM would have. The Mac's
/// stack answers it, so frames pass both ways: BPF and NDRV, the pair, the bridge.
#[test]
fn the_mac_answers_a_guest_on_a_socketpair() {
    testkit::own_kernel::run(|| {
        let bridge = new_bridge();
        let name = bridge.name();
        ifconfig(&format!("{name} inet {IPV4} netmask 0xffffff00 alias"));
        ifconfig(&format!("{name} inet6 {IPV6} prefixlen 64 alias"));
        let is_ready = || !ifconfig(name).contains("tentative");
        assert!(testkit::wait_until(PATIENCE, is_ready), "{}", ifconfig(name));
        for address in [IPV4, IPV6].map(|address| address.parse::<IpAddr>().expect("an address")) {
            let own = if address.is_ipv6() { "2001:db8:4::10/64" } else { "198.51.100.10/24" };
            let mac = "02:00:00:00:00:10";
            let probe = format!("probe --connect fd:3 --mac {mac} --ip {own}");
            let exec = format!("exec --uplink bridge:{name} --mac {mac} -- {VSWITCH} {probe}");
            let ping = format!("{exec} ping {address} --count 5 --interval 0.1");
            let output = vswitch(&ping).output().expect("it starts");
            let said = String::from_utf8_lossy(&output.stdout);
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{address}: {said}\n{why}");
        }
    });
}

/// A running `vswitch run`, killed if the test fails.
struct Running {
    child: Child,
    /// Its first line.
    ready: Value,
}

impl Running {
    fn start(bridge: &str) -> Self {
        let mut command = vswitch(&format!("run --uplink bridge:{bridge}"));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line);
        let mut this = Self { child, ready: Value::Null };
        this.ready = ready.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        this
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The interfaces that it made.
    fn made(&self) -> Vec<String> {
        let all = self.ready["interfaces"].as_array().expect("a list");
        let made = all.iter().filter(|of| of["created"] == true);
        made.map(|of| of["name"].as_str().expect("a name").to_owned()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended and was waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn what_a_killed_switch_leaves_goes_with_the_next_start() {
    testkit::own_kernel::run(|| {
        let (bridge, interfaces) = (new_bridge(), Interfaces::open().expect("a socket"));
        let owners = || {
            let all = interfaces.list().expect("a list");
            let tags = all.iter().filter_map(|of| interfaces.tag(&of.name).ok().flatten());
            tags.map(|tag| tag.owner().pid).collect::<Vec<_>>()
        };
        let killed = Running::start(bridge.name());
        let (first, made) = (killed.pid(), killed.made());
        assert_eq!(made.len(), 2);
        drop(killed);
        for left in &made {
            interfaces.find(left).expect("nobody takes it away by itself");
        }

        let mut next = Running::start(bridge.name());
        let second = next.pid();
        let owners_now = owners();
        assert!(!owners_now.contains(&first), "{owners_now:?}");
        assert_eq!(owners_now.iter().filter(|pid| **pid == second).count(), 2);
        let pid = Pid::from_raw(second.try_into().expect("a process's number"));
        kill(pid, Signal::SIGTERM).expect("it runs");
        assert!(testkit::wait_until(PATIENCE, || next
            .child
            .try_wait()
            .is_ok_and(|of| of.is_some())));
        assert!(next.child.wait().expect("its end").success());
        assert!(!owners().contains(&second));
        let members = || interfaces.members(bridge.name()).expect("a bridge");
        assert!(testkit::wait_until(PATIENCE, || members().is_empty()), "{:?}", members());
    });
}
