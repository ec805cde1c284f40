//! Which interfaces a Mac has, and what they are set to.

mod mac;

use ifctl::xnu::{FethOptions, Interfaces};
use ifctl::{Error, Flags, Kind, NameFault, OperState};
use mac::{CARD_MAC, control, fail_next, mac, mac_of, mac_with_bridge, name};
use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::Errno;
use xnu_sys::if_bridgevar::{BRDGADDS, ifbreq};

#[test]
fn all_interfaces_with_all_that_they_are() {
    let (kernel, interfaces) = mac_with_bridge();
    kernel.add_address("en5", [192, 168, 64, 9], [255, 255, 255, 0]).unwrap();
    let options = FethOptions { up: true, ..FethOptions::default() };
    let pair = interfaces.create_feth_pair(&options).unwrap();
    interfaces.add_member("bridge7", &pair.bridge_end).unwrap();

    let all = interfaces.list().unwrap();
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["lo0", "en5", "bridge7", "feth20000", "feth20001"]);
    assert!(all.is_sorted_by_key(|one| one.index));

    let of = |name: &str| all.iter().find(|one| one.name == name).unwrap().clone();
    let (lo, card, bridge) = (of("lo0"), of("en5"), of("bridge7"));
    assert_eq!((lo.kind, lo.mac, lo.master), (Kind::Loopback, None, None));
    assert!(lo.flags.contains(Flags::LOOPBACK));
    assert!(lo.addresses.iter().any(|one| one.to_string() == "127.0.0.1/8"), "{:?}", lo.addresses);

    assert_eq!((card.kind, card.mac, card.mtu), (Kind::Ethernet, Some(CARD_MAC), 1500));
    assert_eq!(card.master.as_deref(), Some("bridge7"));
    assert_eq!((card.state, card.peer_index), (OperState::Up, None));
    assert_eq!(card.addresses[0].to_string(), "192.168.64.9/24");
    let expected = Flags::UP | Flags::BROADCAST | Flags::RUNNING | Flags::PROMISC;
    assert_eq!(card.flags, expected | Flags::SIMPLEX | Flags::MULTICAST);

    // The link-layer address that a bridge shows says that it is an Ethernet.
    assert_eq!((&bridge.kind, bridge.state), (&Kind::Bridge, OperState::Up));
    assert!(bridge.is_up());

    let (a, b) = (of("feth20000"), of("feth20001"));
    assert_eq!((&a.kind, &b.kind), (&Kind::Feth, &Kind::Feth));
    assert_eq!((a.peer_index, b.peer_index), (Some(b.index), Some(a.index)));
    assert_eq!((a.master.as_deref(), b.master.as_deref()), (Some("bridge7"), None));
    assert_eq!(a.mac, Some([0x66, 0x65, 0x74, 0x68, 0x4e, 0x20]));
    assert_eq!(interfaces.find("feth20000").unwrap(), a);
}

#[test]
fn on_each_version() {
    for version in MacOs::ALL {
        let (_, interfaces) = mac_of(version);
        interfaces.create_bridge("bridge0").unwrap();
        let pair = interfaces.create_feth_pair(&FethOptions::default()).unwrap();
        interfaces.add_member("bridge0", &pair.bridge_end).unwrap();
        let found = interfaces.find(&pair.bridge_end).unwrap();
        assert_eq!(found.kind, Kind::Feth, "{version:?}");
        assert_eq!(found.master.as_deref(), Some("bridge0"), "{version:?}");
        assert_eq!(interfaces.find("bridge0").unwrap().kind, Kind::Bridge, "{version:?}");
        let cloners = interfaces.cloners().unwrap();
        for cloner in ["bridge", "feth"] {
            assert!(cloners.iter().any(|one| one == cloner), "{version:?}: {cloners:?}");
        }
    }
}

#[test]
fn an_interface_that_goes_while_it_is_looked_at_is_left_out() {
    let (kernel, interfaces) = mac_with_bridge();
    for call in ["SIOCGIFTYPE", "SIOCGIFMTU", "SIOCGIFFLAGS"] {
        fail_next(&kernel, call, "en5", Errno::ENXIO);
        let all = interfaces.list().unwrap();
        assert!(all.iter().all(|one| one.name != "en5"), "{call}");
        assert!(all.iter().any(|one| one.name == "bridge7"), "{call}");
    }
    fail_next(&kernel, "SIOCGIFMTU", "en5", Errno::ENXIO);
    let error = interfaces.find("en5").unwrap_err();
    assert!(matches!(&error, Error::NotFound { name, .. } if name == "en5"), "{error}");
    // Any other failure is told.
    fail_next(&kernel, "SIOCGIFMTU", "en5", Errno::ENOMEM);
    assert_eq!(interfaces.list().unwrap_err().errno(), Some(Errno::ENOMEM.0));
}

#[test]
fn a_feth_whose_driver_let_go_of_it_has_no_peer() {
    let (kernel, interfaces) = mac();
    interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    fail_next(&kernel, "IF_FAKE_G_CMD_GET_PEER", "feth20000", Errno::EOPNOTSUPP);
    let all = interfaces.list().unwrap();
    assert_eq!(
        all.iter().map(|one| one.peer_index.is_some()).collect::<Vec<_>>(),
        [false, false, true]
    );
    fail_next(&kernel, "IF_FAKE_G_CMD_GET_PEER", "feth20000", Errno::EFAULT);
    assert_eq!(interfaces.list().unwrap_err().errno(), Some(Errno::EFAULT.0));
}

#[test]
fn a_span_port_has_no_master() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.create_feth(&FethOptions::default()).unwrap();
    let mut span = ifbreq::new(name("feth20000"));
    control(&kernel).driver_command(name("bridge7"), BRDGADDS, &mut span).unwrap();
    assert_eq!(interfaces.find("feth20000").unwrap().master, None);
    assert_eq!(interfaces.span_ports("bridge7").unwrap(), ["feth20000"]);
    assert_eq!(interfaces.members("bridge7").unwrap().len(), 1);
    // And needs no MTU of a bridge that has no members.
    interfaces.remove_member("bridge7", "en5").unwrap();
    assert_eq!(interfaces.required_mtu("bridge7").unwrap(), None);
}

#[test]
fn up_and_down_touch_nothing_else() {
    let (kernel, interfaces) = mac_with_bridge();
    let before = interfaces.find("en5").unwrap();
    interfaces.set_up("en5", false).unwrap();
    let down = interfaces.find("en5").unwrap();
    assert!(!down.is_up());
    assert_eq!(down.state, OperState::Down);
    assert_eq!(down.flags | Flags::UP | Flags::RUNNING, before.flags);
    interfaces.set_up("en5", true).unwrap();
    assert!(interfaces.find("en5").unwrap().is_up());
    // What is so already is not set again.
    fail_next(&kernel, "SIOCSIFFLAGS", "en5", Errno::EIO);
    interfaces.set_up("en5", true).unwrap();
    assert!(interfaces.set_up("en5", false).is_err());
}

#[test]
fn names_that_no_interface_has_or_can_have() {
    let (_, interfaces) = mac();
    for missing in ["en9", "feth20000", "x"] {
        let error = interfaces.find(missing).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let error = interfaces.set_up(missing, true).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
        let error = interfaces.set_mtu(missing, 1400).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
    for bad in ["", "a b", "sixteen-bytes-xx", "naïve", "feth\0"] {
        let error = interfaces.find(bad).unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{bad:?}: {error}");
    }
    match interfaces.find("naïve").unwrap_err() {
        Error::InvalidName { fault, .. } => {
            assert_eq!(fault, NameFault::Character { character: 'ï' });
        }
        other => panic!("{other}"),
    }
    for (name, prefix) in [("br0", "bridge"), ("bridge", "bridge"), ("bridge01", "bridge")] {
        match interfaces.create_bridge(name).unwrap_err() {
            Error::InvalidName { fault: NameFault::NotOfKind { prefix: said }, .. } => {
                assert_eq!(said, prefix);
            }
            other => panic!("{name}: {other}"),
        }
    }
}

#[test]
fn without_privilege_one_may_look_and_not_touch() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    let nobody = Interfaces::open_on(kernel.spawn(false)).unwrap();
    assert_eq!(nobody.list().unwrap(), interfaces.list().unwrap());
    nobody.members("bridge7").unwrap();
    nobody.addresses("bridge7").unwrap();
    nobody.peer("feth20000").unwrap();
    nobody.check_feth_settings(1500).unwrap();
    for refused in [
        nobody.set_up("en5", false),
        nobody.set_mtu("en5", 1400),
        nobody.create_bridge("bridge8"),
        nobody.create_feth(&FethOptions::default()).map(|_| ()),
        nobody.destroy("bridge7"),
        nobody.remove_member("bridge7", "en5"),
        nobody.ensure_member("bridge7", "feth20000").map(|_| ()),
        nobody.clear_peer("feth20000"),
        nobody.set_description("en5", "x"),
        nobody.flush_addresses("bridge7", true),
        nobody.set_isolated("bridge7", "en5", true),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EPERM.0), "{error}");
        assert_eq!(error.to_do().as_deref(), Some("run as root"), "{error}");
    }
}

#[test]
fn media_tell_of_links() {
    let (kernel, interfaces) = mac();
    let wire = kernel.add_ethernet("en5", CARD_MAC, EthernetOptions::default());
    assert!(interfaces.media("en5").unwrap().is_flooded_to());
    wire.set_link(false);
    let media = interfaces.media("en5").unwrap();
    assert!(media.is_known && !media.is_active());
    assert_eq!(interfaces.find("en5").unwrap().state, OperState::LowerLayerDown);

    interfaces.create_feth_pair(&FethOptions { up: true, ..FethOptions::default() }).unwrap();
    assert!(interfaces.media("feth20000").unwrap().is_flooded_to());
    interfaces.clear_peer("feth20001").unwrap();
    assert!(!interfaces.media("feth20000").unwrap().is_active());
    assert_eq!(interfaces.find("feth20000").unwrap().state, OperState::LowerLayerDown);
    assert!(interfaces.media("lo0").is_err());
    assert_eq!(interfaces.find("lo0").unwrap().state, OperState::Unknown);
}

#[test]
#[cfg(not(target_os = "macos"))]
fn where_there_is_no_xnu_it_says_so() {
    let error = Interfaces::open_on(xnu_sys::Host).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOSYS.0));
    assert!(error.to_do().unwrap().contains("Mac"), "{error}");
}
