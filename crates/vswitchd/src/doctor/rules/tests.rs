//! Each rule by facts made up for it, and what holds of all of them.

use std::time::Duration;

use ifctl::{Kind, PortState};
use proptest::prelude::*;

use super::*;
use crate::config::UplinkSpec;
use crate::doctor::Severity::{self, Error, Note, Ok as Fine, Warning};
use crate::doctor::facts::{
    Bridge, Buffer, Directory, Limit, Link, Links, Maker, Privileges, Refusal, SocketPath,
    SpanningTree, There,
};
use crate::doctor::{Finding, Needs};

fn link(name: &str, kind: Kind) -> Link {
    Link {
        name: name.into(),
        kind,
        is_up: true,
        has_carrier: true,
        mtu: 1500,
        master: None,
        peer: None,
        is_ethernet: true,
        has_addresses: false,
        is_wireless: Some(false),
        made_by: None,
        unwanted_offloads: vec![],
    }
}

fn made(name: &str, is_alive: bool) -> Link {
    let made_by = Some(Maker { pid: 42, is_alive, label: "br0".into() });
    Link { made_by, ..link(name, Kind::Veth) }
}

fn member(link: Link) -> Link {
    Link { master: Some("br0".into()), ..link }
}

/// `br0` with the card `eth1` and a living switch's pair: all as it should be.
fn good() -> Links {
    let pair = [
        Link { peer: Some("vsw0m".into()), ..made("vsw0", true) },
        Link { peer: Some("vsw0".into()), ..member(link("vsw0m", Kind::Veth)) },
    ];
    let [ours, theirs] = pair;
    let eth1 = member(link("eth1", Kind::Ethernet));
    let members = [("eth1", PortState::Forwarding), ("vsw0m", PortState::Forwarding)];
    Links {
        all: vec![link("br0", Kind::Bridge), eth1, ours, theirs, link("eth2", Kind::Ethernet)],
        bridges: vec![Bridge {
            name: "br0".into(),
            spanning_tree: SpanningTree::Off,
            is_filtered: Some(false),
            members: members.map(|(name, state)| (name.to_owned(), state)).to_vec(),
        }],
        translates_wireless: false,
    }
}

/// The good ones with one of them changed.
fn with(name: &str, change: impl FnOnce(&mut Link)) -> Links {
    let mut links = good();
    change(links.all.iter_mut().find(|link| link.name == name).unwrap());
    links
}

fn with_bridge(change: impl FnOnce(&mut Bridge)) -> Links {
    let mut links = good();
    change(&mut links.bridges[0]);
    links
}

fn without(name: &str) -> Links {
    let mut links = good();
    links.all.retain(|link| link.name != name);
    links
}

fn judged(uplink: &str, links: &Links) -> Vec<Finding> {
    uplinks(&[uplink.parse().unwrap()], links)
}

/// What is not as it should be.
fn faults(findings: &[Finding]) -> Vec<(&'static str, Severity, String)> {
    let bad = findings.iter().filter(|finding| finding.severity != Fine);
    bad.map(|finding| (finding.id, finding.severity, finding.object.clone())).collect()
}

#[track_caller]
fn one_fault(uplink: &str, links: &Links, id: &str, severity: Severity, object: &str) -> Finding {
    let findings = judged(uplink, links);
    let found = faults(&findings);
    let found: Vec<_> =
        found.iter().map(|(id, severity, on)| (*id, *severity, on.as_str())).collect();
    assert_eq!(found, [(id, severity, object)], "{findings:#?}");
    findings.into_iter().find(|finding| finding.severity != Fine).unwrap()
}

#[test]
fn a_good_bridge_is_well_in_each_respect() {
    let findings = judged("bridge:br0", &good());
    assert_eq!(faults(&findings), []);
    let ids: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
    let expected = [
        "bridge",
        "bridge-live-uplink",
        "bridge-mtu",
        "bridge-spanning-tree",
        "bridge-netfilter",
        "offloads",
    ];
    assert_eq!(ids, expected);
    assert_eq!(findings[1].found, "leads out by eth1");
    assert_eq!(faults(&judged("none", &Links::default())), []);
    assert_eq!(faults(&judged("iface:eth2", &good())), []);
    assert_eq!(faults(&judged("bridge:br9,create,member=eth2", &good())), []);
}

#[test]
fn a_bridge_that_cannot_be_joined_or_made() {
    let found = one_fault("bridge:br9", &good(), "bridge", Error, "br9");
    let command = "sudo vswitch bridge create br9 && sudo vswitch if up br9";
    assert_eq!(found.command.as_deref(), Some(command));
    one_fault("bridge:eth1", &good(), "bridge", Error, "eth1");
    let found = one_fault("bridge:br0,create", &good(), "bridge", Error, "br0");
    assert!(found.to_do.unwrap().contains("leave out"));
    let made = |is_alive| {
        with("br0", |link| link.made_by = Some(Maker { pid: 7, is_alive, label: "br0".into() }))
    };
    one_fault("bridge:br0,create", &made(true), "bridge", Note, "br0");
    assert_eq!(faults(&judged("bridge:br0,create", &made(false))), []);
    one_fault("bridge:br0", &with("br0", |link| link.is_up = false), "bridge-up", Warning, "br0");
}

#[test]
fn a_bridge_without_a_way_out() {
    const ID: &str = "bridge-live-uplink";
    let unplugged = with("eth1", |link| link.has_carrier = false);
    let found = one_fault("bridge:br0", &unplugged, ID, Warning, "br0");
    assert!(found.found.contains("eth1") && found.command.is_none(), "{found:?}");
    assert_eq!((found.figures["uplinks"], found.figures["live_uplinks"]), (1, 0));
    let off = with("eth1", |link| link.is_up = false);
    let found = one_fault("bridge:br0", &off, ID, Warning, "br0");
    assert_eq!(found.command.as_deref(), Some("sudo vswitch if up eth1"));
    // Its own pair leads nowhere else, nor does a TAP.
    let mut alone = without("eth1");
    alone.all.push(member(link("tap0", Kind::Tap)));
    one_fault("bridge:br0", &alone, ID, Warning, "br0");
    alone.all[0].has_addresses = true;
    one_fault("bridge:br0", &alone, ID, Note, "br0");
    // A card that is about to join is one.
    let alone = without("eth1");
    assert_eq!(faults(&judged("bridge:br0,member=eth2", &alone)), []);
}

#[test]
fn a_card_that_cannot_join() {
    let uplink = "bridge:br0,member=eth2";
    one_fault(uplink, &without("eth2"), "member", Error, "eth2");
    let elsewhere = with("eth2", |link| link.master = Some("br5".into()));
    let found = one_fault(uplink, &elsewhere, "member", Error, "eth2");
    assert_eq!(found.command.as_deref(), Some("sudo vswitch bridge remove br5 eth2"));
    let addressed = with("eth2", |link| link.has_addresses = true);
    one_fault(uplink, &addressed, "member-addresses", Warning, "eth2");
    let tunnel = with("eth2", |link| link.is_ethernet = false);
    one_fault(uplink, &tunnel, "member", Error, "eth2");
    let off = with("eth2", |link| link.is_up = false);
    one_fault("bridge:br9,create,member=eth2", &off, "member-carrier", Warning, "eth2");
}

#[test]
fn a_wireless_card_is_no_way_out_but_where_its_address_is_put_in() {
    let on_air = with("eth2", |link| link.is_wireless = Some(true));
    one_fault("iface:eth2", &on_air, "wireless", Error, "eth2");
    one_fault("bridge:br0,member=eth2", &on_air, "wireless", Error, "eth2");
    let translated = Links { translates_wireless: true, ..on_air };
    one_fault("bridge:br0,member=eth2", &translated, "wireless", Note, "eth2");
    one_fault("iface:eth2", &translated, "wireless", Error, "eth2");
    let member = with("eth1", |link| link.is_wireless = Some(true));
    one_fault("bridge:br0", &member, "wireless", Error, "eth1");
    let unknown = with("eth2", |link| link.is_wireless = None);
    assert_eq!(faults(&judged("iface:eth2", &unknown)), []);
}

#[test]
fn an_interface_that_is_no_way_out() {
    one_fault("iface:eth9", &good(), "uplink-interface", Error, "eth9");
    let loopback = with("eth2", |link| link.kind = Kind::Loopback);
    one_fault("iface:eth2", &loopback, "uplink-interface", Error, "eth2");
    let off = with("eth2", |link| link.is_up = false);
    let found = one_fault("iface:eth2", &off, "uplink-carrier", Warning, "eth2");
    assert_eq!(found.command.as_deref(), Some("sudo vswitch if up eth2"));
    let unplugged = with("eth2", |link| link.has_carrier = false);
    one_fault("iface:eth2", &unplugged, "uplink-carrier", Warning, "eth2");
}

#[test]
fn mtus_that_differ() {
    for (name, mtu) in [("eth1", 9000), ("eth1", 1400), ("vsw0m", 1400), ("vsw0", 1400)] {
        let differs = with(name, |link| link.mtu = mtu);
        let found = one_fault("bridge:br0", &differs, "bridge-mtu", Warning, name);
        assert_eq!(found.figures["mtu"], u64::from(mtu));
        assert_eq!(found.command, Some(format!("sudo vswitch if mtu {name} 1500")));
    }
    let tap = |mtu| {
        let mut links = good();
        links.all.push(Link { mtu, ..link("tap0", Kind::Tap) });
        taps(&[("tap0".into(), "bridge:br0".parse().unwrap())], &links)
    };
    assert_eq!(faults(&tap(1500)), []);
    assert_eq!(faults(&tap(9000)), [("port-mtu", Warning, "tap0".into())]);
}

#[test]
fn taps_that_are_none_or_off() {
    let judged =
        |name: &str, links: &Links| faults(&taps(&[(name.into(), UplinkSpec::None)], links));
    assert_eq!(judged("tap9", &good()), []);
    assert_eq!(judged("eth1", &good()), [("tap", Error, "eth1".into())]);
    let off = with("eth2", |link| (link.kind, link.is_up) = (Kind::Tap, false));
    assert_eq!(judged("eth2", &off), [("tap-up", Warning, "eth2".into())]);
}

#[test]
fn a_spanning_tree_is_told_by_how_long_it_holds_up() {
    const ID: &str = "bridge-spanning-tree";
    let delay = |seconds| {
        with_bridge(|bridge| bridge.spanning_tree = SpanningTree::On(Duration::from_secs(seconds)))
    };
    let found = one_fault("bridge:br0", &delay(15), ID, Warning, "br0");
    assert_eq!(found.figures["wait_ms"], 30_000);
    assert!(found.command.unwrap().ends_with("set br0 type bridge forward_delay 200"));
    one_fault("bridge:br0", &delay(2), ID, Note, "br0");
    let silent = |state| with_bridge(|bridge| bridge.members[0].1 = state);
    const STATE: &str = "bridge-member-state";
    one_fault("bridge:br0", &silent(PortState::Blocking), STATE, Warning, "eth1");
    one_fault("bridge:br0", &silent(PortState::Listening), STATE, Note, "eth1");
    let unknown = with_bridge(|bridge| bridge.spanning_tree = SpanningTree::Unknown);
    assert!(!judged("bridge:br0", &unknown).iter().any(|finding| finding.id == ID));
}

#[test]
fn a_packet_filter_on_the_bridge_and_offloads_on_the_pair() {
    let filtered = with_bridge(|bridge| bridge.is_filtered = Some(true));
    one_fault("bridge:br0", &filtered, "bridge-netfilter", Note, "br0");
    let mut with_docker = filtered;
    with_docker.all.push(link("docker0", Kind::Bridge));
    one_fault("bridge:br0", &with_docker, "bridge-netfilter", Warning, "br0");
    for name in ["vsw0", "vsw0m"] {
        let on = with(name, |link| link.unwanted_offloads = vec!["rx-gro".into()]);
        let found = one_fault("bridge:br0", &on, "offloads", Warning, name);
        assert_eq!(found.command, Some(format!("sudo ethtool -K {name} rx-gro off")));
    }
}

#[test]
fn what_dead_switches_left_is_told_and_what_living_ones_have_is_not() {
    assert_eq!(faults(&leftovers(&good())), []);
    assert!(leftovers(&good())[0].found.contains("1 belong to living ones"));
    let mut links = good();
    links.all.push(made("vsw7", false));
    assert_eq!(faults(&leftovers(&links)), [("leftover", Warning, "vsw7".into())]);
    assert_eq!(leftovers(&links)[0].figures["pid"], 42);
    assert_eq!(uplinks_of_running(&links), ["bridge:br0".parse().unwrap()]);
    assert_eq!(uplinks_of_running(&without("vsw0")), []);
}

fn rights() -> Privileges {
    Privileges {
        user: "alice".into(),
        has_net_admin: Some(true),
        has_net_raw: Some(true),
        is_initial_namespace: true,
        may_change_interfaces: Ok(true),
        packet_socket: Refusal::Granted,
        tun_device: Refusal::Granted,
    }
}

#[test]
fn privileges_that_are_missing_are_as_bad_as_they_are_needed() {
    assert_eq!(faults(&privileges(&rights(), None)), []);
    let none = Privileges {
        has_net_admin: Some(false),
        has_net_raw: Some(false),
        may_change_interfaces: Ok(false),
        packet_socket: Refusal::NotPermitted,
        tun_device: Refusal::NotPermitted,
        ..rights()
    };
    let severities = |needs: Option<&Needs>| {
        let findings = privileges(&none, needs);
        findings.iter().map(|finding| finding.severity).collect::<Vec<_>>()
    };
    assert_eq!(severities(None), [Warning, Warning, Note]);
    assert_eq!(severities(Some(&Needs::default())), [Note, Note, Note]);
    let needs = Needs { interfaces: true, packets: true, ..Needs::default() };
    assert_eq!(severities(Some(&needs)), [Error, Error, Note]);
    let needs = Needs { taps: vec!["tap0".into()], ..Needs::default() };
    assert_eq!(severities(Some(&needs)), [Warning, Note, Error]);
    let findings = privileges(&none, None);
    let setcap = "sudo setcap cap_net_admin,cap_net_raw=ep \"$(command -v vswitch)\"";
    assert_eq!(findings[0].command.as_deref(), Some(setcap));
}

#[test]
fn a_capability_of_the_wrong_namespace_is_explained() {
    let elsewhere = Privileges {
        is_initial_namespace: false,
        may_change_interfaces: Ok(false),
        packet_socket: Refusal::NotPermitted,
        ..rights()
    };
    for finding in &privileges(&elsewhere, None)[..2] {
        assert!(finding.found.contains("another user namespace"), "{finding:?}");
        assert_eq!(finding.command, None, "a file's capabilities are no way there");
    }
    let odd = Privileges {
        may_change_interfaces: Err("no socket".into()),
        packet_socket: Refusal::Missing,
        tun_device: Refusal::Other(5),
        ..rights()
    };
    let found = faults(&privileges(&odd, None));
    let found: Vec<_> = found.iter().map(|(id, severity, _)| (*id, *severity)).collect();
    let expected =
        [("interface-privilege", Note), ("packet-socket", Warning), ("tun-device", Note)];
    assert_eq!(found, expected);
}

#[test]
fn buffers_are_judged_by_what_is_granted() {
    let of = |granted_bytes, limit_bytes| {
        buffer(
            "socket-send-buffer",
            &Buffer {
                setting: "net.core.wmem_max",
                limit_bytes: Some(limit_bytes),
                granted_bytes,
                wanted_bytes: 4 << 20,
                limit_wanted_bytes: 4 << 20,
            },
        )
    };
    assert_eq!(of(4 << 20, 4 << 20).severity, Fine);
    let forced = of(4 << 20, 212_992);
    assert!(forced.severity == Fine && forced.found.contains("past the limit"), "{forced:?}");
    let cut = of(212_992, 212_992);
    assert_eq!(cut.severity, Warning);
    assert_eq!(cut.command.as_deref(), Some("sudo sysctl -w net.core.wmem_max=4194304"));
    assert_eq!((cut.figures["granted_bytes"], cut.figures["limit_bytes"]), (212_992, 212_992));
}

#[test]
fn queues_and_descriptors() {
    let short = queue_length(Some(10));
    assert_eq!((short.severity, short.figures["datagrams"]), (Note, 10));
    assert!(short.found.starts_with("11 datagrams"), "{short:?}");
    assert_eq!(queue_length(Some(4096)).severity, Fine);
    assert_eq!(queue_length(None).severity, Note);
    let of = |soft, hard| descriptors(Limit { soft, hard }, 300, 600);
    assert_eq!(of(1024, 4096).severity, Fine);
    assert_eq!(of(512, 4096).severity, Note);
    assert_eq!(of(256, 4096).command.as_deref(), Some("ulimit -n 600"));
    let fixed = of(256, 512);
    assert!(fixed.severity == Warning && fixed.command.is_none(), "{fixed:?}");
}

fn path() -> SocketPath {
    SocketPath {
        port: "lan/vm1".into(),
        path: "/run/vm1.sock".into(),
        is_ours: true,
        len_max: 107,
        directory: Directory::Writable,
        there: There::Nothing,
    }
}

#[test]
fn sockets_paths() {
    let cases = [
        (path(), "socket-path", Fine),
        (SocketPath { there: There::Dead, ..path() }, "socket-path", Fine),
        (SocketPath { there: There::Alive, ..path() }, "socket-path", Note),
        (SocketPath { there: There::NotASocket, ..path() }, "socket-path", Error),
        (SocketPath { there: There::Unknown("x".into()), ..path() }, "socket-path", Note),
        (SocketPath { len_max: 5, ..path() }, "socket-path-length", Error),
        (SocketPath { directory: Directory::Missing, ..path() }, "socket-directory", Error),
        (SocketPath { directory: Directory::NotADirectory, ..path() }, "socket-directory", Error),
        (SocketPath { directory: Directory::NotWritable, ..path() }, "socket-directory", Error),
    ];
    for (facts, id, severity) in cases {
        let found = socket_path(&facts);
        assert_eq!((found.id, found.severity), (id, severity), "{facts:?}");
    }
    // Somebody else's, who may come later.
    let theirs = SocketPath { is_ours: false, directory: Directory::NotWritable, ..path() };
    assert_eq!(socket_path(&theirs).severity, Note);
    let there = SocketPath { there: There::Alive, ..theirs.clone() };
    assert_eq!(socket_path(&there).severity, Fine);
    let missing = SocketPath { directory: Directory::Missing, ..theirs };
    assert_eq!(socket_path(&missing).severity, Note);
    let dead = dead_sockets(&["/run/a b".into()]);
    assert_eq!(dead[0].command.as_deref(), Some("rm -- '/run/a b'"));
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("br0".to_owned()),
        Just("eth1".to_owned()),
        Just("vsw0".to_owned()),
        "[^/\\x00]{1,15}"
    ]
}

fn any_link() -> impl Strategy<Value = Link> {
    let kinds = prop_oneof![
        Just(Kind::Bridge),
        Just(Kind::Ethernet),
        Just(Kind::Veth),
        Just(Kind::Tap),
        Just(Kind::Loopback),
        Just(Kind::Other("x".into())),
    ];
    let maker = (any::<u32>(), any::<bool>(), any_name());
    let maker = maker.prop_map(|(pid, is_alive, label)| Maker { pid, is_alive, label });
    let flags = any::<[bool; 4]>();
    let names = (any_name(), prop::option::of(any_name()), prop::option::of(any_name()));
    let rest = (any::<u32>(), any::<Option<bool>>(), prop::option::of(maker));
    let offloads = prop::collection::vec("[a-z-]{1,8}", 0..3);
    (names, kinds, flags, rest, offloads).prop_map(
        |((name, master, peer), kind, flags, (mtu, is_wireless, made_by), unwanted_offloads)| {
            let [is_up, has_carrier, is_ethernet, has_addresses] = flags;
            Link {
                name,
                kind,
                is_up,
                has_carrier,
                mtu,
                master,
                peer,
                is_ethernet,
                has_addresses,
                is_wireless,
                made_by,
                unwanted_offloads,
            }
        },
    )
}

fn any_bridge() -> impl Strategy<Value = Bridge> {
    let tree = prop_oneof![
        Just(SpanningTree::Off),
        Just(SpanningTree::Unknown),
        any::<u32>().prop_map(|ms| SpanningTree::On(Duration::from_millis(ms.into()))),
    ];
    let state = prop_oneof![
        Just(PortState::Forwarding),
        Just(PortState::Blocking),
        Just(PortState::Listening),
        any::<u8>().prop_map(PortState::Other),
    ];
    let members = prop::collection::vec((any_name(), state), 0..4);
    (any_name(), tree, any::<Option<bool>>(), members).prop_map(
        |(name, spanning_tree, is_filtered, members)| Bridge {
            name,
            spanning_tree,
            is_filtered,
            members,
        },
    )
}

proptest! {
    /// Whatever there is: no panic, whatever is bad says why and what to do, ids are as they should
    /// be, and a command is one line that no terminal obeys.
    #[test]
    fn of_any_facts(
        all in prop::collection::vec(any_link(), 0..8),
        bridges in prop::collection::vec(any_bridge(), 0..3),
        translates_wireless: bool,
        name in any_name(),
        member in prop::option::of(any_name()),
        create: bool,
        wait: bool,
    ) {
        let links = Links { all, bridges, translates_wireless };
        let wanted = [
            UplinkSpec::Bridge { bridge: name.clone(), create, member, messages: false, wait },
            UplinkSpec::Interface { name: name.clone(), messages: false, wait },
        ];
        let mut findings = uplinks(&wanted, &links);
        findings.extend(taps(&[(name, wanted[0].clone())], &links));
        findings.extend(leftovers(&links));
        for finding in findings {
            let advises = finding.why.is_some() && finding.to_do.is_some();
            prop_assert!(finding.severity < Warning || advises, "{:?}", finding);
            let is_kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            prop_assert!(finding.id.chars().all(is_kebab), "{:?}", finding);
            let command = finding.command.unwrap_or_default();
            prop_assert!(!command.chars().any(char::is_control), "{:?}", command);
        }
    }
}
