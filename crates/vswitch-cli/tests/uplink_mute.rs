//! The pair has nothing to say: what is heard of the host is the bridge's alone.
#![cfg(target_os = "linux")]

mod support;

use std::net::Ipv4Addr;
use std::time::Duration;

use support::capture::{Capture, describe};
use support::frame::{Arp, Mac, guest_mac, text};
use support::host::{Host, mac_of};
use support::lab::{self, Room, ip};
use support::switch::Switch;

const BRIDGE_IP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Long enough for router solicitations (after 1 s at most), duplicate address detection and
/// multicast reports (after up to 1 s, twice).
const LONG_ENOUGH: Duration = Duration::from_millis(3500);

#[test]
fn a_guest_that_asks_for_the_bridge_has_one_answer() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["vm1", "vm2"]);
    let (vm1, vm2) = (room.card("vm1"), room.card("vm2"));
    let guest = (guest_mac(1), Ipv4Addr::new(192, 0, 2, 51));
    vm1.send(&Arp::request(guest, BRIDGE_IP));
    let answers = arp_replies(&vm1.listen(Duration::from_secs(1)));
    assert_eq!(senders(&answers), [(mac_of("br0"), BRIDGE_IP)]);
    assert_eq!(answers[0].target, guest);
    assert_eq!(arp_replies(&vm2.listen(support::QUIET)), []);
    switch.stop();
}

#[test]
fn a_neighbour_that_asks_for_the_bridge_has_one_answer() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let host = Host::behind("br0", "lan", "far", "192.0.2.9/24");
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    let vm1 = room.card("vm1");
    let (heard, passed) =
        (host.run(|| Capture::incoming("far", "arp")), Capture::start(&switch.switch_end(), "arp"));
    let question = Arp::request((host.mac("far"), [192, 0, 2, 9].into()), BRIDGE_IP);
    host.sender("far").send(&question);
    // The question goes to the guest too: by the switch's end, which could answer it.
    vm1.expect("the question", |frame| *frame == question);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(senders(&arp_replies(&heard.frames())), [(mac_of("br0"), BRIDGE_IP)]);
    assert_eq!(arp_replies(&passed.frames()), []);
    switch.stop();
}

#[test]
fn nothing_comes_from_the_pair_itself() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    // Otherwise it takes the lowest of its members' for its own, and that may be the pair's.
    ip("link set br0 address 02:00:00:00:00:99");
    // The host is a router as well: such a one also joins the groups of routers, and tells.
    for setting in ["ipv6/conf/all/forwarding", "ipv4/conf/all/forwarding"] {
        std::fs::write(format!("/proc/sys/net/{setting}"), "1").expect("a setting");
    }
    let host = Host::behind("br0", "lan", "far", "192.0.2.9/24");
    // From before the pair is there: what its switch's end says comes by here.
    let lan = Capture::start("br0", "");
    let room = Room::new();
    let switch = Switch::start(&room, "bridge:br0", &["vm1"]);
    // And what the bridge's member says comes to the guest; as it was sent, not only as it arrived.
    let (ours, theirs) = (switch.switch_end(), "vsw0m");
    let vm1 = room.card("vm1");
    let ends = [Capture::start(&ours, ""), Capture::start(theirs, "")];
    let (ours, theirs) = (mac_of(&ours), mac_of(theirs));
    host.run(|| ip("-6 addr add 2001:db8::9/64 dev far"));
    let heard = vm1.listen(LONG_ENOUGH);
    let known = [mac_of("br0"), host.mac("far"), mac_of("lan")];
    let all = [heard.clone(), lan.frames(), ends[0].frames(), ends[1].frames()];
    for frames in &all {
        let strange: Vec<_> = frames.iter().filter(|f| !known.contains(&source(f))).collect();
        assert!(strange.is_empty(), "{} or {}: {}", text(ours), text(theirs), describe(frames));
    }
    // It was not quiet for other reasons: the neighbour's solicitations were heard.
    assert!(heard.iter().any(|frame| source(frame) == host.mac("far")), "{}", describe(&heard));
    assert_eq!(lan.from(ours) + lan.from(theirs), 0);
    switch.stop();
}

fn source(frame: &[u8]) -> Mac {
    frame[6..12].try_into().expect("six bytes")
}

fn arp_replies(frames: &[Vec<u8>]) -> Vec<Arp> {
    let packets = frames.iter().filter_map(|frame| Arp::parse(frame));
    packets.filter(|arp| arp.operation == Arp::REPLY).collect()
}

fn senders(packets: &[Arp]) -> Vec<(Mac, Ipv4Addr)> {
    packets.iter().map(|arp| arp.sender).collect()
}
