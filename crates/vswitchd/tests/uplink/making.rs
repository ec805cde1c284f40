//! What is made for an uplink, and that it goes.

use ifctl::xnu::{FethOptions, FethUnits, OwnedInterface, Tag};
use vswitchd::ServiceError;
use vswitchd::config::UplinkSpec;
use vswitchd::report::InterfaceRole;
use vswitchd::xnu::XnuError;
use xnu_sys::Kernel;

use super::{Side, interface, interfaces, new_bridge, to_bridge, wait_until};

/// Beyond those that a switch takes.
fn foreign() -> FethOptions {
    FethOptions { units: FethUnits::new(20_800, 100).expect("a range"), ..FethOptions::default() }
}

pub(crate) fn a_pair_is_made_told_and_undone<K: Kernel>(kernel: &K) {
    let (interfaces, bridge) = (interfaces(kernel), new_bridge(kernel));
    let side = Side::start(kernel, 1, to_bridge(bridge.name())).expect("a switch");
    let told: Vec<_> = side.service.ready().networks[0]
        .interfaces
        .iter()
        .map(|of| (of.role, of.created, of.mtu))
        .collect();
    let roles = [
        (InterfaceRole::Bridge, false, 1500),
        (InterfaceRole::Member, true, 1500),
        (InterfaceRole::SwitchEnd, true, 1500),
    ];
    assert_eq!(told, roles);
    let ends = [side.made(InterfaceRole::Member), side.made(InterfaceRole::SwitchEnd)];
    let members = || {
        let members = interfaces.members(bridge.name()).expect("a bridge");
        members.into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    assert_eq!(members(), ends[..1]);
    for (end, peer) in [(&ends[0], &ends[1]), (&ends[1], &ends[0])] {
        assert!(interfaces.find(end).expect("it is there").is_up());
        assert_eq!(interfaces.peer(end).expect("a feth").as_ref(), Some(peer));
        let tag = interfaces.tag(end).expect("it is there").as_ref().map(Tag::to_string);
        assert_eq!(tag, Some(format!("vswitch:4000001:1:{}", bridge.name())));
    }
    drop(side.service.finish());
    for end in &ends {
        assert!(matches!(interfaces.find(end), Err(ifctl::Error::NotFound { .. })), "{end}");
    }
    assert!(wait_until(kernel, || members().is_empty()), "{:?}", members());
}

pub(crate) fn a_bridge_of_its_own_with_a_member_lent_to_it<K: Kernel>(kernel: &K) {
    let interfaces = interfaces(kernel);
    let lent = OwnedInterface::feth(kernel.clone(), &foreign()).expect("a feth");
    let is_free = |name: &String| interfaces.find(name).is_err();
    let name = (4600..4700).map(|number| format!("bridge{number}")).find(is_free);
    let name = name.expect("a free number");
    let member = Some(lent.name().to_owned());
    let own = UplinkSpec::Bridge {
        bridge: name.clone(),
        create: true,
        member,
        messages: false,
        wait: false,
    };
    let side = Side::start(kernel, 1, own.clone()).expect("a switch");
    assert!(interfaces.find(&name).expect("it was made").is_up());
    let members: Vec<_> =
        interfaces.members(&name).expect("a bridge").into_iter().map(|of| of.name).collect();
    let pair = side.service.ready().networks[0].interfaces[2].name.clone();
    assert_eq!(members, [lent.name().to_owned(), pair]);
    assert!(interfaces.find(lent.name()).expect("it is there").is_up());

    let refused = Side::start(kernel, 2, own).err().expect("it is there already");
    let why =
        matches!(*refused, ServiceError::Platform { source: XnuError::BridgeExists { .. }, .. });
    assert!(why, "{refused}");

    drop(side.service.finish());
    assert!(matches!(interfaces.find(&name), Err(ifctl::Error::NotFound { .. })));
    let after = interfaces.find(lent.name()).expect("it stays");
    assert_eq!((after.master.as_deref(), after.is_up()), (None, false), "as it was");
}

pub(crate) fn what_can_be_no_uplink<K: Kernel>(kernel: &K) {
    let names = || {
        let all = interfaces(kernel).list().expect("a list");
        let ours = all.into_iter().filter(|of| matches!(of.kind, ifctl::Kind::Feth));
        ours.map(|of| of.name).collect::<Vec<_>>()
    };
    let before = names();
    let refused = |uplink| match *Side::start(kernel, 1, uplink).err().expect("no switch") {
        ServiceError::Platform { source, .. } => source,
        other => panic!("{other}"),
    };
    let lo = refused(interface("lo0"));
    assert!(matches!(lo, XnuError::NotEthernet { .. }), "{lo}");
    for missing in [interface("feth9999"), to_bridge("bridge4999")] {
        let error = refused(missing);
        assert!(
            matches!(error, XnuError::Interface { source: ifctl::Error::NotFound { .. } }),
            "{error}"
        );
    }
    let error = refused(to_bridge("lo0"));
    assert!(
        matches!(error, XnuError::Interface { source: ifctl::Error::NotABridge { .. } }),
        "{error}"
    );
    assert_eq!(names(), before, "nothing is left behind");
}
