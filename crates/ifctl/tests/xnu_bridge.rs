//! Bridges of a Mac, their members and their tables.

mod mac;

use ifctl::xnu::{AddressKind, FethOptions, MemberFlags};
use ifctl::{Error, PortState};
use mac::{CARD_MAC, control, fail_next, mac, mac_with_bridge, name};
use xnu_sim::EthernetOptions;
use xnu_sys::Errno;
use xnu_sys::if_bridgevar::{BRDGADDS, ifbreq};

const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

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

/// `ENXIO`: the bridge went since it was looked at, or the member is going.
#[test]
fn who_goes_just_then_is_told_apart() {
    let (kernel, interfaces) = mac_with_bridge();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
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
fn a_span_port_is_told_in_words() {
    let (kernel, interfaces) = mac_with_bridge();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    let mut span = ifbreq::new(name(&feth));
    control(&kernel).driver_command(name("bridge7"), BRDGADDS, &mut span).unwrap();
    let error = interfaces.ensure_member("bridge7", &feth).unwrap_err();
    assert_eq!(
        error.to_string(),
        "add feth20000 to bridge bridge7: feth20000 is a span port of bridge7, \
         and so cannot be a member"
    );
    // What is busy for no reason that can be seen stays the kernel's word.
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
    assert!(interfaces.is_wireless("en0").unwrap() && !interfaces.is_wireless("bridge7").unwrap());
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

/// It is an Ethernet of the right MTU, and refused.
#[test]
fn a_coprocessors_interface_is_never_taken() {
    let (kernel, interfaces) = mac_with_bridge();
    let feth = interfaces.create_feth(&FethOptions::default()).unwrap();
    fail_next(&kernel, "BRDGADD", "bridge7", Errno::EINVAL);
    let error = interfaces.ensure_member("bridge7", &feth).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL.0));
    assert!(error.to_do().unwrap().contains("coprocessor"), "{error}");
}

#[test]
fn flags_that_are_so_already_are_not_written() {
    let (kernel, interfaces) = mac_with_bridge();
    fail_next(&kernel, "BRDGSIFFLGS", "bridge7", Errno::EIO);
    interfaces.set_isolated("bridge7", "en5", false).unwrap();
    assert!(interfaces.set_isolated("bridge7", "en5", true).is_err());
}

#[test]
fn learned_addresses() {
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

    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    interfaces.flush_addresses("bridge7", false).unwrap();
    let left = interfaces.addresses("bridge7").unwrap();
    assert_eq!(left.iter().map(|one| one.mac).collect::<Vec<_>>(), [GUEST]);
    interfaces.flush_addresses("bridge7", true).unwrap();
    assert_eq!(interfaces.addresses("bridge7").unwrap(), []);
}

#[test]
fn pinning_says_what_to_do_and_what_the_kernel_says() {
    let (kernel, interfaces) = mac_with_bridge();
    interfaces.pin_address("bridge7", "en5", GUEST).unwrap();
    interfaces.set_address_table_size("bridge7", 1).unwrap();
    let error = interfaces.pin_address("bridge7", "en5", [2, 0, 0, 0, 0, 0x12]).unwrap_err();
    assert!(error.to_do().unwrap().contains("maxaddr 2"), "{error}");
    fail_next(&kernel, "BRDGDADDR", "bridge7", Errno::EPERM);
    let error = interfaces.pin_address("bridge7", "en5", GUEST).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPERM.0));
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
