//! What the kernel passes to the switch: everything, unless every port says who is behind it.
#![cfg(target_os = "linux")]

mod support;

use support::frame::{BROADCAST, Mac, TPID_C, guest_mac, numbered, tagged, text};
use support::host::Host;
use support::lab::{self, Room, link, output};
use support::switch::Switch;
use support::{QUIET, wait_for};

const FAR_IP: &str = "192.0.2.9/24";
const FOREIGN: u32 = 100;

/// A host behind an uplink of each kind; the second time in the other's place.
fn each_uplink(mut test: impl FnMut(&Host, &str)) {
    lab::bridge(1500);
    test(&Host::behind("br0", "lan", "far", FAR_IP), "bridge:br0");
    test(&Host::on_cable("card", "far", FAR_IP, 1500), "iface:card");
}

fn declared(name: &str, mac: Mac) -> String {
    format!("{name},mac={}", text(mac))
}

/// How many instructions the filter of the packet socket on `interface` has, by ss(8).
fn filter_len(interface: &str) -> Option<usize> {
    let said = output("ss", "-0 -b -n -H");
    let mut lines = said.lines().skip_while(|line| !line.contains(&format!("*:{interface} ")));
    lines.next().unwrap_or_else(|| panic!("no packet socket on {interface}: {said}"));
    let (_, filter) = lines.next()?.split_once("bpf filter (")?;
    Some(filter.split_once(')').expect("a number in parentheses").0.parse().expect("a number"))
}

/// Sends frames for others, then one for each of `known`, which must come to the card's port.
fn send_foreign_then_known(host: &Host, room: &Room, known: &[Vec<u8>]) {
    let (far, sender) = (host.mac("far"), host.sender("far"));
    let vm1 = room.card("vm1");
    for number in 0..FOREIGN {
        let [.., high, low] = number.to_be_bytes();
        sender.send(&numbered([0x52, 0x54, 0x99, 0, high, low], far, number, 60));
    }
    for frame in known {
        sender.send(frame);
        vm1.expect("a frame for the guest", |seen| seen == frame);
    }
}

#[test]
fn with_every_address_declared_the_kernel_keeps_what_is_for_others() {
    if !lab::enter() {
        return;
    }
    let [a, b] = [guest_mac(1), guest_mac(2)];
    each_uplink(|host, uplink| {
        let room = Room::new();
        let switch = Switch::start(&room, uplink, &[&declared("vm1", a), &declared("vm2", b)]);
        let filter = filter_len(&switch.switch_end());
        assert!(filter.is_some_and(|len| len > 4), "{uplink}: {filter:?}");
        let far = host.mac("far");
        let to_a = numbered(a, far, 1000, 60);
        let known = [
            to_a.clone(),
            tagged(&to_a, &[(TPID_C, 5)]),
            numbered(BROADCAST, far, 1001, 60),
            numbered([0x01, 0, 0x5e, 1, 2, 3], far, 1002, 60),
            numbered([0x33, 0x33, 0, 0, 0, 1], far, 1003, 60),
        ];
        send_foreign_then_known(host, &room, &known);
        let vm2 = room.card("vm2");
        host.sender("far").send(&numbered(b, far, 1004, 60));
        vm2.expect("a frame for the second guest", |frame| frame[..6] == b);
        let received = switch.stop().count("uplink", "received_frames");
        // What else there is: reports of multicast groups.
        assert!((6..u64::from(FOREIGN)).contains(&received), "{uplink}: {received}");
    });
}

#[test]
fn one_undeclared_address_opens_it() {
    if !lab::enter() {
        return;
    }
    each_uplink(|host, uplink| {
        let room = Room::new();
        let ports = [&declared("vm1", guest_mac(1)), "vm2"];
        let switch = Switch::start(&room, uplink, &ports);
        assert_eq!(filter_len(&switch.switch_end()), None, "{uplink}");
        send_foreign_then_known(host, &room, &[numbered(guest_mac(1), host.mac("far"), 1000, 60)]);
        let received = switch.stop().count("uplink", "received_frames");
        assert!(received > u64::from(FOREIGN), "{uplink}: {received}");
    });
}

#[test]
fn a_silent_guest_is_reached_by_the_first_frame_for_it() {
    if !lab::enter() {
        return;
    }
    each_uplink(|host, uplink| {
        let room = Room::new();
        let switch = Switch::start(&room, uplink, &["vm1,mac=52:54:00:00:00:01", "vm2"]);
        let vm2 = room.card("vm2");
        // The interface takes in what is for others.
        assert_eq!(link(&switch.switch_end()).expect("there")["promiscuity"], 1, "{uplink}");
        let silent = guest_mac(77);
        let first = numbered(silent, host.mac("far"), 1, 60);
        host.sender("far").send(&first);
        vm2.expect("the first unknown unicast", |frame| *frame == first);
        let stopped = switch.stop();
        assert_eq!(stopped.count("vm2", "received_frames"), 0, "it was silent");
        if uplink == "iface:card" {
            assert_eq!(link("card").expect("there")["promiscuity"], 0, "it was not given back");
        }
    });
}

#[test]
fn more_addresses_than_a_filter_may_have_open_it() {
    if !lab::enter() {
        return;
    }
    lab::bridge(1500);
    let host = Host::behind("br0", "lan", "far", FAR_IP);
    for (ports, narrows) in [(256_u16, true), (257, false)] {
        let room = Room::new();
        // The first port has the last address, which the filter compares last.
        let mac = |number: u16| {
            let [high, low] = (ports - number).to_be_bytes();
            [0x52, 0x54, 0, 1, high, low]
        };
        let specs: Vec<_> =
            (0..ports).map(|number| declared(&format!("vm{}", number + 1), mac(number))).collect();
        let specs: Vec<_> = specs.iter().map(String::as_str).collect();
        let switch = Switch::start(&room, "bridge:br0", &specs);
        assert_eq!(filter_len(&switch.switch_end()).is_some(), narrows, "{ports} ports");
        let to_first = numbered(mac(0), host.mac("far"), 1000, 60);
        send_foreign_then_known(&host, &room, &[to_first]);
        let last = room.card(&format!("vm{ports}"));
        let to_last = numbered(mac(ports - 1), host.mac("far"), 1001, 60);
        wait_for("a frame for the last port", || {
            host.sender("far").send(&to_last);
            last.next(QUIET).is_some_and(|frame| frame == to_last)
        });
        let received = switch.stop().count("uplink", "received_frames");
        assert_eq!(received < u64::from(FOREIGN), narrows, "{ports} ports: {received}");
    }
}
