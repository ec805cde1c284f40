//! Each kind of uplink on every simulated macOS, from start to end, and what is refused.

use std::net::IpAddr;
use std::time::Duration;

use ifctl::xnu::Interfaces;
use probe::{Ping, PingConfig};
use vswitchd::config::UplinkSpec;
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, CARD, Lab, LabConfig, SimulatedMac};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::Kernel;

fn uplink(text: &str) -> UplinkSpec {
    text.parse().unwrap()
}

fn boot(version: MacOs, text: &str) -> Lab {
    Lab::boot(LabConfig { uplink: uplink(text), ..LabConfig::new(version, 1) }).unwrap()
}

fn must_ping(lab: &mut Lab, guest: usize, address: IpAddr) {
    let report = lab.run_guest(guest, Ping::new(PingConfig::new(address))).unwrap();
    assert!(report.is_perfect(), "{report:?}\n{}", lab.kernel().trace());
}

fn must_leave_nothing(lab: Lab) {
    assert_eq!(lab.finish().leftovers, [] as [String; 0]);
}

/// "Seed vs kernel": a filter for the VM's address and broadcast alone lost all multicast, and with
/// it IPv6. With named addresses the kernel filters, and neighbour discovery must still pass.
#[test]
fn multicast_passes_the_kernels_filter() {
    for version in MacOs::ALL {
        for text in ["bridge:bridge0", "iface:en0"] {
            filters_for_its_guests(version, text);
        }
    }
}

/// A port that goes takes its address out of the kernel's filter with it.
#[test]
fn what_is_for_a_port_that_went_does_not_even_wake_the_switch() {
    for version in MacOs::ALL {
        for text in ["bridge:bridge0", "iface:en0"] {
            let config = LabConfig::new(version, 1);
            let config = LabConfig { names_addresses: true, uplink: uplink(text), ..config };
            let mut lab = Lab::boot(config).unwrap();
            let (lan, second) = (lab.lan().clone(), lab.guest(1).mac());
            must_ping(&mut lab, 1, lan.address_v4());
            let applied = lab.change(|wanted| drop(wanted.networks[0].ports.pop())).unwrap();
            assert_eq!(applied.removed, ["lab/vm2"]);
            must_ping(&mut lab, 0, lan.address_v6());
            must_not_wake(&mut lab, second);
            must_leave_nothing(lab);
        }
    }
}

#[test]
fn an_uplink_comes_and_goes_while_the_switch_runs() {
    for version in MacOs::ALL {
        let mut lab = boot(version, "none");
        let lan = lab.lan().clone();
        for text in ["bridge:bridge0", "iface:en0", "bridge:bridge0"] {
            let interfaces = lab.operator().interfaces().len();
            let applied = lab.change(|wanted| wanted.networks[0].uplink = uplink(text)).unwrap();
            assert_eq!((applied.added, applied.failed), (vec!["lab/uplink".to_owned()], vec![]));
            must_ping(&mut lab, 0, lan.address_v4());
            let applied = lab.change(|wanted| wanted.networks[0].uplink = uplink("none")).unwrap();
            assert_eq!(applied.removed, ["lab/uplink"]);
            lab.run_for(Duration::from_secs(1));
            assert_eq!(lab.operator().interfaces().len(), interfaces, "{version:?}, {text}");
        }
        must_leave_nothing(lab);
    }
}

fn filters_for_its_guests(version: MacOs, text: &str) {
    let config = LabConfig::new(version, 1);
    let config = LabConfig { names_addresses: true, uplink: uplink(text), ..config };
    let mut lab = Lab::boot(config).unwrap();
    let lan = lab.lan().clone();
    must_ping(&mut lab, 0, lan.address_v6());
    must_ping(&mut lab, 1, lan.address_v4());
    must_not_wake(&mut lab, [2, 0, 0, 0, 0, 0x99]);
    must_leave_nothing(lab);
}

/// What is for a station that is not behind the switch does not even wake it.
#[track_caller]
fn must_not_wake(lab: &mut Lab, station: [u8; 6]) {
    let before = lab.kernel().counters();
    lab.lan().with_core(|core| {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&station);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 0x98]);
        core.send_frame(&frame);
    });
    lab.run_for(Duration::from_millis(1));
    let calls = lab.kernel().counters().since(&before);
    assert_eq!(calls.of("read"), 0, "{calls:?}");
}

/// A Mac usually has no bridge to join: one is made, with its card, and undone.
#[test]
fn a_bridge_of_its_own_is_made_and_undone() {
    for version in MacOs::ALL {
        let mac = SimulatedMac::boot(version, 1).unwrap();
        let operator = mac.operator.clone();
        operator.remove_member(BRIDGE, CARD).unwrap();
        operator.set_interface_up(CARD, false).unwrap();
        let before = operator.interfaces();
        let service = mac.start(uplink("bridge:bridge7,create,member=en0")).unwrap().service;
        assert_eq!(operator.members("bridge7").len(), 2);
        let interfaces = Interfaces::open_on(operator.clone()).unwrap();
        assert!(interfaces.find("bridge7").unwrap().is_up());
        assert!(interfaces.find(CARD).unwrap().is_up());
        assert!(interfaces.address_table("bridge7").unwrap().size > 100);
        drop(service.finish());
        operator.run_for(Duration::from_millis(500));
        assert_eq!(operator.interfaces(), before);
        assert!(!interfaces.find(CARD).unwrap().is_up(), "as it was");
    }
}

#[test]
fn a_bridge_of_its_own_that_is_destroyed_is_made_again() {
    for version in MacOs::ALL {
        // Beside the machine's own bridge, which has the card.
        let mut lab = boot(version, "bridge:bridge7,create");
        lab.run_for(Duration::from_secs(1));
        lab.operator().destroy_interface("bridge7").unwrap();
        assert!(lab.run_until(Duration::from_secs(3), |lab| lab.tally().of(Mended::Bridge) > 0));
        lab.run_for(Duration::from_millis(200));
        assert_eq!(lab.operator().members("bridge7").len(), 1);
        must_leave_nothing(lab);
    }
}

/// "Seed vs kernel": an interface that is no bridge is used directly, by BPF and NDRV on itself.
#[test]
fn an_interface_is_used_as_it_is() {
    for version in MacOs::ALL {
        let mut lab = boot(version, "iface:en0");
        lab.operator().remove_member(BRIDGE, CARD).unwrap();
        let before = lab.operator().interfaces();
        let lan = lab.lan().clone();
        must_ping(&mut lab, 0, lan.address_v6());
        must_ping(&mut lab, 1, lan.address_v4());
        assert_eq!(lab.operator().interfaces(), before, "no interface is made");
        drop(lab.finish());
    }
}

#[test]
fn guests_reach_each_other_without_an_uplink() {
    let mut lab = boot(MacOs::V13, "none");
    let other = lab.guest(1).clone();
    must_ping(&mut lab, 0, other.address_v6());
    must_leave_nothing(lab);
}

/// What a killed switch left is taken away by the next, and nothing of a living one's.
#[test]
fn orphans_of_a_dead_switch_go_at_the_next_start() {
    use ifctl::xnu::{FethOptions, Owner, Tag};
    let mac = SimulatedMac::boot(MacOs::V14_0, 1).unwrap();
    let operator = mac.operator.clone();
    let interfaces = Interfaces::open_on(operator.clone()).unwrap();
    let before = operator.interfaces();
    let dead = Tag::new(Owner { pid: 77, started: 5 }, BRIDGE);
    let options = FethOptions { up: true, tag: Some(dead), ..FethOptions::default() };
    let orphan = interfaces.create_feth_pair(&options).unwrap();
    interfaces.add_member(BRIDGE, &orphan.bridge_end).unwrap();
    let foreign = interfaces.create_feth(&FethOptions::default()).unwrap();
    let service = mac.start(uplink("bridge:bridge0")).unwrap().service;
    operator.run_for(Duration::from_millis(500));
    assert_eq!(operator.members(BRIDGE).len(), 2, "the card and the new pair");
    drop(service.finish());
    operator.run_for(Duration::from_millis(500));
    interfaces.destroy(&foreign).unwrap();
    operator.run_for(Duration::from_millis(500));
    assert_eq!(operator.interfaces(), before);
}

fn refusal(text: &str, prepare: impl FnOnce(&SimulatedMac)) -> String {
    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    let operator = mac.operator.clone();
    prepare(&mac);
    let before = operator.interfaces();
    let kernel = mac.kernel.clone();
    let refused = mac.start(uplink(text)).unwrap_err().to_string();
    operator.run_for(Duration::from_millis(500));
    assert_eq!(operator.interfaces(), before, "nothing is left behind: {refused}");
    assert!(kernel.open_descriptors().is_empty(), "{:?}", kernel.open_descriptors());
    refused
}

fn set(kernel: &SimKernel, name: &std::ffi::CStr, value: u32) {
    kernel.sysctlbyname(name, &mut [], Some(&value.to_ne_bytes())).unwrap();
}

/// The card, and the bridge with it, has an MTU that feths cannot have unless they are let.
fn jumbo(operator: &SimKernel) {
    let interfaces = Interfaces::open_on(operator.clone()).unwrap();
    interfaces.remove_member(BRIDGE, CARD).unwrap();
    interfaces.set_mtu(CARD, 9000).unwrap();
    interfaces.add_member(BRIDGE, CARD).unwrap();
}

/// An uplink, what is done to the machine before, and words of the refusal.
type Refused = (&'static str, fn(&SimulatedMac), &'static [&'static str]);

#[test]
fn what_cannot_be_is_refused_with_what_to_do() {
    let cases: [Refused; 8] = [
        ("bridge:bridge9", |_| {}, &["bridge9", "if list"]),
        ("bridge:en0", |_| {}, &["en0", "no bridge"]),
        ("bridge:bridge0,create", |_| {}, &["bridge0 exists already", "leave out"]),
        ("iface:lo0", |_| {}, &["lo0 carries no Ethernet"]),
        ("iface:en7", |_| {}, &["en7"]),
        ("bridge:bridge0", |mac| mac.kernel.drop_privileges(), &["root"]),
        (
            "bridge:bridge0",
            |mac| set(&mac.operator, c"net.link.fake.hwcsum", 1),
            &["net.link.fake.hwcsum", "sysctl -w"],
        ),
        ("bridge:bridge0", |mac| jumbo(&mac.operator), &["net.link.fake.max_mtu=9000"]),
    ];
    for (text, prepare, words) in cases {
        let refused = refusal(text, prepare);
        for word in words {
            assert!(refused.contains(word), "{text}: {refused:?} lacks {word:?}");
        }
    }
}

/// Whoever has what was made ends it, whether or not the port is there still.
#[test]
fn what_was_made_goes_with_its_handle_though_the_port_stays() {
    use vswitchd::platform::Platform as _;
    use vswitchd::xnu::{Identity, Xnu};
    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    let before = mac.operator.interfaces();
    let owner = ifctl::xnu::Owner { pid: 1, started: 1 };
    let identity = Identity { owner, is_alive: std::sync::Arc::new(|_| true) };
    let mut platform = Xnu::new(mac.kernel.clone(), mac.attach, identity);
    let opened = platform.uplink(&uplink("bridge:bridge0"), None).unwrap().unwrap();
    let mut port = opened.port;
    assert_eq!(mac.operator.interfaces().len(), before.len() + 2);
    drop(opened.made);
    mac.operator.run_for(Duration::from_millis(500));
    assert_eq!(mac.operator.interfaces(), before);
    let now = vswitch::Nanos(mac.kernel.uptime_ns());
    assert!(port.upkeep(now).is_ok());
    assert_eq!(mac.operator.interfaces(), before, "nothing is made again");
    // The host's settings are asked for once in a switch's life.
    let sysctls = |kernel: &SimKernel| kernel.counters().of("sysctlbyname");
    let asked = sysctls(&mac.kernel);
    let again = platform.uplink(&uplink("bridge:bridge0"), None).unwrap().unwrap();
    assert_eq!(sysctls(&mac.kernel), asked);
    drop((again, port));
}
