//! What the kernel tells of interfaces, on the real one.
#![cfg(target_os = "linux")]

mod common;

use std::time::Duration;

use common::{interfaces_in_own_namespace, ip_does};
use ifctl::{Change, Events};

/// Waits until one of the events that come says this of an interface.
#[track_caller]
fn expect(events: &mut Events, name: &str, change: Change) {
    let is_told = testkit::wait_until(Duration::from_secs(10), || {
        let mut is_told = false;
        while let Some(event) = events.next_event().expect("the kernel answers") {
            is_told |= event.name == name && event.change == change;
        }
        is_told
    });
    assert!(is_told, "{change:?} is not told of {name}");
}

#[test]
fn whatever_happens_to_an_interface_is_told() {
    if interfaces_in_own_namespace().is_none() {
        return;
    }
    let mut events = Events::open().expect("a socket");
    assert_eq!(events.next_event().expect("it answers"), None);
    ip_does("link add br0 type bridge");
    expect(&mut events, "br0", Change::Changed);
    ip_does("link add v0 type veth peer name v1");
    expect(&mut events, "v1", Change::Changed);
    for change in [
        "link set v0 master br0",
        "link set v0 nomaster",
        "link set v0 mtu 1400",
        "link set v0 up",
        "link set v0 down",
    ] {
        assert_eq!(events.next_event().expect("it answers"), None, "before {change}");
        ip_does(change);
        expect(&mut events, "v0", Change::Changed);
    }
    ip_does("link set v0 name w0");
    expect(&mut events, "w0", Change::Changed);
    ip_does("link del w0");
    expect(&mut events, "w0", Change::Gone);
    // A member that leaves with its bridge is not gone.
    ip_does("link add v0 type veth peer name v1");
    ip_does("link set v0 master br0");
    while events.next_event().expect("it answers").is_some() {}
    ip_does("link del br0");
    let mut of_v0 = Vec::new();
    let is_gone = testkit::wait_until(Duration::from_secs(10), || {
        let mut is_gone = false;
        while let Some(event) = events.next_event().expect("it answers") {
            of_v0.extend((event.name == "v0").then_some(event.change));
            is_gone |= event.name == "br0" && event.change == Change::Gone;
        }
        is_gone
    });
    assert!(is_gone && !of_v0.is_empty(), "{of_v0:?}");
    assert!(of_v0.iter().all(|change| *change == Change::Changed), "{of_v0:?}");
}

#[test]
fn events_that_found_no_room_are_told_as_lost_and_the_next_ones_come() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let mut events = Events::open().expect("a socket");
    interfaces.create_bridge("br0").expect("a bridge");
    for _ in 0..2000 {
        interfaces.set_mtu("br0", 1400).expect("an MTU");
        interfaces.set_mtu("br0", 1500).expect("an MTU");
    }
    let mut is_lost = false;
    while let Some(event) = events.next_event().expect("it answers") {
        is_lost |= event.change == Change::Lost;
    }
    assert!(is_lost, "so many find no room");
    interfaces.create_bridge("br1").expect("a bridge");
    expect(&mut events, "br1", Change::Changed);
}
