//! What the kernel tells of interfaces on its own, and its settings.

mod mac;

use ifctl::xnu::{Change, Events, FethOptions, Severity};
use mac::{fail_next, let_go, mac, mac_of, mac_with_bridge};
use xnu_sim::{MacOs, SimKernel};
use xnu_sys::{Errno, Kernel};

fn all(events: &Events<SimKernel>) -> Vec<(String, Change)> {
    let mut seen = Vec::new();
    while let Some(event) = events.next_event().unwrap() {
        seen.push((event.name().to_owned(), event.change));
    }
    seen
}

fn of(seen: &[(String, Change)], name: &str) -> Vec<Change> {
    seen.iter().filter(|(of, _)| of == name).map(|(_, change)| *change).collect()
}

#[test]
fn the_life_of_a_pair_is_told() {
    for version in MacOs::ALL {
        let (kernel, interfaces) = mac_of(version);
        let events = Events::open_on(kernel.spawn(false)).unwrap();
        assert_eq!(all(&events), []);
        let options = FethOptions { up: true, mtu: Some(1400), ..FethOptions::default() };
        let pair = interfaces.create_feth_pair(&options).unwrap();
        let seen = of(&all(&events), &pair.switch_end);
        let known: Vec<Change> =
            seen.into_iter().filter(|change| !matches!(change, Change::Other(_))).collect();
        let made = [Change::Attached, Change::LladdrChanged, Change::Mtu, Change::LinkOn];
        assert_eq!(known[..4], made, "{version:?}");
        assert_eq!(known[4..], [Change::Flags], "{version:?}");
        interfaces.destroy(&pair.switch_end).unwrap();
        let seen = of(&all(&events), &pair.switch_end);
        let place = |change| seen.iter().position(|one| *one == change);
        assert!(place(Change::LinkOff) < place(Change::Detaching), "{version:?}: {seen:?}");
        assert!(place(Change::LinkOff).is_some(), "{version:?}: {seen:?}");
        assert!(!seen.contains(&Change::Detached), "{version:?}: too early");
        let_go(&kernel);
        let seen = of(&all(&events), &pair.switch_end);
        assert_eq!(seen.last(), Some(&Change::Detached), "{version:?}: {seen:?}");
    }
}

#[test]
fn joining_a_bridge_is_told_of_the_member() {
    let (kernel, interfaces) = mac_with_bridge();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let events = Events::open_on(kernel).unwrap();
    interfaces.add_member("bridge7", &feth).unwrap();
    assert!(of(&all(&events), &feth).contains(&Change::ProtoAttached));
    interfaces.remove_member("bridge7", &feth).unwrap();
    assert!(of(&all(&events), &feth).contains(&Change::ProtoDetached));
}

#[test]
fn the_socket_can_be_waited_for_and_never_waits() {
    let (kernel, interfaces) = mac();
    let events = Events::open_on(kernel.clone()).unwrap();
    assert!(events.number() >= 0);
    assert_eq!(<SimKernel as Kernel>::number(events.fd()), events.number());
    let before = kernel.uptime_ns();
    assert_eq!(events.next_event().unwrap(), None);
    assert!(kernel.uptime_ns() - before < 1_000_000);
    interfaces.create_bridge("bridge3").unwrap();
    assert!(events.next_event().unwrap().is_some());
    assert!(kernel.open_descriptors().iter().all(|(_, _, closed_on_exec)| *closed_on_exec));
}

#[test]
fn what_cannot_be_opened_or_read_is_told() {
    let (kernel, _) = mac();
    let events = Events::open_on(kernel.clone()).unwrap();
    kernel.add_fault(xnu_sim::Fault {
        call: "read",
        object: None,
        after: 0,
        times: 1,
        action: xnu_sim::FaultAction::Fail(Errno::ENOBUFS),
    });
    assert_eq!(events.next_event().unwrap_err().errno(), Some(Errno::ENOBUFS.0));
    for call in ["socket", "SIOCSKEVFILT"] {
        kernel.add_fault(xnu_sim::Fault {
            call,
            object: None,
            after: 0,
            times: 1,
            action: xnu_sim::FaultAction::Fail(Errno::EMFILE),
        });
        let error = Events::open_on(kernel.clone()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EMFILE.0), "{call}");
        assert!(error.to_do().unwrap().contains("ulimit"), "{error}");
    }
}

#[test]
fn the_kernels_own_settings_are_fine_on_each_version() {
    for version in MacOs::ALL {
        let (_, interfaces) = mac_of(version);
        let findings = interfaces.check_feth_settings(1500).unwrap();
        assert!(findings.iter().all(|one| one.severity == Severity::Note), "{findings:?}");
        // The setting is 15's.
        assert_eq!(findings.len(), usize::from(version == MacOs::V15), "{version:?}");
        let findings = interfaces.check_feth_settings(9000).unwrap();
        assert_eq!(findings[0].setting, "net.link.fake.max_mtu", "the worst first");
        assert_eq!(findings[0].better, Some(9000));
    }
}

#[test]
fn a_setting_that_breaks_frames_is_found() {
    let (kernel, interfaces) = mac();
    let set = |name: &std::ffi::CStr, value: u32| {
        kernel.sysctlbyname(name, &mut [], Some(&value.to_ne_bytes())).unwrap();
    };
    set(c"net.link.fake.txstart", 0);
    set(c"net.link.fake.hwcsum", 1);
    set(c"net.link.fake.trailer_length", 4);
    let findings = interfaces.check_feth_settings(1500).unwrap();
    let found: Vec<_> = findings.iter().map(|one| (one.severity, one.setting)).collect();
    assert_eq!(
        found,
        [
            (Severity::Error, "net.link.fake.hwcsum"),
            (Severity::Error, "net.link.fake.trailer_length"),
            (Severity::Warning, "net.link.fake.txstart"),
            (Severity::Note, "net.link.fake.vlan_tagging"),
        ]
    );
    fail_next(&kernel, "sysctlbyname", "net.link.fake.bsd_mode", Errno::EPERM);
    assert_eq!(interfaces.check_feth_settings(1500).unwrap_err().errno(), Some(Errno::EPERM.0));
}
