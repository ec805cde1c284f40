//! Feths: made, joined, changed, destroyed.

mod mac;

use ifctl::xnu::{FethOptions, FethUnits, Tag};
use ifctl::{Error, PairOptions};
use mac::{ALIVE, fail_next, let_go, mac, mac_of, mac_with_bridge, tagged};
use xnu_sim::MacOs;
use xnu_sys::{Errno, Kernel};

#[test]
fn a_pair_is_made_of_the_first_free_units_and_comes_up() {
    for version in MacOs::ALL {
        let (_, interfaces) = mac_of(version);
        let options = FethOptions { mtu: Some(2000), up: true, ..tagged(ALIVE) };
        let pair = interfaces.create_feth_pair(&options).unwrap();
        assert_eq!([&*pair.bridge_end, &*pair.switch_end], ["feth20000", "feth20001"]);
        for end in [&pair.bridge_end, &pair.switch_end] {
            let found = interfaces.find(end).unwrap();
            assert!(found.is_up(), "{version:?}");
            assert_eq!(found.mtu, 2000, "{version:?}");
            assert_eq!(interfaces.tag(end).unwrap(), Some(Tag::new(ALIVE, "lan")));
        }
        assert_eq!(interfaces.peer("feth20000").unwrap().as_deref(), Some("feth20001"));
        let second = interfaces.create_feth_pair(&FethOptions::default()).unwrap();
        assert_eq!([&*second.bridge_end, &*second.switch_end], ["feth20002", "feth20003"]);
        assert!(!interfaces.find("feth20002").unwrap().is_up(), "only when asked for");
        assert_eq!(interfaces.find("feth20002").unwrap().mtu, 1500);
    }
}

#[test]
fn units_that_are_there_or_still_going_are_passed_over() {
    let (kernel, interfaces) = mac();
    let options = FethOptions { units: FethUnits::new(20000, 4).unwrap(), ..tagged(ALIVE) };
    interfaces.create_pair("feth20000", "feth20002", PairOptions::default()).unwrap();
    let pair = interfaces.create_feth_pair(&options).unwrap();
    assert_eq!([&*pair.bridge_end, &*pair.switch_end], ["feth20001", "feth20003"]);

    let error = interfaces.create_feth(&options).unwrap_err();
    assert!(matches!(error, Error::NoUnitLeft { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "create one of feth20000 to feth20003: feth20000 to feth20003 are all taken"
    );

    // Gone from the list, and not yet from the kernel: EBUSY, which is as good as taken.
    interfaces.destroy("feth20001").unwrap();
    assert_eq!(interfaces.list().unwrap().len(), 3);
    assert!(matches!(interfaces.create_feth(&options), Err(Error::NoUnitLeft { .. })));
    let_go(&kernel);
    assert_eq!(interfaces.create_feth(&options).unwrap(), "feth20001");
}

#[test]
fn one_end_that_finds_no_unit_takes_the_other_with_it() {
    let (kernel, interfaces) = mac();
    let options = FethOptions { units: FethUnits::new(20000, 1).unwrap(), ..tagged(ALIVE) };
    let error = interfaces.create_feth_pair(&options).unwrap_err();
    assert!(matches!(error, Error::NoUnitLeft { .. }), "{error}");
    let_go(&kernel);
    assert_eq!(kernel.interfaces(), ["lo0"]);
}

#[test]
fn whatever_fails_nothing_is_left_behind() {
    let calls = [
        ("SIOCIFCREATE", "feth20001"),
        ("SIOCSIFDESC", "feth20000"),
        ("SIOCSIFDESC", "feth20001"),
        ("SIOCSIFMTU", "feth20000"),
        ("SIOCSIFMTU", "feth20001"),
        ("IF_FAKE_S_CMD_SET_PEER", "feth20000"),
        ("SIOCGIFFLAGS", "feth20001"),
        ("SIOCSIFFLAGS", "feth20001"),
        ("SIOCSIFFLAGS", "feth20000"),
    ];
    for (call, object) in calls {
        let (kernel, interfaces) = mac();
        let options = FethOptions { mtu: Some(1400), up: true, ..tagged(ALIVE) };
        fail_next(&kernel, call, object, Errno::ENOMEM);
        let error = interfaces.create_feth_pair(&options).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ENOMEM.0), "{call} {object}: {error}");
        assert_eq!(kernel.interfaces(), ["lo0"], "{call} {object}");
    }
    for (call, object) in [("SIOCSIFDESC", "feth20000"), ("SIOCSIFFLAGS", "feth20000")] {
        let (kernel, interfaces) = mac();
        fail_next(&kernel, call, object, Errno::ENOMEM);
        let options = FethOptions { up: true, ..tagged(ALIVE) };
        interfaces.create_feth(&options).unwrap_err();
        assert_eq!(kernel.interfaces(), ["lo0"], "{call}");
    }
    for (call, object) in
        [("SIOCIFCREATE", "feth2"), ("SIOCSIFLLADDR", "feth1"), ("SIOCSIFMTU", "feth2")]
    {
        let (kernel, interfaces) = mac();
        fail_next(&kernel, call, object, Errno::ENOMEM);
        let macs = Some([[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]]);
        let options = PairOptions { mtu: Some(1400), macs };
        interfaces.create_pair("feth1", "feth2", options).unwrap_err();
        assert_eq!(kernel.interfaces(), ["lo0"], "{call}");
    }
}

#[test]
fn a_pair_of_chosen_names() {
    let (_, interfaces) = mac();
    let macs = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
    let options = PairOptions { mtu: Some(1400), macs: Some(macs) };
    interfaces.create_pair("feth7", "feth3", options).unwrap();
    for (name, mac) in [("feth7", macs[0]), ("feth3", macs[1])] {
        let found = interfaces.find(name).unwrap();
        assert_eq!((found.mac, found.mtu, found.is_up()), (Some(mac), 1400, false));
    }
    assert_eq!(interfaces.peer("feth3").unwrap().as_deref(), Some("feth7"));

    let error = interfaces.create_pair("feth8", "feth7", PairOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Exists { name, .. } if name == "feth7"), "{error}");
    assert!(interfaces.find("feth8").is_err(), "nothing is left behind");
    let error = interfaces.create_pair("feth9", "feth9", PairOptions::default()).unwrap_err();
    assert!(matches!(error, Error::SameName { .. }), "{error}");
    let error = interfaces.create_pair("left", "right", PairOptions::default()).unwrap_err();
    assert!(matches!(error, Error::InvalidName { .. }), "{error}");
}

#[test]
fn a_chosen_name_is_waited_for_but_not_for_ever() {
    let (kernel, interfaces) = mac();
    interfaces.create_bridge("bridge9").unwrap();
    interfaces.destroy("bridge9").unwrap();
    let before = kernel.uptime_ns();
    interfaces.create_bridge("bridge9").unwrap();
    assert!(kernel.uptime_ns() - before < 100_000_000, "as soon as it can be");

    interfaces.destroy("bridge9").unwrap();
    let forever = xnu_sim::Fault {
        call: "SIOCIFCREATE",
        object: Some("bridge9".into()),
        after: 0,
        times: u64::MAX,
        action: xnu_sim::FaultAction::Fail(Errno::EBUSY),
    };
    kernel.add_fault(forever);
    let before = kernel.uptime_ns();
    let error = interfaces.create_bridge("bridge9").unwrap_err();
    assert!(matches!(error, Error::StillDetaching { .. }), "{error}");
    let waited_ms = (kernel.uptime_ns() - before) / 1_000_000;
    assert!((500..=2000).contains(&waited_ms), "{waited_ms} ms");
}

#[test]
fn a_peer_that_goes_just_then_is_named() {
    let (kernel, interfaces) = mac();
    let one = interfaces.create_feth(&FethOptions::default()).unwrap();
    let two = interfaces.create_feth(&FethOptions::default()).unwrap();
    fail_next(&kernel, "IF_FAKE_S_CMD_SET_PEER", &one, Errno::ENXIO);
    let error = interfaces.set_peer(&one, &two).unwrap_err();
    assert!(matches!(&error, Error::NotFound { name, .. } if *name == two), "{error}");
    // One that is being destroyed has no peer, and is busy.
    fail_next(&kernel, "IF_FAKE_S_CMD_SET_PEER", &one, Errno::EBUSY);
    assert_eq!(interfaces.set_peer(&one, &two).unwrap_err().errno(), Some(Errno::EBUSY.0));
}

#[test]
fn a_feth_goes_with_its_peer() {
    let (kernel, interfaces) = mac_with_bridge();
    let pair = interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    interfaces.add_member("bridge7", &pair.bridge_end).unwrap();
    interfaces.destroy(&pair.switch_end).unwrap();
    assert_eq!(kernel.interfaces(), ["lo0", "en5", "bridge7"]);
    let error = interfaces.destroy(&pair.switch_end).unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    // Its bridge lists it until it has left the kernel; it has no number then.
    let listed = interfaces.members("bridge7").unwrap();
    assert_eq!(listed.iter().map(|one| one.index > 0).collect::<Vec<_>>(), [true, false]);
    let_go(&kernel);
    assert_eq!(interfaces.members("bridge7").unwrap().len(), 1);

    interfaces.destroy("bridge7").unwrap();
    assert_eq!(interfaces.find("en5").unwrap().master, None);
    let error = interfaces.destroy("en5").unwrap_err();
    assert!(error.to_do().unwrap().contains("software"), "{error}");
}

#[test]
fn somebody_elses_destroying_is_as_good() {
    let (kernel, interfaces) = mac();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    fail_next(&kernel, "SIOCIFDESTROY", &feth, Errno::ENXIO);
    interfaces.destroy(&feth).unwrap();
    fail_next(&kernel, "SIOCIFDESTROY", &feth, Errno::EIO);
    assert_eq!(interfaces.destroy(&feth).unwrap_err().errno(), Some(Errno::EIO.0));
}

#[test]
fn an_mtu_has_the_limits_of_the_moment_of_making() {
    let (kernel, interfaces) = mac();
    let early = interfaces.create_feth(&FethOptions::default()).unwrap();
    assert_eq!(interfaces.mtu_range(&early).unwrap(), (72, 2048));
    match interfaces.set_mtu(&early, 2049).unwrap_err() {
        Error::MtuRejected { name, mtu: 2049, min: 72, max: 2048, .. } => assert_eq!(name, early),
        other => panic!("{other}"),
    }
    let options = FethOptions { mtu: Some(9000), ..FethOptions::default() };
    let error = interfaces.create_feth_pair(&options).unwrap_err();
    assert!(matches!(error, Error::MtuRejected { max: 2048, .. }), "{error}");

    kernel.sysctlbyname(c"net.link.fake.max_mtu", &mut [], Some(&9000_u32.to_ne_bytes())).unwrap();
    let late = interfaces.create_feth(&options).unwrap();
    assert_eq!(interfaces.mtu_range(&late).unwrap(), (72, 9000));
    assert_eq!(interfaces.mtu_range(&early).unwrap(), (72, 2048));
    interfaces.set_mtu(&early, 2048).unwrap();
    assert!(matches!(interfaces.set_mtu(&early, 71), Err(Error::MtuRejected { min: 72, .. })));
    assert!(matches!(interfaces.set_mtu(&early, 70000), Err(Error::MtuRejected { .. })));
}
