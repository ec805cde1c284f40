//! `vswitch if` and `vswitch bridge` as a person runs them, on a real kernel.
#![cfg(target_os = "linux")]

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

/// Runs `vswitch ARGUMENTS` in the calling thread's namespace.
fn vswitch(arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vswitch"))
        .args(arguments.split_whitespace())
        .output()
        .expect("vswitch runs")
}

/// The text of a command that must succeed and say nothing on stderr.
fn text(arguments: &str) -> String {
    let output = vswitch(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{arguments}: {stderr}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn json(arguments: &str) -> Value {
    serde_json::from_str(&text(&format!("{arguments} --json"))).expect("JSON")
}

/// The one line that a failing command says; it prints nothing on stdout.
fn failure(arguments: &str) -> String {
    let output = vswitch(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
    assert!(output.stdout.is_empty(), "{arguments}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

fn ip(arguments: &str) -> Value {
    let output = Command::new("ip")
        .args(["-j", "-d"])
        .args(arguments.split_whitespace())
        .output()
        .expect("ip runs");
    assert!(output.status.success(), "{arguments}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn is_ready() -> bool {
    testkit::tool_or_skip("ip", "iproute2") && testkit::netns::enter_or_skip()
}

/// The names that `ip` sees.
fn names() -> Vec<String> {
    let links = ip("link");
    let names = links.as_array().unwrap().iter().map(|link| link["ifname"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn a_pair_from_its_making_to_its_end() {
    if !is_ready() {
        return;
    }
    let made = json("if pair create left right --mtu 9000");
    assert_eq!(made["did"], "create");
    assert_eq!(made["interfaces"][0]["name"], "left");
    assert_eq!(made["interfaces"][1]["mtu"], 9000);
    assert_eq!(made["interfaces"][0]["peer_index"], made["interfaces"][1]["index"]);
    assert_eq!(ip("link show right")[0]["mtu"], 9000);

    let up = text("if up right");
    assert!(up.starts_with("right is set up, its state is "), "{up}");
    let up = json("if up left");
    assert_eq!((&up["did"], &up["interface"]["up"]), (&json!("up"), &json!(true)));
    assert!(ip("link show left")[0]["flags"].as_array().unwrap().contains(&json!("UP")));
    assert_eq!(json("if down left")["interface"]["up"], false);
    assert!(!ip("link show left")[0]["flags"].as_array().unwrap().contains(&json!("UP")));

    assert_eq!(text("if mtu left 1400"), "left has MTU 1400\n");
    assert_eq!(ip("link show left")[0]["mtu"], 1400);
    assert_eq!(json("if mtu left 1300")["interface"]["mtu"], 1300);

    let destroyed = json("if pair destroy right");
    assert_eq!(destroyed, json!({ "did": "destroy", "names": ["right", "left"] }));
    assert_eq!(names(), ["lo"]);
    assert_eq!(text("if pair create a b"), "created veth pair a/b, MTU 1500\n");
    assert_eq!(text("if destroy a"), "destroyed a and b\n");
    assert_eq!(names(), ["lo"]);
}

#[test]
fn the_list_is_iproute2s() {
    if !is_ready() {
        return;
    }
    text("bridge create br0");
    text("if pair create a b");
    text("bridge add br0 a");
    text("if up br0");
    assert!(
        Command::new("ip")
            .args(["addr", "add", "192.0.2.1/24", "dev", "br0"])
            .status()
            .unwrap()
            .success()
    );
    let (ours, theirs) = (json("if list"), ip("addr"));
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), 4);
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours["index"], theirs["ifindex"]);
        assert_eq!(ours["name"], theirs["ifname"]);
        assert_eq!(ours["mtu"], theirs["mtu"]);
        assert_eq!(ours["mac"], theirs["address"]);
        assert_eq!(ours["master"], *theirs.get("master").unwrap_or(&Value::Null));
        let state = theirs["operstate"].as_str().unwrap().to_lowercase();
        assert_eq!(ours["state"], state);
    }
    let br0 = ours.iter().find(|interface| interface["name"] == "br0").unwrap();
    assert_eq!((&br0["kind"], &br0["addresses"]), (&json!("bridge"), &json!(["192.0.2.1/24"])));
    assert_eq!(json("if list br0"), json!([br0]));

    let table = text("if list");
    let mut lines = table.lines();
    assert!(lines.next().unwrap().starts_with("INDEX  NAME  KIND"));
    assert_eq!(lines.count(), 4);
    let row = table.lines().find(|line| line.contains(" a ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!((cells[1], cells[2], cells[3], cells[7]), ("a", "veth", "down", "br0"));
}

#[test]
fn a_bridge_from_its_making_to_its_end() {
    if !is_ready() {
        return;
    }
    assert_eq!(json("bridge create br0"), json!({ "did": "create", "bridge": "br0" }));
    assert_eq!(json("bridge members br0"), json!([]));
    text("if pair create a b");
    for name in ["br0", "a", "b"] {
        text(&format!("if up {name}"));
    }
    let changed = |did: &str, changed: bool| {
        let (bridge, member) = ("br0", "a");
        json!({ "did": did, "changed": changed, "bridge": bridge, "member": member })
    };
    assert_eq!(json("bridge ensure br0 a"), changed("ensure", true));
    assert_eq!(json("bridge ensure br0 a"), changed("ensure", false));
    assert_eq!(text("bridge ensure br0 a"), "a is a member of bridge br0 already\n");
    assert_eq!(ip("link show a")[0]["master"], "br0");
    // The kernel looks at a new link a moment later.
    let is_forwarding = || json("bridge members br0")[0]["state"] == "forwarding";
    assert!(testkit::wait_until(Duration::from_secs(5), is_forwarding));
    let members = json("bridge members br0");
    let expected = (&json!("a"), &json!(1), &json!("forwarding"), &json!(true));
    let member = &members[0];
    let found = (&member["name"], &member["port"], &member["state"], &member["learning"]);
    assert_eq!(found, expected);
    let table = text("bridge members br0");
    let cells: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(cells[..3], ["1", "a", "forwarding"]);

    assert_eq!(json("bridge remove br0 a"), changed("remove", true));
    assert_eq!(text("bridge add br0 a"), "added a to bridge br0\n");
    assert_eq!(text("bridge destroy br0"), "destroyed bridge br0\n");
    assert_eq!(names(), ["lo", "b", "a"]);
}

#[test]
fn failures_say_what_why_and_what_to_do() {
    if !is_ready() {
        return;
    }
    text("bridge create br0");
    text("bridge create br1");
    text("if pair create a b");
    text("bridge add br0 a");
    let before = ip("link");
    for (arguments, expected) in FAILURES {
        assert_eq!(failure(arguments), format!("vswitch: {expected}\n"), "{arguments}");
        assert_eq!(failure(&format!("{arguments} --json")), format!("vswitch: {expected}\n"));
    }
    assert_eq!(ip("link"), before, "nothing was changed");
}

/// What is typed, and what is said; `a` and `b` are a pair, `a` is a member of `br0`.
const FAILURES: [(&str, &str); 13] = [
    (
        "if up nothing",
        "bring nothing up: there is no interface nothing (`vswitch if list` shows what there is)",
    ),
    (
        "if list nothing",
        "find nothing: there is no interface nothing (`vswitch if list` shows what there is)",
    ),
    (
        "bridge members br9",
        "list the members of br9: there is no interface br9 (`vswitch if list` shows what there \
         is)",
    ),
    (
        "if pair create a c",
        "create veth pair a/c: there is an interface a already (choose another name, or \
         `vswitch if destroy a` first)",
    ),
    (
        "if pair create c sixteen-bytes-xx",
        "create veth pair c/sixteen-bytes-xx: the name has 16 bytes, an interface's at most 15 \
         (choose a name of at most 15 bytes)",
    ),
    (
        "bridge create a/b",
        "create bridge a/b: the name of an interface cannot hold '/' (choose a name of letters, \
         digits, - _ . and @)",
    ),
    (
        "if mtu a 70000",
        "set the MTU of a to 70000: a takes an MTU from 68 to 65535 (choose an MTU from 68 to \
         65535)",
    ),
    (
        "bridge add br1 a",
        "add a to bridge br1: a belongs to br0 already (`vswitch bridge remove br0 a` first, if \
         that is meant)",
    ),
    (
        "bridge add a b",
        "add b to bridge a: a is no bridge, its kind is veth (`vswitch bridge create` makes a \
         bridge)",
    ),
    (
        "bridge remove br0 b",
        "remove b from bridge br0: b is no member of br0 (`vswitch bridge members br0` shows who \
         is)",
    ),
    (
        "bridge destroy a",
        "destroy bridge a: it is no bridge, its kind is veth (`vswitch if destroy` destroys any \
         kind)",
    ),
    (
        "if pair destroy br0",
        "destroy pair br0: it is no veth end, its kind is bridge (`vswitch if destroy` destroys \
         any kind)",
    ),
    (
        "if destroy lo",
        "destroy lo: Operation not supported (os error 95) (only interfaces made by software can \
         be destroyed)",
    ),
];

#[test]
fn without_privilege_it_says_what_is_needed() {
    if !is_ready() || !testkit::tool_or_skip("setpriv", "util-linux") {
        return;
    }
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"])
        .args([env!("CARGO_BIN_EXE_vswitch"), "bridge", "create", "br0"])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let expected = "vswitch: create bridge br0: Operation not permitted (os error 1) (run as root, \
                    or give it CAP_NET_ADMIN)\n";
    assert_eq!((stderr.as_ref(), output.status.code()), (expected, Some(1)));
}

#[test]
fn each_command_has_an_example_and_wrong_usage_is_exit_2() {
    for command in [
        "if",
        "if list",
        "if pair",
        "if pair create",
        "if pair destroy",
        "if destroy",
        "if up",
        "if down",
        "if mtu",
        "bridge",
        "bridge create",
        "bridge destroy",
        "bridge members",
        "bridge add",
        "bridge remove",
        "bridge ensure",
    ] {
        let help = text(&format!("{command} --help"));
        assert_eq!(help.matches("Example:\n  vswitch ").count(), 1, "{command}: {help}");
    }
    for arguments in ["if", "if mtu lo", "if mtu lo many", "if mtu lo -1", "bridge add br0"] {
        let output = vswitch(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments}: {output:?}");
    }
}
