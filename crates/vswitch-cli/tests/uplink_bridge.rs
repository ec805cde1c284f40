//! The pair into a bridge, on a real kernel: what is made, and that all of it is undone.
#![cfg(target_os = "linux")]

mod support;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::capture::Capture;
use support::frame::{self, BROADCAST, guest_mac, numbered};
use support::host::{Host, mac_of};
use support::lab::{self, Room, expect_as_before, ip, link, members, snapshot};
use support::switch::Switch;

const UPLINK: &str = "bridge:br0";

#[test]
fn a_pair_joins_the_bridge_and_goes_with_each_way_to_end() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    let before = snapshot();
    let br0_mac = mac_of("br0");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let room = Room::new();
        let switch = Switch::start(&room, UPLINK, &["vm1"]);
        check_pair(&switch.ready);
        assert_eq!(mac_of("br0"), br0_mac, "the bridge is known by its address");
        let stopped = switch.end_by(signal);
        assert!(stopped.log.contains("uplink"), "no table of counters: {}", stopped.log);
        expect_as_before(&before);
        assert!(!room.path("vm1").exists(), "the port's path is left");
    }
}

fn check_pair(ready: &Value) {
    let interface =
        |name, role, created| json!({"name": name, "role": role, "mtu": 1500, "created": created});
    let expected = json!([
        interface("br0", "bridge", false),
        interface("vsw0m", "member", true),
        interface("vsw0", "switch_end", true),
    ]);
    assert_eq!(ready["interfaces"], expected);
    assert_eq!(members("br0"), ["lan", "vsw0m"]);
    let (ours, theirs) = (link("vsw0").expect("made"), link("vsw0m").expect("made"));
    for (end, peer) in [(&ours, "vsw0m"), (&theirs, "vsw0")] {
        assert_eq!(end["linkinfo"]["info_kind"], "veth");
        assert_eq!(end["link"], peer);
        assert_eq!(end["operstate"], "UP");
        assert_eq!(end["addr_info"], json!([]));
        assert!(end["flags"].as_array().expect("flags").contains(&json!("NOARP")), "{end}");
    }
    assert_eq!(ours["master"], Value::Null);
}

#[test]
fn a_failed_start_leaves_nothing() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    ip("link add card type veth peer name wall");
    let before = snapshot();
    let room = Room::new();
    fs::write(room.path("vm2"), "somebody's letters").expect("write a file");
    let uplinks = [UPLINK, "bridge:br9,create", "bridge:br9,create,member=card", "iface:card"];
    for uplink in uplinks {
        let said = Switch::refused(&room, uplink, &["vm1", "vm2"]);
        assert!(said.contains("vswitch: start the switch: port vm2"), "{said}");
        assert!(said.contains("a file that is no socket is there"), "{said}");
        expect_as_before(&before);
        assert!(!room.path("vm1").exists(), "the first port's path is left");
        assert_eq!(fs::read(room.path("vm2")).expect("still there"), b"somebody's letters");
    }
}

#[test]
fn what_is_missing_or_of_another_kind_is_said() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    ip("link add card type veth peer name wall");
    ip("link add other type bridge");
    ip("link set wall master other");
    let before = snapshot();
    let room = Room::new();
    for (uplink, why) in [
        ("bridge:br7", "no interface br7"),
        ("bridge:card", "card is no bridge, its kind is veth"),
        ("bridge:a-name-far-too-long", "a-name-far-too-long"),
        ("bridge:br0,create", "br0 exists already (leave out \"create\" to join it)"),
        ("bridge:card,create", "card exists already"),
        ("bridge:br0,member=nobody", "no interface nobody"),
        ("bridge:br9,create,member=nobody", "no interface nobody"),
        ("bridge:br0,member=wall", "wall belongs to other"),
        ("bridge:br9,create,member=wall", "wall belongs to other"),
        ("bridge:br0,member=br0", "br0"),
        ("iface:eth7", "no interface eth7"),
        ("iface:a-name-far-too-long", "a-name-far-too-long"),
        ("iface:lo", "lo carries no Ethernet frames, its kind is loopback"),
    ] {
        let said = Switch::refused(&room, uplink, &["vm1"]);
        let start = format!("vswitch: start the switch: uplink {uplink}: ");
        assert!(said.contains(&start) && said.contains(why), "{uplink}: {said}");
        assert_eq!(said.lines().count(), 1, "{uplink}: {said}");
        expect_as_before(&before);
    }
}

#[test]
fn a_bridge_of_its_own_is_made_and_undone() {
    if !lab::enter() {
        return;
    }
    ip("link add card mtu 4000 type veth peer name wall");
    let lan = Host::new();
    lan.take("wall", "192.0.2.9/24");
    let before = snapshot();
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br9,create,member=card", &["vm1"]);
    assert_eq!(members("br9"), ["card", "vsw0m"]);
    for name in ["br9", "card", "vsw0", "vsw0m"] {
        let link = link(name).expect("there");
        assert_eq!((&link["operstate"], &link["mtu"]), (&json!("UP"), &json!(4000)), "{name}");
    }
    // And it carries frames: from the guest to the far end of the card.
    let wall = lan.run(|| Capture::start("wall", ""));
    let frame = numbered(BROADCAST, guest_mac(1), 1, 64);
    let vm1 = room.card("vm1");
    support::wait_for("the guest's frame behind the card", || {
        // A card that was just set up takes its time.
        vm1.send(&frame);
        wall.frames().contains(&frame)
    });
    drop(wall);
    switch.stop();
    expect_as_before(&before);
}

#[test]
fn a_member_that_was_lent_is_released() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    for state in ["down", "up"] {
        let _lan = Host::on_cable("card", "wall", "192.0.2.10/24", 1500);
        ip(&format!("link set card {state}"));
        let before = snapshot();
        let room = Room::new();
        let switch = Switch::start(&room, "bridge:br0,member=card", &["vm1"]);
        assert_eq!(members("br0"), ["lan", "card", "vsw0m"]);
        support::wait_for("card is up", || {
            link("card").is_some_and(|card| card["operstate"] == "UP")
        });
        switch.stop();
        expect_as_before(&before);
        ip("link del card");
    }
}

#[test]
fn a_member_that_was_there_stays() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    let before = snapshot();
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0,member=lan", &["vm1"]);
    assert!(!switch.log().contains("addresses"), "{}", switch.log());
    switch.stop();
    expect_as_before(&before);
}

#[test]
fn a_member_with_addresses_is_warned_of() {
    if !lab::enter() {
        return;
    }
    ip("link add card type veth peer name wall");
    ip("link set card up");
    ip("addr add 198.51.100.1/24 dev card");
    let before = snapshot();
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br9,create,member=card", &["vm1"]);
    switch.expect_log("does not use its own addresses");
    switch.expect_log("card");
    switch.stop();
    expect_as_before(&before);
}

#[test]
fn two_switches_share_a_bridge() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    let before = snapshot();
    let rooms = [Room::new(), Room::new()];
    let mut switches = rooms.each_ref().map(|room| Some(Switch::start(room, UPLINK, &["vm1"])));
    assert_eq!(members("br0"), ["lan", "vsw0m", "vsw1m"]);
    let cards = rooms.each_ref().map(|room| room.card("vm1"));
    let (a, b) = (guest_mac(1), guest_mac(2));
    let hello = numbered(BROADCAST, a, 1, 64);
    cards[0].send(&hello);
    cards[1].expect("a broadcast from the other switch's guest", |frame| *frame == hello);
    let answer = numbered(a, b, 2, 1514);
    cards[1].send(&answer);
    cards[0].expect("the answer", |frame| *frame == answer);

    switches[0].take().expect("runs").stop();
    assert_eq!(members("br0"), ["lan", "vsw1m"]);
    let far = Capture::start("br0", "");
    let more = numbered(BROADCAST, b, 3, 64);
    cards[1].send(&more);
    far.expect_frame("a frame of the one that is left", &more);
    drop(far);
    switches[1].take().expect("runs").stop();
    expect_as_before(&before);
}

#[test]
fn switches_that_start_at_once_find_names_of_their_own() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let before = snapshot();
    let rooms: Vec<_> = (0..4).map(|_| Room::new()).collect();
    let switches: Vec<_> = std::thread::scope(|scope| {
        let starts: Vec<_> = rooms
            .iter()
            .map(|room| scope.spawn(|| Switch::start(room, UPLINK, &["vm1"])))
            .collect();
        starts.into_iter().map(|start| start.join().expect("started")).collect()
    });
    let mut names: Vec<_> = switches.iter().map(Switch::switch_end).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
    for room in &rooms {
        let card = room.card("vm1");
        let frame = numbered(BROADCAST, guest_mac(1), 1, 64);
        host.sender("far").send(&frame);
        card.expect("a frame from the LAN", |seen| *seen == frame);
    }
    switches.into_iter().for_each(|switch| drop(switch.stop()));
    expect_as_before(&before);
}

#[test]
fn what_a_killed_switch_left_the_next_one_takes_away() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let before = snapshot();
    let room = Room::new();
    let elsewhere = Room::new();
    let others = Switch::start(&elsewhere, "bridge:br5,create", &["vm1"]);
    Switch::start(&room, UPLINK, &["vm1"]).kill();
    assert_eq!(members("br0"), ["lan", "vsw1m"], "this much is left");
    // Named as if it were a switch's.
    ip("link add vsw7 type veth peer name vsw7m");

    // The same ports, whose paths were left too.
    let switch = Switch::start(&room, UPLINK, &["vm1"]);
    assert_eq!(switch.switch_end(), "vsw1");
    switch.expect_log("left by a dead switch: taken away");
    assert!(link("vsw7").is_some() && link("br5").is_some(), "others' things stay");
    others.stop();
    ip("link del vsw7");
    let card = room.card("vm1");
    let question =
        frame::Arp::request((guest_mac(1), [192, 0, 2, 50].into()), [192, 0, 2, 9].into());
    card.send(&question);
    let reply = card.expect("an answer from the LAN", |seen| {
        frame::Arp::parse(seen).is_some_and(|arp| arp.operation == frame::Arp::REPLY)
    });
    assert_eq!(reply[6..12], host.mac("far"));
    switch.stop();
    expect_as_before(&before);
}

#[test]
fn a_bridge_of_a_killed_switchs_own_is_made_again() {
    if !lab::enter() {
        return;
    }
    let before = snapshot();
    let room = Room::new();
    for _ in 0..3 {
        Switch::start(&room, "bridge:br5,create", &["vm1"]).kill();
        assert_eq!(members("br5"), ["vsw0m"]);
    }
    Switch::start(&room, "bridge:br5,create", &["vm1"]).stop();
    expect_as_before(&before);
}

/// `vswitch clean` with these options: what it prints.
fn clean(options: &str) -> String {
    lab::output(env!("CARGO_BIN_EXE_vswitch"), &format!("clean {options}"))
}

#[test]
fn clean_takes_away_what_was_left_and_only_that() {
    if !lab::enter() {
        return;
    }
    let _neighbour = Host::behind_a_new_bridge();
    let before = snapshot();
    let (dead, living) = (Room::new(), Room::new());
    let switch = Switch::start(&living, UPLINK, &["vm1"]);
    Switch::start(&dead, "bridge:br5,create", &["vm1"]).kill();
    ip("link add vsw7 type veth peer name vsw7m");
    let left: Value = serde_json::from_str(&clean("--dry-run --json")).expect("JSON");
    let names: Vec<_> = left.as_array().expect("a list").iter().map(|of| &of["name"]).collect();
    assert_eq!(names, ["br5", "vsw1"]);
    assert!(link("br5").is_some(), "a dry run takes nothing away");
    let told = clean("");
    assert!(told.contains("br5") && told.contains("vsw1"), "{told}");
    assert!(link("br5").is_none() && link("vsw1").is_none() && link("vsw1m").is_none());
    assert!(clean("").contains("nothing was left"));
    assert!(link("vsw7").is_some() && link("vsw0").is_some());
    ip("link del vsw7");
    switch.stop();
    expect_as_before(&before);
}
