//! Bridges and who is on them.

use ifctl::xnu::{Interfaces, MemberFlags};
use ifctl::{Error, Membership};
use xnu_sys::if_bridgevar::{BRDGADDS, ifbreq};
use xnu_sys::{Descriptor, Errno, InterfaceName, Kernel};

use super::{Bench, GUEST, new_bridge, new_feth, new_pair, options};

pub(crate) fn a_membership_is_made_kept_and_ended<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let (bridge, feth) = (new_bridge(kernel), new_feth(kernel));
    let (bridge, feth) = (bridge.name(), feth.name());
    assert_eq!(interfaces.ensure_member(bridge, feth).unwrap(), Membership::Added);
    assert_eq!(interfaces.ensure_member(bridge, feth).unwrap(), Membership::AlreadyMember);
    match interfaces.add_member(bridge, feth).unwrap_err() {
        Error::OtherMaster { member, master, .. } => {
            assert_eq!([&*member, &*master], [feth, bridge])
        }
        other => panic!("{other}"),
    }
    assert_eq!(interfaces.find(feth).unwrap().master.as_deref(), Some(bridge));
    interfaces.remove_member(bridge, feth).unwrap();
    let error = interfaces.remove_member(bridge, feth).unwrap_err();
    assert!(matches!(error, Error::NotAMember { .. }), "{error}");
    assert_eq!(interfaces.members(bridge).unwrap(), []);
}

/// `ENOENT` of `BRDGADD`: the interface is gone. Of the others: it is no member.
pub(crate) fn who_is_missing_is_told_apart<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, feth) = (&bench.interfaces, bench.bridge(), new_feth(kernel));
    match interfaces.ensure_member(bridge, "feth9999").unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "feth9999"),
        other => panic!("{other}"),
    }
    match interfaces.member_details(bridge, feth.name()).unwrap_err() {
        Error::NotAMember { bridge: said, member, .. } => {
            assert_eq!([&*said, &*member], [bridge, feth.name()]);
        }
        other => panic!("{other}"),
    }
    match interfaces.member_details(bridge, "feth9999").unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "feth9999"),
        other => panic!("{other}"),
    }
    match interfaces.ensure_member("bridge4999", feth.name()).unwrap_err() {
        Error::NotFound { name, .. } => assert_eq!(name, "bridge4999"),
        other => panic!("{other}"),
    }
}

pub(crate) fn what_is_no_bridge_gets_no_commands<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, member) = (&bench.interfaces, bench.member());
    let pair = new_pair(kernel, &options());
    let switch_end = pair.peer().unwrap();
    for other in [pair.name(), member, "lo0"] {
        for refused in [
            interfaces.add_member(other, switch_end),
            interfaces.remove_member(other, switch_end),
            interfaces.members(other).map(|_| ()),
            interfaces.span_ports(other).map(|_| ()),
            interfaces.required_mtu(other).map(|_| ()),
            interfaces.member_details(other, member).map(|_| ()),
            interfaces.set_isolated(other, member, true),
            interfaces.set_address_limit(other, member, 1),
            interfaces.host_filter(other, member).map(|_| ()),
            interfaces.set_host_filter(other, member, None),
            interfaces.addresses(other).map(|_| ()),
            interfaces.pin_address(other, member, GUEST),
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
    assert_eq!(interfaces.peer(pair.name()).unwrap().as_deref(), Some(switch_end));
}

pub(crate) fn a_member_of_another_bridge_stays_there<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, second) = (&bench.interfaces, new_bridge(kernel));
    match interfaces.ensure_member(second.name(), bench.member()).unwrap_err() {
        Error::OtherMaster { member, master, .. } => {
            assert_eq!([&*member, &*master], [bench.member(), bench.bridge()]);
        }
        other => panic!("{other}"),
    }
    let master = interfaces.find(bench.member()).unwrap().master;
    assert_eq!(master.as_deref(), Some(bench.bridge()));

    let feth = new_feth(kernel);
    let name = |of: &str| of.parse::<InterfaceName>().unwrap();
    let control = Descriptor::control(kernel.clone()).unwrap();
    let mut span = ifbreq::new(name(feth.name()));
    control.driver_command(name(second.name()), BRDGADDS, &mut span).unwrap();
    let error = interfaces.ensure_member(second.name(), feth.name()).unwrap_err();
    assert!(matches!(error, Error::SpanPort { .. }), "{error}");
    assert_eq!(interfaces.span_ports(second.name()).unwrap(), [feth.name()]);
}

pub(crate) fn the_first_member_decides_the_mtu_and_the_others_must_have_it<K: Kernel>(kernel: &K) {
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    let (bridge, first, second) = (new_bridge(kernel), new_feth(kernel), new_feth(kernel));
    let (bridge, first, second) = (bridge.name(), first.name(), second.name());
    assert_eq!(interfaces.required_mtu(bridge).unwrap(), None);
    interfaces.set_mtu(first, 1400).unwrap();
    interfaces.ensure_member(bridge, first).unwrap();
    assert_eq!(interfaces.find(bridge).unwrap().mtu, 1400);
    assert_eq!(interfaces.required_mtu(bridge).unwrap(), Some(1400));

    match interfaces.ensure_member(bridge, second).unwrap_err() {
        Error::MtuDiffers { bridge: said, mtu, member, member_mtu, .. } => {
            assert_eq!((&*said, mtu, &*member, member_mtu), (bridge, 1400, second, 1500));
        }
        other => panic!("{other}"),
    }
    interfaces.set_mtu(second, 1400).unwrap();
    interfaces.ensure_member(bridge, second).unwrap();

    // The members first, then the bridge.
    match interfaces.set_mtu(bridge, 1300).unwrap_err() {
        Error::MtuDiffers { bridge: said, mtu, member, member_mtu, .. } => {
            assert_eq!((&*said, mtu, &*member, member_mtu), (bridge, 1300, first, 1400));
        }
        other => panic!("{other}"),
    }
    interfaces.set_mtu(first, 1300).unwrap();
    match interfaces.set_mtu(bridge, 1300).unwrap_err() {
        Error::MtuDiffers { member, .. } => assert_eq!(member, second),
        other => panic!("{other}"),
    }
    interfaces.set_mtu(second, 1300).unwrap();
    interfaces.set_mtu(bridge, 1300).unwrap();
    match interfaces.set_mtu(bridge, 575).unwrap_err() {
        Error::MtuRejected { min: 576, mtu: 575, .. } => {}
        other => panic!("{other}"),
    }
}

pub(crate) fn what_a_bridge_never_takes<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let second = new_bridge(kernel);
    for (member, kind) in [("lo0", "loopback"), (second.name(), "bridge")] {
        match bench.interfaces.ensure_member(bench.bridge(), member).unwrap_err() {
            Error::NotBridgeable { member: said, kind: of, .. } => {
                assert_eq!([&*said, &*of.to_string()], [member, kind]);
            }
            other => panic!("{other}"),
        }
    }
}

pub(crate) fn flags_are_changed_one_by_one<K: Kernel>(kernel: &K) {
    let bench = Bench::new(kernel);
    let (interfaces, bridge, member) = (&bench.interfaces, bench.bridge(), bench.member());
    let default = MemberFlags::LEARNING | MemberFlags::DISCOVER;
    let flags = || interfaces.member_details(bridge, member).unwrap().flags;
    assert_eq!(flags(), default);
    interfaces.set_isolated(bridge, member, true).unwrap();
    assert_eq!(flags(), default | MemberFlags::PRIVATE, "the others are kept");
    let before = interfaces
        .change_member(bridge, member, MemberFlags::STICKY, MemberFlags::DISCOVER)
        .unwrap();
    assert_eq!(before, default | MemberFlags::PRIVATE);
    assert_eq!(flags(), MemberFlags::LEARNING | MemberFlags::PRIVATE | MemberFlags::STICKY);
    interfaces.set_isolated(bridge, member, false).unwrap();
    assert!(!flags().contains(MemberFlags::PRIVATE));
    let none = MemberFlags::empty();
    let error = interfaces.change_member(bridge, member, MemberFlags::SPAN, none).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL.0));
}
