//! A test's own namespace, looked at and changed by iproute2.

use std::collections::BTreeMap;
use std::path::PathBuf;
pub(crate) use testkit::command::output;

use serde_json::{Value, json};

use super::card::Card;
use super::{SOON, wait_for};

/// Enters a fresh namespace; `false` if the test cannot run here, which was said.
pub(crate) fn enter() -> bool {
    testkit::tool_or_skip("ip", "iproute2")
        && testkit::tool_or_skip("ss", "iproute2")
        && testkit::tcpdump::or_skip()
        && testkit::netns::enter_or_skip()
}

/// Whether TAPs can be made here; skips the test if not.
pub(crate) fn can_make_taps() -> bool {
    let mut command = std::process::Command::new("ip");
    let made = command.args(["tuntap", "add", "probe0", "mode", "tap"]).output();
    let can = made.is_ok_and(|output| output.status.success());
    if !can {
        testkit::skip("no TAP (root of the whole machine is needed)");
    }
    can
}

/// Makes the bridge `br0`, up, with the addresses 192.0.2.1/24 and 2001:db8::1/64.
pub(crate) fn bridge(mtu: u32) {
    ip("link set lo up");
    ip(&format!("link add br0 mtu {mtu} type bridge"));
    ip("addr add 192.0.2.1/24 dev br0");
    ip("-6 addr add 2001:db8::1/64 dev br0 nodad");
    ip("link set br0 up");
}

/// Runs `ip ARGUMENTS`, which must succeed, and tells what it printed.
#[track_caller]
pub(crate) fn ip(arguments: &str) -> String {
    output("ip", arguments)
}

/// Runs `ip -j -d ARGUMENTS` and reads its answer.
#[track_caller]
pub(crate) fn ip_json(arguments: &str) -> Vec<Value> {
    let text = ip(&format!("-j -d {arguments}"));
    if text.trim().is_empty() {
        return Vec::new();
    }
    serde_json::from_str(&text).expect("JSON")
}

/// What iproute2 says of one interface; `None` when there is none of that name.
pub(crate) fn link(name: &str) -> Option<Value> {
    ip_json("addr").into_iter().find(|link| link["ifname"] == name)
}

/// The members of a bridge.
pub(crate) fn members(bridge: &str) -> Vec<String> {
    let links = ip_json("link");
    let members = links.iter().filter(|link| link["master"] == bridge);
    members.map(|link| link["ifname"].as_str().expect("a name").to_owned()).collect()
}

/// Every interface with all that a switch must leave as it was: two of these are equal when
/// nothing was left behind, and nothing changed.
pub(crate) fn snapshot() -> BTreeMap<String, Value> {
    wait_for("the carriers to be told of", || ip_json("addr").iter().all(is_told));
    picture()
}

fn picture() -> BTreeMap<String, Value> {
    let links = ip_json("addr");
    links.into_iter().map(|link| (link["ifname"].to_string(), lasting(&link))).collect()
}

/// Waits until everything is as it was.
#[track_caller]
pub(crate) fn expect_as_before(before: &BTreeMap<String, Value>) {
    // The kernel tells of lost carriers a moment later.
    let is_as_before = testkit::wait_until(SOON, || picture() == *before);
    assert!(is_as_before, "before: {before:#?}\nafter: {:#?}", picture());
}

/// Whether the state that is told of a link is that of its carrier: the kernel's link watch may be
/// a second late with it.
fn is_told(link: &Value) -> bool {
    let flags = link["flags"].as_array().expect("flags");
    let has = |flag: &str| flags.iter().any(|has| has == flag);
    let (carrier, up) = (has("LOWER_UP"), link["operstate"] == "UP");
    has("LOOPBACK") || if up { carrier } else { !(carrier && has("NO-CARRIER")) }
}

fn lasting(link: &Value) -> Value {
    let addresses: Vec<_> = link["addr_info"].as_array().into_iter().flatten().collect();
    let addresses: Vec<_> =
        addresses.iter().map(|info| json!([info["local"], info["prefixlen"]])).collect();
    let mut flags: Vec<_> = link["flags"].as_array().expect("flags").clone();
    flags.sort_by_key(Value::to_string);
    json!({
        "ifindex": link["ifindex"],
        "flags": flags,
        "mtu": link["mtu"],
        "master": link["master"],
        "mac": link["address"],
        "state": link["operstate"],
        "promiscuity": link["promiscuity"],
        "addresses": addresses,
    })
}

/// Where a test's ports are.
#[derive(Debug)]
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new() -> Self {
        Self(testkit::scratch_dir())
    }

    /// The path of the port `name`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `--port`'s value for a datagram port: `port` is its name, with options (`vm1,mac=…`).
    pub(crate) fn port(&self, port: &str) -> String {
        let (name, options) = port.split_at(port.find(',').unwrap_or(port.len()));
        format!("{name}=unixgram:{}{options}", self.path(name).display())
    }

    /// Plugs a card into the port `name`, and waits until the switch knows it: before that, it
    /// could send nothing to it.
    #[track_caller]
    pub(crate) fn card(&self, name: &str) -> Card {
        let path = self.path(name);
        let card = Card::plug(&path);
        let path = format!(" {} ", path.display());
        wait_for("the switch connects to the card", || {
            let sockets = output("ss", "-x -a -n -H");
            sockets.lines().any(|line| line.contains(&path) && line.contains("ESTAB"))
        });
        card
    }

    /// A guest with a stack on the port `name`.
    pub(crate) fn guest(&self, name: &str, config: probe::GuestConfig) -> probe::Guest {
        let link = probe::Link::unixgram(self.path(name), true).expect("plug in");
        probe::Guest::new(config, link).expect("a guest")
    }
}
