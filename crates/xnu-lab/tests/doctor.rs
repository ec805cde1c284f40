//! What `vswitch doctor` says of a simulated Mac.

use ifctl::xnu::{FethOptions, Interfaces, Owner, Tag};
use vswitchd::access::Access;
use vswitchd::config::{Configuration, Network};
use vswitchd::doctor::xnu::{Asker, examine};
use vswitchd::doctor::{Finding, Severity};
use xnu_lab::{BRIDGE, CARD, Lab, LabConfig, SimulatedMac};
use xnu_sim::{EthernetOptions, MacOs, SimKernel};
use xnu_sys::Kernel as _;

fn asker(is_root: bool) -> Asker<'static> {
    Asker { user: "me".into(), is_root, is_alive: &|owner: Owner| owner.pid == 1 }
}

fn wanted(uplink: &str, ports: &[&str]) -> Configuration {
    let network = Network {
        name: "lan".into(),
        uplink: uplink.parse().unwrap(),
        ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
        access: Access { owner: None, group: None, mode: 0o660 },
    };
    network.into()
}

fn looked_at(kernel: &SimKernel, uplink: &str) -> Vec<Finding> {
    examine(kernel, &asker(true), Some(&wanted(uplink, &["vm1=unixgram:/tmp/vm1.sock"])))
}

/// All that is worse than a note.
fn faults(findings: &[Finding]) -> Vec<(&str, Severity, &str)> {
    let bad = findings.iter().filter(|finding| finding.severity > Severity::Note);
    let bad: Vec<_> =
        bad.map(|finding| (finding.id, finding.severity, finding.object.as_str())).collect();
    for finding in findings.iter().filter(|finding| finding.severity > Severity::Note) {
        assert!(finding.why.is_some() && finding.to_do.is_some(), "{finding:?}");
    }
    bad
}

fn set(kernel: &SimKernel, setting: &std::ffi::CStr, value: u32) {
    kernel.sysctlbyname(setting, &mut [], Some(&value.to_ne_bytes())).unwrap();
}

#[test]
fn a_mac_as_it_comes_is_well_in_each_version() {
    for version in MacOs::ALL {
        let mac = SimulatedMac::boot(version, 1).unwrap();
        for uplink in ["bridge:bridge0", "iface:en0", "none", "bridge:bridge7,create"] {
            let before = mac.kernel.open_descriptors().len();
            let findings = looked_at(&mac.kernel, uplink);
            assert_eq!(faults(&findings), [], "{version:?} {uplink}");
            for id in ["interface-privilege", "bpf-device", "socket-buffer", "leftover"] {
                let is_well = |of: &Finding| of.id == id && of.severity == Severity::Ok;
                assert!(findings.iter().any(is_well), "{version:?} {uplink} {id}: {findings:#?}");
            }
            assert_eq!(mac.kernel.open_descriptors().len(), before, "nothing stays open");
        }
    }
}

#[test]
fn a_switch_that_runs_is_well_and_what_a_dead_one_left_is_found() {
    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    let config = LabConfig { guests: 1, ..LabConfig::new(MacOs::V15, 1) };
    let lab = Lab::start(mac, config).unwrap();
    let findings = examine(lab.operator(), &asker(true), None);
    assert_eq!(faults(&findings), []);
    let live = findings.iter().find(|finding| finding.id == "bridge-live-uplink").unwrap();
    assert_eq!((live.object.as_str(), live.found.as_str()), (BRIDGE, "leads out by en0"));
    drop(lab.finish());

    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    let interfaces = Interfaces::open_on(mac.operator.clone()).unwrap();
    let tag = Some(Tag::new(Owner { pid: 7, started: 7 }, BRIDGE));
    let pair = interfaces.create_feth_pair(&FethOptions { tag, ..FethOptions::default() }).unwrap();
    let findings = looked_at(&mac.kernel, "none");
    let found = faults(&findings);
    for end in [pair.bridge_end.as_str(), pair.switch_end.as_str()] {
        assert!(found.contains(&("leftover", Severity::Warning, end)), "{found:?}");
    }
}

#[test]
fn settings_that_break_frames_or_cut_buffers() {
    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    set(&mac.operator, c"net.link.fake.hwcsum", 1);
    set(&mac.operator, c"kern.ipc.maxsockbuf", 1 << 20);
    let findings = looked_at(&mac.kernel, "bridge:bridge0");
    let expected = [
        ("socket-buffer", Severity::Warning, "kern.ipc.maxsockbuf"),
        ("feth-setting", Severity::Error, "net.link.fake.hwcsum"),
    ];
    assert_eq!(faults(&findings), expected);
    let commands: Vec<_> =
        findings.iter().filter(|finding| finding.severity > Severity::Note).collect();
    assert_eq!(commands[0].command.as_deref(), Some("sudo sysctl -w kern.ipc.maxsockbuf=4718592"));
    assert_eq!(commands[1].command.as_deref(), Some("sudo sysctl -w net.link.fake.hwcsum=0"));
    assert_eq!((commands[1].figures["value"], commands[1].figures["good_value"]), (1, 0));
    // What is advised helps.
    set(&mac.operator, c"net.link.fake.hwcsum", 0);
    set(&mac.operator, c"kern.ipc.maxsockbuf", 4_718_592);
    assert_eq!(faults(&looked_at(&mac.kernel, "bridge:bridge0")), []);
}

#[test]
fn who_is_not_root_is_told_so() {
    let mac = SimulatedMac::boot(MacOs::V13, 1).unwrap();
    let user = mac.kernel.spawn(false);
    let judged = |wanted: Option<&Configuration>| {
        let findings = examine(&user, &asker(false), wanted);
        let is = |id: &str| findings.iter().find(|finding| finding.id == id).unwrap().severity;
        [is("interface-privilege"), is("bpf-device")]
    };
    assert_eq!(judged(None), [Severity::Warning; 2]);
    assert_eq!(judged(Some(&wanted("bridge:bridge0", &[]))), [Severity::Error; 2]);
    assert_eq!(judged(Some(&wanted("none", &[]))), [Severity::Note; 2]);
}

#[test]
fn what_is_wrong_with_an_uplink() {
    let mac = SimulatedMac::boot(MacOs::V14_4, 1).unwrap();
    let on_air = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
    drop(mac.operator.add_ethernet("en1", [0xac, 0xde, 0x48, 0, 0, 9], on_air));
    let interfaces = Interfaces::open_on(mac.operator.clone()).unwrap();
    interfaces.set_up("en1", true).unwrap();
    interfaces.create_bridge("bridge3").unwrap();
    interfaces.set_up("bridge3", true).unwrap();
    for (uplink, id, severity, object) in [
        ("bridge:bridge9", "bridge", Severity::Error, "bridge9"),
        ("bridge:en0", "bridge", Severity::Error, CARD),
        ("iface:en1", "wireless", Severity::Error, "en1"),
        ("iface:en9", "uplink-interface", Severity::Error, "en9"),
        ("bridge:bridge3", "bridge-live-uplink", Severity::Warning, "bridge3"),
        ("bridge:bridge3,member=en0", "member", Severity::Error, CARD),
    ] {
        let findings = looked_at(&mac.kernel, uplink);
        assert!(faults(&findings).contains(&(id, severity, object)), "{uplink}: {findings:#?}");
    }
    // A bridge puts the card's address in the place of the guests'.
    let findings = looked_at(&mac.kernel, "bridge:bridge3,member=en1");
    let told = findings.iter().find(|finding| finding.id == "wireless").unwrap();
    assert_eq!((told.severity, told.object.as_str()), (Severity::Note, "en1"));
    let tap = examine(&mac.kernel, &asker(true), Some(&wanted("none", &["vm1=tap:tap0"])));
    assert_eq!(faults(&tap), [("tap", Severity::Error, "tap0")]);
}
