//! What `list` and `find` tell, compared with iproute2.
#![cfg(target_os = "linux")]

mod common;

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::sync::mpsc;

use common::{interfaces_in_own_namespace, ip, ip_can, ip_does};
use ifctl::{Error, Flags, Interface, Interfaces, Kind, PairOptions};
use serde_json::Value;

#[test]
fn it_agrees_with_iproute2_on_every_interface() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_bridge("br0").unwrap();
    interfaces
        .create_pair("v0", "v1", PairOptions { mtu: Some(9000), ..PairOptions::default() })
        .unwrap();
    interfaces.add_member("br0", "v0").unwrap();
    interfaces.set_up("v0", true).unwrap();
    interfaces.set_up("v1", true).unwrap();
    interfaces.set_up("lo", true).unwrap();
    ip_does("link add promiscuous-v2 type veth peer name v3");
    ip_does("link set promiscuous-v2 up promisc on arp off");
    let more = KINDS.iter().filter(|(_, how)| ip_can(how)).count();
    ip_does("addr add 192.0.2.1/24 dev br0");
    ip_does("addr add 192.0.2.2/24 dev br0");
    ip_does("addr add 198.51.100.1 peer 198.51.100.2/32 dev br0");
    ip_does("addr add fd00::1/64 dev br0 nodad");
    ip_does("addr add fd00:1::1 peer fd00:1::2/128 dev br0 nodad");
    assert_agreement(&mut interfaces, 6 + more);

    for (name, how) in KINDS {
        let Ok(found) = interfaces.find(name) else { continue };
        let kind = how.split_whitespace().skip_while(|word| *word != "type").nth(1);
        assert_eq!(Some(found.kind.to_string().as_str()), kind);
    }
    let br0 = interfaces.find("br0").unwrap();
    let addresses: Vec<String> = br0.addresses.iter().map(ToString::to_string).collect();
    // With the kernel's own order, and the near end's address where there is a far one.
    let near = ["198.51.100.1/32", "fd00:1::1/128"].map(String::from);
    assert!(near.iter().all(|address| addresses.contains(address)), "{addresses:?}");
    assert_eq!(interfaces.find("v0").unwrap().master.as_deref(), Some("br0"));
    let promiscuous = interfaces.find("promiscuous-v2").unwrap();
    assert!(promiscuous.flags.contains(Flags::PROMISC | Flags::UP | Flags::NOARP));
}

#[test]
fn a_programs_interfaces_are_tap_and_tun() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    if !ip_can("tuntap add tap0 mode tap") {
        testkit::skip("/dev/net/tun is closed");
        return;
    }
    ip_does("tuntap add tun0 mode tun");
    assert_eq!(interfaces.find("tap0").unwrap().kind, Kind::Tap);
    let tun = interfaces.find("tun0").unwrap();
    assert_eq!((tun.kind, tun.mac), (Kind::Tun, None));
}

#[test]
fn two_hundred_interfaces_with_addresses_are_all_there() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    for n in 0..100 {
        let (a, b) = (format!("first-of-pair{n}"), format!("b{n}"));
        interfaces.create_pair(&a, &b, PairOptions::default()).unwrap();
        for end in [&a, &b] {
            let address = format!("fd00:{n:x}::{}", if end == &a { 1 } else { 2 });
            interfaces.add_address(end, address.parse().unwrap(), 64).unwrap();
        }
        interfaces.add_address(&a, IpAddr::from([10, 0, n, 1]), 24).unwrap();
    }
    assert_agreement(&mut interfaces, 201);
}

#[test]
fn a_name_that_is_no_utf8_hides_no_other_interface() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let name = std::ffi::OsStr::from_bytes(b"x\xff\xfe");
    let status = Command::new("ip")
        .args(["link", "add"])
        .arg(name)
        .args(["type", "veth", "peer", "name", "after"])
        .status()
        .unwrap();
    assert!(status.success());
    let names: Vec<String> =
        interfaces.list().unwrap().into_iter().map(|interface| interface.name).collect();
    assert_eq!(names, ["lo", "after", "x\u{fffd}\u{fffd}"]);
}

#[test]
fn a_peer_elsewhere_has_no_index_here() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("here", "there", PairOptions::default()).unwrap();
    let peer = interfaces.find("there").unwrap().index;
    assert_eq!(interfaces.find("here").unwrap().peer_index, Some(peer));

    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let elsewhere = std::thread::spawn(move || {
        assert!(testkit::netns::enter_or_skip());
        tell.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
        assert!(ended.recv().is_err(), "the other side only hangs up");
    });
    let thread = told.recv().unwrap();
    let thread = thread.file_name().and_then(|name| name.to_str()).unwrap();
    ip_does(&format!("link set there netns {thread}"));
    assert_eq!(interfaces.find("here").unwrap().peer_index, None);
    assert!(matches!(interfaces.find("there"), Err(Error::NotFound { .. })));
    drop(end);
    elsewhere.join().unwrap();
}

#[test]
fn a_handle_stays_in_the_namespace_it_was_opened_in() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_bridge("br0").unwrap();
    let elsewhere = std::thread::spawn(move || {
        assert!(testkit::netns::enter_or_skip());
        interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
        interfaces.add_member("br0", "v0").unwrap();
        interfaces.disable_offloads("v0").unwrap();
        // /proc/sys shows this thread's namespace, in which v0 would be somebody else's.
        let refused = interfaces.mute("v0").unwrap_err();
        assert!(matches!(refused, Error::OtherNamespace { .. }), "{refused}");
        assert_eq!(ip("link").len(), 1, "only lo is here");
        interfaces
    });
    let mut interfaces = elsewhere.join().unwrap();
    assert_eq!(ip("link").len(), 4);
    interfaces.mute("v0").unwrap();
}

#[test]
fn what_does_not_exist_is_said_so() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let error = interfaces.find("nowhere").unwrap_err();
    assert!(matches!(&error, Error::NotFound { name, .. } if name == "nowhere"));
    assert_eq!(error.to_string(), "find nowhere: there is no interface nowhere");
    let error = interfaces.find("a-name-too-long-for-it").unwrap_err();
    assert!(matches!(error, Error::InvalidName { .. }));
    assert_eq!(error.to_do().as_deref(), Some("choose a name of at most 15 bytes"));
}

/// Kinds of interface that a kernel may have, and how iproute2 makes one.
const KINDS: [(&str, &str); 5] = [
    ("v1.7", "link add link v1 name v1.7 type vlan id 7"),
    ("fifteen-bytes-x", "link add fifteen-bytes-x type dummy"),
    ("vxlan0", "link add vxlan0 type vxlan id 5 dstport 4789"),
    ("ifb5", "link add ifb5 type ifb"),
    ("macvlan0", "link add link v1 name macvlan0 type macvlan"),
];

/// Compares `list` and each `find` with `ip -j -d addr`.
fn assert_agreement(interfaces: &mut Interfaces, count: usize) {
    let ours = interfaces.list().unwrap();
    let theirs = ip("addr");
    assert_eq!(ours.len(), count);
    assert_eq!(ours.len(), theirs.len());
    for ours in &ours {
        assert_same(ours, common::named(&theirs, "ifname", &ours.name), &theirs);
        assert_eq!(&interfaces.find(&ours.name).unwrap(), ours);
    }
}

fn assert_same(ours: &Interface, theirs: &Value, all: &[Value]) {
    let name = &ours.name;
    assert_eq!(theirs["ifindex"], ours.index, "{name}");
    assert_eq!(theirs["mtu"], ours.mtu, "{name}");
    assert_eq!(theirs["operstate"], ours.state.to_string().to_uppercase(), "{name}");
    assert_eq!(theirs["master"].as_str(), ours.master.as_deref(), "{name}");
    let mac = ours.mac.map(|mac| mac.map(|byte| format!("{byte:02x}")).join(":"));
    assert_eq!(theirs["address"].as_str(), mac.as_deref(), "{name}");
    let kind = theirs["linkinfo"]["info_kind"].as_str().or(theirs["link_type"].as_str());
    assert_eq!(kind.map(|kind| kind.replace("ether", "ethernet")), Some(ours.kind.to_string()));
    let peer = ours.peer_index.map(|index| {
        all.iter().find(|value| value["ifindex"] == index).unwrap()["ifname"].as_str().unwrap()
    });
    assert_eq!(theirs["link"].as_str().filter(|_| ours.kind == Kind::Veth), peer, "{name}");

    let addresses: Vec<String> =
        theirs["addr_info"].as_array().unwrap().iter().map(address).collect();
    let ours_text: Vec<String> = ours.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ours_text, "{name}");

    // iproute2 shows RUNNING as the absence of NO-CARRIER, and LOWER_UP beside UP.
    for (flag, value) in ours.flags.iter_names().filter(|(flag, _)| *flag != "RUNNING") {
        assert!(has_flag(theirs, flag), "{name}: {flag} of {:?}", value);
    }
    for flag in ["UP", "BROADCAST", "LOOPBACK", "NOARP", "PROMISC", "MULTICAST", "LOWER_UP"] {
        let is_ours = ours.flags.iter_names().any(|(ours, _)| ours == flag);
        assert_eq!(has_flag(theirs, flag), is_ours, "{name}: {flag}");
    }
}

fn has_flag(theirs: &Value, flag: &str) -> bool {
    theirs["flags"].as_array().unwrap().iter().any(|value| value == flag)
}

fn address(info: &Value) -> String {
    format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"])
}
