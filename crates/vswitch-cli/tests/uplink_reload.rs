//! Uplinks of a switch whose configuration is read again.
#![cfg(target_os = "linux")]

mod support;

use serde_json::{Value, json};
use support::frame::{guest_mac, numbered, text};
use support::host::Host;
use support::lab::{self, Room, ip, link, members};
use support::switch::Switch;
use support::{QUIET, wait_for};

/// A network `lan` with datagram ports, some of which name their addresses.
fn lan(uplink: &str, ports: &[(&str, bool)]) -> String {
    let mut file = format!("[[network]]\nname = \"lan\"\nuplink = \"{uplink}\"\n");
    for (number, (name, is_named)) in (1..).zip(ports) {
        file += &format!("[[network.port]]\nname = \"{name}\"\nattach = \"unixgram:{name}\"\n");
        if *is_named {
            file += &format!("mac = \"{}\"\n", text(guest_mac(number)));
        }
    }
    file
}

fn done(added: &[&str], removed: &[&str], changed: &[&str]) -> Value {
    json!({
        "event": "reloaded", "added": added, "removed": removed, "changed": changed, "failed": []
    })
}

#[test]
fn the_kernel_passes_what_is_for_ports_that_are_there_now() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let (far, sender) = (host.mac("far"), host.sender("far"));
    let room = Room::new();
    let switch = Switch::configured(&room, &lan("bridge:br0", &[("vm1", true)]));
    let vm1 = room.card("vm1");
    let two = lan("bridge:br0", &[("vm1", true), ("vm2", true)]);
    assert_eq!(switch.reload(&room, &two), done(&["lan/vm2"], &[], &[]));
    let vm2 = room.card("vm2");
    for (number, card) in [(1, &vm1), (2, &vm2)] {
        sender.send(&numbered(guest_mac(number), far, u32::from(number), 60));
        card.expect("a frame for a guest", |frame| frame[..6] == guest_mac(number));
    }
    // One that may have any address: all comes, and what is for nobody known goes to all.
    let three = lan("bridge:br0", &[("vm1", true), ("vm2", true), ("vm3", false)]);
    assert_eq!(switch.reload(&room, &three), done(&["lan/vm3"], &[], &[]));
    let vm3 = room.card("vm3");
    sender.send(&numbered(guest_mac(9), far, 3, 60));
    vm3.expect("a frame for whoever is there", |frame| frame[..6] == guest_mac(9));
    // Again as at first: what is for others does not come any more.
    let first = lan("bridge:br0", &[("vm1", true)]);
    assert_eq!(switch.reload(&room, &first), done(&[], &["lan/vm2", "lan/vm3"], &[]));
    sender.send(&numbered(guest_mac(2), far, 4, 60));
    sender.send(&numbered(guest_mac(1), far, 5, 60));
    let heard = vm1.listen(QUIET);
    assert!(heard.iter().any(|frame| frame[..6] == guest_mac(1)));
    assert!(heard.iter().all(|frame| frame[..6] != guest_mac(2)));
    switch.stop();
}

#[test]
fn an_uplink_comes_goes_and_moves_while_its_ports_stay() {
    if !lab::enter() {
        return;
    }
    let host = Host::behind_a_new_bridge();
    let before = lab::snapshot();
    let (far, sender) = (host.mac("far"), host.sender("far"));
    let room = Room::new();
    let ports = [("vm1", false)];
    let switch = Switch::configured(&room, &lan("none", &ports));
    let vm1 = room.card("vm1");
    let reaches = |number| {
        wait_for("a frame from behind the bridge", || {
            sender.send(&numbered(guest_mac(7), far, number, 60));
            vm1.listen(QUIET).iter().any(|frame| frame[..6] == guest_mac(7))
        });
    };
    assert_eq!(switch.reload(&room, &lan("bridge:br0", &ports)), done(&["lan/uplink"], &[], &[]));
    reaches(1);
    assert!(members("br0").contains(&"vsw0m".to_owned()));
    // A bridge that is not there: told, and tried again.
    let elsewhere = lan("bridge:br9", &ports);
    let told = switch.reload(&room, &elsewhere);
    assert_eq!((&told["removed"], &told["added"]), (&json!(["lan/uplink"]), &json!([])));
    assert!(told["failed"][0].as_str().expect("why").contains("br9"), "{told}");
    assert!(link("vsw0").is_none(), "the pair into the old bridge is gone");
    ip("link add br9 type bridge");
    assert_eq!(switch.reload(&room, &elsewhere), done(&["lan/uplink"], &[], &[]));
    assert_eq!(members("br9"), ["vsw0m"]);
    assert_eq!(switch.reload(&room, &lan("bridge:br0", &ports)), done(&[], &[], &["lan/uplink"]));
    reaches(2);
    ip("link del br9");
    assert_eq!(switch.reload(&room, &lan("none", &ports)), done(&[], &["lan/uplink"], &[]));
    let stopped = switch.stop();
    assert_eq!(stopped.names().collect::<Vec<_>>(), ["vm1"]);
    lab::expect_as_before(&before);
}

#[test]
fn an_uplink_whose_interface_went_comes_back_by_itself() {
    if !lab::enter() {
        return;
    }
    let room = Room::new();
    let text = lan("iface:card", &[("vm1", false)]);
    let plug_in = || {
        ip("link add card type veth peer name far");
        ip("link set card up");
        ip("link set far up");
    };
    plug_in();
    let switch = Switch::configured(&room, &text);
    let vm1 = room.card("vm1");
    ip("link del card");
    switch.expect_log("the uplink is lost; waiting for it");
    assert_eq!(switch.reload(&room, &text), done(&[], &[], &[]), "it is kept");
    plug_in();
    let sender = support::host::FrameSender::open("far");
    wait_for("a frame through the new interface", || {
        sender.send(&numbered(guest_mac(7), guest_mac(8), 1, 60));
        vm1.listen(QUIET).iter().any(|frame| frame[..6] == guest_mac(7))
    });
    assert_eq!(switch.reload(&room, &text), done(&[], &[], &[]), "and then it is as it is wanted");
    switch.stop();
}
