//! Bridges of a Mac, their members and their tables.

mod mac;

use std::net::Ipv4Addr;

use ifctl::xnu::{AddressKind, FethOptions, HostFilter, MemberFlags};
use ifctl::{Error, Membership, PortState};
use mac::{CARD_MAC, control, fail_next, mac, mac_of, mac_with_bridge, name};
use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::Errno;
use xnu_sys::if_bridgevar::{BRDGADDS, ifbreq};

const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

#[test]
fn a_membership_is_made_kept_and_ended() {
    for version in MacOs::ALL {
        let (_, interfaces) = mac_of(version);
        interfaces.create_bridge("bridge7").unwrap();
        let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
        assert_eq!(interfaces.ensure_member("bridge7", &feth).unwrap(), Membership::Added);
        assert_eq!(interfaces.ensure_member("bridge7", &feth).unwrap(), Membership::AlreadyMember);
        match interfaces.add_member("bridge7", &feth).unwrap_err() {
            Error::OtherMaster { member, master, .. } => {
                assert_eq!([&*member, &*master], [&*feth, "bridge7"]);
            }
            other => panic!("{version:?}: {other}"),
        }
        interfaces.remove_member("bridge7", &feth).unwrap();
        let error = interfaces.remove_member("bridge7", &feth).unwrap_err();
        assert!(matches!(error, Error::NotAMember { .. }), "{version:?}: {error}");
        assert_eq!(interfaces.members("bridge7").unwrap(), []);
    }
}

#[test]
fn members_with_what_the_bridge_does_for_them() {
    let (kernel, interfaces) = mac_with_bridge();
    let pair =
        interfaces.create_feth_pair(&FethOptions { up: true, ..FethOptions::default() }).unwrap();
    interfaces.add_member("bridge7", &pair.bridge_end).unwrap();
    let members = interfaces.members("bridge7").unwrap();
    let names: Vec<&str> = members.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["en5", "feth20000"], "in the order of joining");
    let feth = &members[1];
    assert_eq!(feth.index, interfaces.find("feth20000").unwrap().index);
    assert_eq!(u32::from(feth.port_no), feth.index & 0xff);
    assert_eq!((feth.learning, feth.flooding, feth.isolated), (true, true, false));
    assert_eq!(feth.state, PortState::Forwarding);
    interfaces.set_up("feth20000", false).unwrap();
    assert_eq!(interfaces.members("bridge7").unwrap()[1].state, PortState::Disabled);
    interfaces.set_up("feth20000", true).unwrap();
    interfaces.set_up("bridge7", false).unwrap();
    assert_eq!(interfaces.members("bridge7").unwrap()[1].state, PortState::Disabled);
    drop(kernel);
}

#[test]
fn who_is_missing_is_told_apart() {
    let (kernel, interfaces) = mac_with_bridge();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    // ENOENT of BRDGADD: the interface is gone. Of the others: it is no member.
    match interfaces.ensure_member("bridge7", "feth9").unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "feth9"),
        other => panic!("{other}"),
    }
    match interfaces.member_details("bridge7", &feth).unwrap_err() {
        Error::NotAMember { bridge, member, .. } => {
            assert_eq!([&*bridge, &*member], ["bridge7", &*feth])
        }
        other => panic!("{other}"),
    }
    match interfaces.member_details("bridge7", "feth9").unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "feth9"),
        other => panic!("{other}"),
    }
    match interfaces.ensure_member("bridge8", &feth).unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "bridge8"),
        other => panic!("{other}"),
    }
    // ENXIO: the bridge went since it was looked at, or the member is going.
    fail_next(&kernel, "BRDGADD", "bridge7", Errno::ENXIO);
    match interfaces.ensure_member("bridge7", &feth).unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, feth),
        other => panic!("{other}"),
    }
    fail_next(&kernel, "BRDGADD", "bridge7", Errno::ENXIO);
    fail_next(&kernel, "SIOCGIFFLAGS", "bridge7", Errno::ENXIO);
    match interfaces.ensure_member("bridge7", &feth).unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "bridge7"),
        other => panic!("{other}"),
    }
    fail_next(&kernel, "BRDGDEL", "bridge7", Errno::ENXIO);
    match interfaces.remove_member("bridge7", "en5").unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "bridge7"),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_no_bridge_gets_no_commands() {
    let (_, interfaces) = mac_with_bridge();
    let pair = interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    for other in [&*pair.bridge_end, "en5", "lo0"] {
        for refused in [
            interfaces.add_member(other, &pair.switch_end),
            interfaces.remove_member(other, &pair.switch_end),
            interfaces.members(other).map(|_| ()),
            interfaces.span_ports(other).map(|_| ()),
            interfaces.required_mtu(other).map(|_| ()),
            interfaces.member_details(other, "en5").map(|_| ()),
            interfaces.set_isolated(other, "en5", true),
            interfaces.set_address_limit(other, "en5", 1),
            interfaces.host_filter(other, "en5").map(|_| ()),
            interfaces.set_host_filter(other, "en5", None),
            interfaces.addresses(other).map(|_| ()),
            interfaces.pin_address(other, "en5", GUEST),
            interfaces.forget_address(other, GUEST),
            interfaces.flush_addresses(other, false),
            interfaces.address_table(other).map(|_| ()),
            interfaces.set_address_table_size(other, 1),
            interfaces.set_address_age(other, 1),
        ] {
            let error = refused.unwrap_err();
            assert!(matches!(error, Error::NotABridge { .. }), "{other}: {error}");
        }
    }
    // "Remove a member" has the number of feth's "set the peer".
    assert_eq!(interfaces.peer(&pair.bridge_end).unwrap(), Some(pair.switch_end));
}

#[test]
fn a_member_of_another_bridge_stays_there() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.create_bridge("bridge8").unwrap();
    match interfaces.ensure_member("bridge8", "en5").unwrap_err() {
        Error::OtherMaster { member, master, .. } => {
            assert_eq!([&*member, &*master], ["en5", "bridge7"]);
        }
        other => panic!("{other}"),
    }
    assert_eq!(interfaces.find("en5").unwrap().master.as_deref(), Some("bridge7"));

    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let mut span = ifbreq::new(name(&feth));
    control(&kernel).driver_command(name("bridge8"), BRDGADDS, &mut span).unwrap();
    let error = interfaces.ensure_member("bridge8", &feth).unwrap_err();
    assert!(matches!(error, Error::SpanPort { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "add feth20000 to bridge bridge8: feth20000 is a span port of bridge8, \
         and so cannot be a member"
    );
    // What none of these is, stays the kernel's word.
    fail_next(&kernel, "BRDGADD", "bridge7", Errno::EBUSY);
    let error = interfaces.ensure_member("bridge7", "en5").unwrap_err();
    assert!(matches!(error, Error::OtherMaster { .. } | Error::Xnu { .. }), "{error}");
}

#[test]
fn a_bridge_takes_one_wifi() {
    let (kernel, interfaces) = mac();
    interfaces.create_bridge("bridge7").unwrap();
    for (name, last) in [("en0", 1), ("en1", 2)] {
        let options = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
        drop(kernel.add_ethernet(name, [0x3c, 0x22, 0xfb, 0, 0, last], options));
    }
    interfaces.ensure_member("bridge7", "en0").unwrap();
    let flags = interfaces.member_details("bridge7", "en0").unwrap().flags;
    assert!(flags.contains(MemberFlags::MAC_NAT));
    match interfaces.ensure_member("bridge7", "en1").unwrap_err() {
        Error::SecondWifi { bridge, other, .. } => {
            assert_eq!([&*bridge, &*other], ["bridge7", "en0"]);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_first_member_decides_the_mtu_and_the_others_must_have_it() {
    let (kernel, interfaces) = mac();
    interfaces.create_bridge("bridge7").unwrap();
    assert_eq!(interfaces.required_mtu("bridge7").unwrap(), None);
    let options = EthernetOptions { mtu: 1400, ..EthernetOptions::default() };
    drop(kernel.add_ethernet("en5", CARD_MAC, options));
    interfaces.ensure_member("bridge7", "en5").unwrap();
    assert_eq!(interfaces.find("bridge7").unwrap().mtu, 1400);
    assert_eq!(interfaces.required_mtu("bridge7").unwrap(), Some(1400));

    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    match interfaces.ensure_member("bridge7", &feth).unwrap_err() {
        Error::MtuDiffers { bridge, mtu, member, member_mtu, .. } => {
            assert_eq!((&*bridge, mtu, &*member, member_mtu), ("bridge7", 1400, &*feth, 1500));
        }
        other => panic!("{other}"),
    }
    interfaces.set_mtu(&feth, 1400).unwrap();
    interfaces.ensure_member("bridge7", &feth).unwrap();

    // The members first, then the bridge.
    match interfaces.set_mtu("bridge7", 1300).unwrap_err() {
        Error::MtuDiffers { bridge, mtu, member, member_mtu, .. } => {
            assert_eq!((&*bridge, mtu, &*member, member_mtu), ("bridge7", 1300, "en5", 1400));
        }
        other => panic!("{other}"),
    }
    interfaces.set_mtu("en5", 1300).unwrap();
    match interfaces.set_mtu("bridge7", 1300).unwrap_err() {
        Error::MtuDiffers { member, .. } => assert_eq!(member, feth),
        other => panic!("{other}"),
    }
    interfaces.set_mtu(&feth, 1300).unwrap();
    interfaces.set_mtu("bridge7", 1300).unwrap();
    match interfaces.set_mtu("bridge7", 575).unwrap_err() {
        Error::MtuRejected { min: 576, mtu: 575, .. } => {}
        other => panic!("{other}"),
    }
}

#[test]
fn what_a_bridge_never_takes() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.create_bridge("bridge8").unwrap();
    for (member, kind) in [("lo0", "loopback"), ("bridge8", "bridge")] {
        match interfaces.ensure_member("bridge7", member).unwrap_err() {
            Error::NotBridgeable { member: said, kind: of, .. } => {
                assert_eq!([&*said, &*of.to_string()], [member, kind]);
            }
            other => panic!("{other}"),
        }
    }
    // A coprocessor's interface is an Ethernet of the right MTU, and refused.
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    fail_next(&kernel, "BRDGADD", "bridge7", Errno::EINVAL);
    let error = interfaces.ensure_member("bridge7", &feth).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL.0));
    assert!(error.to_do().unwrap().contains("coprocessor"), "{error}");
}

#[test]
fn flags_are_changed_one_by_one() {
    let (kernel, interfaces) = mac_with_bridge();
    let default = MemberFlags::LEARNING | MemberFlags::DISCOVER;
    let flags = || interfaces.member_details("bridge7", "en5").unwrap().flags;
    assert_eq!(flags(), default);
    interfaces.set_isolated("bridge7", "en5", true).unwrap();
    assert_eq!(flags(), default | MemberFlags::PRIVATE, "the others are kept");
    let before = interfaces
        .change_member("bridge7", "en5", MemberFlags::STICKY, MemberFlags::DISCOVER)
        .unwrap();
    assert_eq!(before, default | MemberFlags::PRIVATE);
    assert_eq!(flags(), MemberFlags::LEARNING | MemberFlags::PRIVATE | MemberFlags::STICKY);
    interfaces.set_isolated("bridge7", "en5", false).unwrap();
    assert!(!flags().contains(MemberFlags::PRIVATE));
    let none = MemberFlags::empty();
    let error = interfaces.change_member("bridge7", "en5", MemberFlags::SPAN, none).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL.0));
    // Nothing to change is nothing to write.
    fail_next(&kernel, "BRDGSIFFLGS", "bridge7", Errno::EIO);
    interfaces.set_isolated("bridge7", "en5", false).unwrap();
    assert!(interfaces.set_isolated("bridge7", "en5", true).is_err());
}

#[test]
fn a_member_may_have_so_many_addresses() {
    let (_, interfaces) = mac_with_bridge();
    assert_eq!(interfaces.member_details("bridge7", "en5").unwrap().address_limit, 0);
    interfaces.set_address_limit("bridge7", "en5", 3).unwrap();
    assert_eq!(interfaces.member_details("bridge7", "en5").unwrap().address_limit, 3);
    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    assert_eq!(interfaces.member_details("bridge7", "en5").unwrap().address_count, 1);
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let error = interfaces.set_address_limit("bridge7", &feth, 3).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
}

#[test]
fn a_filter_of_hosts_is_set_changed_and_taken_away() {
    let (_, interfaces) = mac_with_bridge();
    let get = || interfaces.host_filter("bridge7", "en5").unwrap();
    assert_eq!(get(), None);
    let ipv4 = Some(Ipv4Addr::new(192, 168, 64, 9));
    let full = Some(HostFilter { mac: Some(GUEST), ipv4 });
    interfaces.set_host_filter("bridge7", "en5", full).unwrap();
    assert_eq!(get(), full);
    // What the earlier one had does not stay.
    let narrower = Some(HostFilter { mac: Some(GUEST), ipv4: None });
    interfaces.set_host_filter("bridge7", "en5", narrower).unwrap();
    assert_eq!(get(), narrower);
    let other = Some(HostFilter { mac: None, ipv4 });
    interfaces.set_host_filter("bridge7", "en5", other).unwrap();
    assert_eq!(get(), other);
    interfaces.set_host_filter("bridge7", "en5", None).unwrap();
    assert_eq!(get(), None);
    for mac in [[1, 0, 0, 0, 0, 1], [0; 6], [0xff; 6]] {
        let group = Some(HostFilter { mac: Some(mac), ipv4: None });
        let error = interfaces.set_host_filter("bridge7", "en5", group).unwrap_err();
        assert!(matches!(error, Error::NotUnicast { .. }), "{error}");
    }
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let error = interfaces.set_host_filter("bridge7", &feth, full).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
}

#[test]
fn learned_and_pinned_addresses() {
    let (kernel, interfaces) = mac();
    let wire = kernel.add_ethernet("en5", CARD_MAC, EthernetOptions::default());
    interfaces.create_bridge("bridge7").unwrap();
    interfaces.add_member("bridge7", "en5").unwrap();
    interfaces.set_up("bridge7", true).unwrap();
    let neighbour = [0xa8, 0x20, 0x66, 0, 0, 9];
    wire.send(&[&[0xff; 6][..], &neighbour, &[0x08, 0x06], &[0; 46]].concat());
    kernel.run_for(std::time::Duration::from_millis(10));

    let learned = interfaces.addresses("bridge7").unwrap();
    assert_eq!(learned.len(), 1, "{learned:?}");
    assert_eq!((learned[0].mac, &*learned[0].member), (neighbour, "en5"));
    assert_eq!((learned[0].kind, learned[0].vlan), (AddressKind::Learned, 1));
    assert!((1190..=1200).contains(&learned[0].expires_s.unwrap()), "{learned:?}");

    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    interfaces.add_member("bridge7", &feth).unwrap();
    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    // To another member: the kernel alone would say yes, and leave it where it is.
    interfaces.pin_address("bridge7", &feth, GUEST).unwrap();
    let all = interfaces.addresses("bridge7").unwrap();
    let pinned: Vec<_> = all.iter().filter(|one| one.mac == GUEST).collect();
    assert_eq!(pinned.len(), 1);
    assert_eq!((&*pinned[0].member, pinned[0].kind), (&*feth, AddressKind::Pinned));
    assert_eq!(pinned[0].expires_s, None);

    interfaces.flush_addresses("bridge7", false).unwrap();
    let left = interfaces.addresses("bridge7").unwrap();
    assert_eq!(left.iter().map(|one| one.mac).collect::<Vec<_>>(), [GUEST]);
    interfaces.forget_address("bridge7", GUEST).unwrap();
    let error = interfaces.forget_address("bridge7", GUEST).unwrap_err();
    assert!(matches!(error, Error::NotInTable { mac: GUEST, .. }), "{error}");
    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    interfaces.flush_addresses("bridge7", true).unwrap();
    assert_eq!(interfaces.addresses("bridge7").unwrap(), []);
}

#[test]
fn pinning_says_why_not_and_then_takes_nothing_out() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let error = interfaces.pin_address("bridge7", &feth, GUEST).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
    for mac in [[3, 0, 0, 0, 0, 1], [0; 6]] {
        let error = interfaces.pin_address("bridge7", "en5", mac).unwrap_err();
        assert!(matches!(error, Error::NotUnicast { .. }), "{error}");
    }
    assert_eq!(interfaces.addresses("bridge7").unwrap().len(), 1);
    interfaces.set_address_table_size("bridge7", 1).unwrap();
    let error = interfaces.pin_address("bridge7", "en5", [2, 0, 0, 0, 0, 0x12]).unwrap_err();
    assert!(matches!(error, Error::TableFull { size: 1, .. }), "{error}");
    assert!(error.to_do().unwrap().contains("maxaddr 2"), "{error}");
    fail_next(&kernel, "BRDGDADDR", "bridge7", Errno::EPERM);
    let error = interfaces.pin_address("bridge7", "en5", GUEST).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPERM.0));
}

#[test]
fn a_table_of_a_size_and_an_age_longer_than_any_guess() {
    let (_, interfaces) = mac_with_bridge();
    let table = interfaces.address_table("bridge7").unwrap();
    assert_eq!((table.size, table.age_s, table.refused), (100, 1200, 0));
    interfaces.set_address_table_size("bridge7", 1000).unwrap();
    interfaces.set_address_age("bridge7", 60).unwrap();
    let table = interfaces.address_table("bridge7").unwrap();
    assert_eq!((table.size, table.age_s), (1000, 60));
    let mac = |number: u16| {
        let [high, low] = number.to_be_bytes();
        [2, 0, 0, 1, high, low]
    };
    for number in 0..700 {
        interfaces.pin_address("bridge7", "en5", mac(number)).unwrap();
    }
    let mut read: Vec<[u8; 6]> =
        interfaces.addresses("bridge7").unwrap().iter().map(|one| one.mac).collect();
    read.sort_unstable();
    assert_eq!(read, (0..700).map(mac).collect::<Vec<_>>());
}

#[test]
fn a_bridge_of_many_members_is_read_whole() {
    let (_, interfaces) = mac_with_bridge();
    for _ in 0..90 {
        let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
        interfaces.add_member("bridge7", &feth).unwrap();
    }
    assert_eq!(interfaces.members("bridge7").unwrap().len(), 91);
}
