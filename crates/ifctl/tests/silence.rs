//! A muted end says nothing, and without offloads frames are complete: seen by tcpdump and ethtool.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use common::{interfaces_in_own_namespace, ip, ip_does, named, output};
use ifctl::{Error, Flags, Interfaces, PairOptions};

#[test]
fn the_bridge_answers_arp_and_a_muted_end_does_not() {
    let Some(lan) = Lan::new() else { return };
    let bridge = lan.bridge_mac.clone();
    lan.ask();
    let replies = lan.replies();
    assert_eq!(replies.len(), 1, "{replies:#?}");
    assert!(replies[0].contains(&bridge), "{replies:#?}");
}

/// The fact that makes muting necessary, and the proof that the test above can fail.
#[test]
fn with_the_kernels_defaults_that_end_answers_for_the_bridge() {
    let Some(mut lan) = Lan::new() else { return };
    ip_does("link set vsw0p arp on");
    let end = lan.interfaces.find("vsw0p").unwrap().mac.unwrap();
    let end = end.map(|byte| format!("{byte:02x}")).join(":");
    lan.ask();
    let replies = lan.replies();
    assert_eq!(replies.len(), 2, "{replies:#?}");
    assert!(replies.iter().any(|reply| reply.contains(&end)), "{replies:#?}");
}

#[test]
fn a_muted_pair_says_nothing_when_it_comes_up() {
    if !testkit::tool_or_skip("tcpdump", "tcpdump") {
        return;
    }
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    // A router also joins the groups of routers, and reports that.
    ipv6_does("all/forwarding", "1");
    for (pair, is_muted) in [(["q0", "q1"], true), (["d0", "d1"], false)] {
        let [a, b] = pair;
        interfaces.create_pair(a, b, PairOptions::default()).unwrap();
        if is_muted {
            interfaces.mute(a).unwrap();
            interfaces.mute(b).unwrap();
        }
    }
    // A packet socket needs the interface up to stay, so the captures begin on all at once.
    let quiet = Capture::start("any", "host not 127.0.0.1 and not host ::1");
    for name in ["q0", "q1", "d0", "d1"] {
        interfaces.set_up(name, true).unwrap();
    }
    let spoken = quiet.until(Duration::from_secs(10), |lines| {
        // Duplicate address detection done, groups reported, a router asked for.
        lines.iter().filter(|line| line.contains("d0") || line.contains("d1")).count() >= 8
    });
    assert!(spoken.iter().any(|line| line.contains("d0") && line.contains("ICMP6")), "{spoken:#?}");
    let muted: Vec<_> =
        spoken.iter().filter(|line| line.contains("q0") || line.contains("q1")).collect();
    assert!(muted.is_empty(), "{muted:#?}");
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
    interfaces.create_pair("s0", "s1", PairOptions { mtu: Some(1000) }).unwrap();
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
    if !testkit::tool_or_skip("tcpdump", "tcpdump") {
        return;
    }
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("v0", "v1", PairOptions::default()).unwrap();
    interfaces.set_up("v0", true).unwrap();
    interfaces.set_up("v1", true).unwrap();
    interfaces.add_address("v0", [192, 0, 2, 1].into(), 24).unwrap();
    let end = interfaces.find("v1").unwrap().mac.unwrap();
    let end = end.map(|byte| format!("{byte:02x}")).join(":");
    ip_does(&format!("neigh add 192.0.2.2 lladdr {end} dev v0"));
    let sender = UdpSocket::bind("192.0.2.1:0").unwrap();
    let seen = || {
        let capture = Capture::start("v1", "udp port 9");
        sender.send_to(b"seventeen bytes..", "192.0.2.2:9").unwrap();
        let is_seen = |lines: &[String]| lines.iter().any(|line| line.contains("udp"));
        capture.until(Duration::from_secs(5), is_seen).join(" ")
    };
    assert!(seen().contains("bad udp cksum"), "a default that this test needs");
    interfaces.disable_offloads("v0").unwrap();
    let line = seen();
    assert!(line.contains("udp sum ok"), "{line}");
}

/// A bridge with an address and two members: the muted pair `vsw0`/`vsw0p`, and `lan`, whose other
/// end is a neighbour in a namespace of its own.
struct Lan {
    interfaces: Interfaces,
    bridge_mac: String,
    neighbour: mpsc::Sender<()>,
    capture: Capture,
}

impl Lan {
    fn new() -> Option<Self> {
        if !testkit::tool_or_skip("tcpdump", "tcpdump") {
            return None;
        }
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
        // What leaves by `lan` goes to the neighbour.
        let capture = Capture::start("lan", "arp");
        let mac = interfaces.find("br0").unwrap().mac.unwrap();
        let bridge_mac = mac.map(|byte| format!("{byte:02x}")).join(":");
        Some(Self { interfaces, bridge_mac, neighbour, capture })
    }

    /// The neighbour asks who has the bridge's address.
    fn ask(&self) {
        self.neighbour.send(()).unwrap();
    }

    fn replies(self) -> Vec<String> {
        let is_reply = |line: &String| line.contains("Reply");
        // The second reply is there at once or never; a second of silence decides.
        let lines = self.capture.until(Duration::from_secs(5), |lines| lines.iter().any(is_reply));
        lines.into_iter().filter(is_reply).collect()
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

/// A running tcpdump.
struct Capture {
    process: Child,
    lines: Receiver<String>,
}

impl Capture {
    fn start(interface: &str, filter: &str) -> Self {
        let mut process = Command::new("tcpdump")
            .args(["-i", interface, "-n", "-e", "-vv", "-l", "--immediate-mode", "-Z", "root"])
            .arg(filter)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stderr.take().unwrap());
        let mut words = says.lines().map_while(Result::ok);
        let is_listening = words.any(|line| line.contains("listening on"));
        assert!(is_listening, "tcpdump does not listen");
        // To its end, or its last words would kill it.
        std::thread::spawn(move || words.for_each(drop));
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    /// Collects lines until `is_enough`, and for one more second of silence, or up to `limit`.
    fn until(self, limit: Duration, is_enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let end = std::time::Instant::now() + limit;
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => lines.push(line),
                Err(_) if is_enough(&lines) => return lines,
                Err(_) => {}
            }
            if std::time::Instant::now() >= end {
                return lines;
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
