//! A muted end says nothing, and without offloads frames are complete: seen by a packet socket and
//! by ethtool.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::sync::mpsc;
use std::time::Duration;

use common::capture::{Capture, Frame};
use common::{interfaces_in_own_namespace, ip, ip_does, named, output};
use ifctl::{Error, Flags, Interfaces, PairOptions};

#[test]
fn the_bridge_answers_arp_and_a_muted_end_does_not() {
    let Some(mut lan) = Lan::new() else { return };
    let bridge = lan.interfaces.find("br0").unwrap().mac.unwrap();
    assert_eq!(lan.answers(), [bridge]);
}

/// The fact that makes muting necessary, and the proof that the test above can fail.
#[test]
fn with_the_kernels_defaults_that_end_answers_for_the_bridge() {
    let Some(mut lan) = Lan::new() else { return };
    ip_does("link set vsw0p arp on");
    let mut expected = ["br0", "vsw0p"].map(|name| lan.interfaces.find(name).unwrap().mac.unwrap());
    let mut answers = lan.answers();
    expected.sort_unstable();
    answers.sort_unstable();
    assert_eq!(answers, expected);
}

#[test]
fn a_muted_pair_says_nothing_when_it_comes_up() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    // A router also joins the groups of routers, and reports that.
    ipv6_does("all/forwarding", "1");
    interfaces.create_pair("quiet0", "quiet1", PairOptions::default()).unwrap();
    interfaces.create_pair("loud0", "loud1", PairOptions::default()).unwrap();
    let mut index = |name| interfaces.find(name).unwrap().index;
    let quiet = [index("quiet0"), index("quiet1")];
    let loud = [index("loud0"), index("loud1")];
    interfaces.mute("quiet0").unwrap();
    interfaces.mute("quiet1").unwrap();

    let capture = Capture::start();
    for name in ["quiet0", "quiet1", "loud0", "loud1"] {
        interfaces.set_up(name, true).unwrap();
    }
    let of = |frames: &[Frame], pair: [u32; 2]| {
        frames.iter().filter(|frame| pair.contains(&frame.index)).count()
    };
    // Until the loud ones have probed their addresses and reported their groups.
    let frames = capture.until(Duration::from_secs(10), |frames| of(frames, loud) >= 8);
    assert!(of(&frames, loud) >= 8, "a default that this test needs: {frames:?}");
    assert_eq!(of(&frames, quiet), 0, "{frames:?}");
}

#[test]
fn a_muted_interface_has_no_arp_and_no_ipv6() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.mute("v0").unwrap();
    interfaces.mute("v0").unwrap();
    interfaces.set_up("v0", true).unwrap();
    interfaces.set_up("v1", true).unwrap();
    assert!(interfaces.find("v0").unwrap().flags.contains(Flags::NOARP));
    assert!(interfaces.find("v0").unwrap().addresses.is_empty());
    assert!(!interfaces.find("v1").unwrap().addresses.is_empty(), "v1 has a link-local address");
    assert_eq!(named(&ip("link"), "ifname", "v0")["inet6_addr_gen_mode"], "none");
    let read = fs::read_to_string("/proc/sys/net/ipv6/conf/v0/disable_ipv6").unwrap();
    assert_eq!(read.trim(), "1");

    // One that is up already, and has addresses.
    interfaces.mute("v1").unwrap();
    assert!(interfaces.find("v1").unwrap().addresses.is_empty());
}

#[test]
fn where_ipv6_is_off_already_there_is_nothing_to_write() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    ipv6_does("default/disable_ipv6", "1");
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.mute("v0").unwrap();
    // Too small for IPv6: the kernel has none on it.
    interfaces
        .create_pair("s0", "s1", PairOptions { mtu: Some(1000), ..PairOptions::default() })
        .unwrap();
    interfaces.mute("s0").unwrap();
    assert!(interfaces.find("s0").unwrap().flags.contains(Flags::NOARP));
}

#[test]
fn no_offload_is_left_on_a_pair() {
    if !testkit::tool_or_skip("ethtool", "ethtool") {
        return;
    }
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "a-name-of-15-by", PairOptions::default()).unwrap();
    for name in ["v0", "a-name-of-15-by"] {
        let before = features(name);
        for feature in OFFLOADS {
            assert_eq!(before[feature], "on", "{feature}: a default that this test needs");
        }
        ip_does(&format!("link set {name} up"));
        output("ethtool", &format!("-K {name} gro on rx-gro-list on"));
        interfaces.disable_offloads(name).unwrap();
        interfaces.disable_offloads(name).unwrap();
        let after = features(name);
        for (feature, state) in &after {
            let is_offload = OFFLOADS.contains(&feature.as_str())
                || feature.contains("segmentation")
                || feature.contains("checksum")
                || feature.contains("gro")
                || feature.contains("receive-offload");
            assert!(!is_offload || state.starts_with("off"), "{feature}: {state}");
        }
        assert_eq!(after["highdma"], before["highdma"], "what is no offload stays");
    }
}

#[test]
fn what_virtio_has_no_words_for_is_off_and_the_rest_stays() {
    if !testkit::tool_or_skip("ethtool", "ethtool") {
        return;
    }
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    output("ethtool", "-K v0 gro on rx-gro-list on");
    for uso in [true, false] {
        interfaces.limit_offloads_to_virtio("v0", uso).unwrap();
        let after = features("v0");
        for feature in OFFLOADS.iter().chain(&["tx-tcp-segmentation", "tx-tcp6-segmentation"]) {
            let stays = uso || *feature != "tx-udp-segmentation";
            assert_eq!(after[*feature], if stays { "on" } else { "off" }, "{feature}");
        }
        for feature in ["tx-checksum-sctp", "generic-receive-offload", "rx-gro-list"] {
            assert!(after[feature].starts_with("off"), "{feature}");
        }
        let tunnels = after.iter().filter(|(name, _)| name.contains("tnl"));
        assert!(tunnels.clone().count() >= 2);
        assert!({ tunnels }.all(|(_, state)| state.starts_with("off")));
    }
}

#[test]
fn offloads_that_stay_are_named() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    let error = interfaces.disable_offloads("lo").unwrap_err();
    let Error::OffloadsLeft { features, .. } = &error else { panic!("{error}") };
    assert!(features.iter().any(|name| name == "tx-checksum-ip-generic"), "{error}");
    let error = interfaces.disable_offloads("nothing").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

/// The fact behind `disable_offloads`: what the host sends has its checksum, where the other end
/// takes it.
#[test]
fn without_offloads_what_the_host_sends_is_complete() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.set_up("v0", true).unwrap();
    interfaces.set_up("v1", true).unwrap();
    interfaces.add_address("v0", [192, 0, 2, 1].into(), 24).unwrap();
    let end = interfaces.find("v1").unwrap();
    let mac = end.mac.unwrap().map(|byte| format!("{byte:02x}")).join(":");
    ip_does(&format!("neigh add 192.0.2.2 lladdr {mac} dev v0"));
    let sender = UdpSocket::bind("192.0.2.1:0").unwrap();
    let is_complete = || {
        let capture = Capture::start();
        sender.send_to(b"seventeen bytes..", "192.0.2.2:9").unwrap();
        let is_it = |frame: &Frame| frame.index == end.index && frame.udp_checksum_fits().is_some();
        let frames = capture.until(Duration::from_secs(5), |frames| frames.iter().any(is_it));
        frames.iter().find(|frame| is_it(frame)).and_then(Frame::udp_checksum_fits)
    };
    assert_eq!(is_complete(), Some(false), "a default that this test needs");
    interfaces.disable_offloads("v0").unwrap();
    assert_eq!(is_complete(), Some(true));
}

/// A bridge with an address and two members: the muted pair `vsw0`/`vsw0p`, and `lan`, whose other
/// end is a neighbour in a namespace of its own.
struct Lan {
    interfaces: Interfaces,
    neighbour: mpsc::Sender<()>,
}

impl Lan {
    fn new() -> Option<Self> {
        let mut interfaces = interfaces_in_own_namespace()?;
        interfaces.create_bridge("br0").unwrap();
        interfaces.create_pair("vsw0", "vsw0p", PairOptions::default()).unwrap();
        interfaces.create_pair("lan", "far", PairOptions::default()).unwrap();
        interfaces.mute("vsw0").unwrap();
        interfaces.mute("vsw0p").unwrap();
        interfaces.add_member("br0", "vsw0").unwrap();
        interfaces.add_member("br0", "lan").unwrap();
        interfaces.add_address("br0", [192, 0, 2, 1].into(), 24).unwrap();
        let neighbour = neighbour();
        for name in ["br0", "vsw0", "vsw0p", "lan"] {
            interfaces.set_up(name, true).unwrap();
        }
        assert!(testkit::wait_until(Duration::from_secs(5), || {
            let members = interfaces.members("br0").unwrap();
            members.iter().all(|member| member.state == ifctl::PortState::Forwarding)
        }));
        Some(Self { interfaces, neighbour })
    }

    /// Who answers when the neighbour asks for the bridge's address: their MAC addresses.
    fn answers(&mut self) -> Vec<[u8; 6]> {
        let lan = self.interfaces.find("lan").unwrap().index;
        let capture = Capture::start();
        self.neighbour.send(()).unwrap();
        // All that leaves towards the neighbour. A second answer comes at once or never; a second
        // of silence decides.
        let answer = |frame: &Frame| frame.arp_answer().filter(|_| frame.index == lan);
        let frames = capture.until(Duration::from_secs(5), |frames| {
            frames.iter().any(|frame| answer(frame).is_some())
        });
        frames.iter().filter_map(answer).collect()
    }
}

/// A thread in a namespace of its own, to which `far` is moved; it asks whenever it is told.
fn neighbour() -> mpsc::Sender<()> {
    let (tell, told) = mpsc::channel();
    let (ask, asked) = mpsc::channel();
    std::thread::spawn(move || {
        assert!(testkit::netns::enter_or_skip());
        tell.send(fs::read_link("/proc/thread-self").unwrap()).unwrap();
        let mut interfaces = Interfaces::open().unwrap();
        assert!(testkit::wait_until(Duration::from_secs(5), || interfaces.find("far").is_ok()));
        interfaces.set_up("far", true).unwrap();
        interfaces.add_address("far", [192, 0, 2, 2].into(), 24).unwrap();
        for () in asked {
            UdpSocket::bind("192.0.2.2:0").unwrap().send_to(b"?", "192.0.2.1:9").unwrap();
        }
    });
    let thread = told.recv().unwrap();
    let thread = thread.file_name().and_then(|name| name.to_str()).unwrap();
    ip_does(&format!("link set far netns {thread}"));
    ask
}

/// `ethtool -k`, as feature → state.
fn features(name: &str) -> BTreeMap<String, String> {
    let text = output("ethtool", &format!("-k {name}"));
    let lines = text.lines().skip(1).filter_map(|line| line.trim().split_once(": "));
    lines.map(|(feature, state)| (feature.to_owned(), state.to_owned())).collect()
}

fn ipv6_does(setting: &str, value: &str) {
    fs::write(format!("/proc/sys/net/ipv6/conf/{setting}"), value).unwrap();
}

/// What a veth end has on by default, by ethtool's names.
const OFFLOADS: [&str; 10] = [
    "rx-checksumming",
    "tx-checksumming",
    "scatter-gather",
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "tx-udp-segmentation",
    "rx-vlan-offload",
    "tx-vlan-offload",
    "tx-vlan-stag-hw-insert",
    "rx-vlan-stag-hw-parse",
];
