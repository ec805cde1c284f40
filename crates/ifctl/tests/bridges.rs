//! Bridges and their members, compared with iproute2.
#![cfg(target_os = "linux")]

mod common;

use std::time::Duration;

use common::{bridge, interfaces_in_own_namespace, ip, ip_does, named};
use ifctl::{Error, Interfaces, Membership, PairOptions, PortState};

/// A bridge `br0`, and the pairs `a0`/`a1` and `b0`/`b1`, all up.
fn with_bridge() -> Option<Interfaces> {
    let mut interfaces = interfaces_in_own_namespace()?;
    interfaces.create_bridge("br0").unwrap();
    interfaces.create_pair("a0", "a1", PairOptions::default()).unwrap();
    interfaces.create_pair("b0", "b1", PairOptions::default()).unwrap();
    for name in ["br0", "a0", "a1", "b0", "b1"] {
        interfaces.set_up(name, true).unwrap();
    }
    Some(interfaces)
}

#[test]
fn members_agree_with_iproute2() {
    if !testkit::tool_or_skip("bridge", "iproute2") {
        return;
    }
    let Some(mut interfaces) = with_bridge() else { return };
    assert_eq!(interfaces.members("br0").unwrap(), []);
    interfaces.add_member("br0", "b0").unwrap();
    interfaces.add_member("br0", "a0").unwrap();
    ip_does("link set a0 type bridge_slave cost 77 priority 5 learning off flood off isolated on");
    interfaces.set_up("b1", false).unwrap(); // b0 loses its link

    assert!(testkit::wait_until(Duration::from_secs(5), || {
        let members = interfaces.members("br0").unwrap();
        let states = [members[0].state, members[1].state];
        states == [PortState::Disabled, PortState::Forwarding]
    }));
    let ours = interfaces.members("br0").unwrap();
    let theirs = bridge("link");
    let links = ip("link");
    assert_eq!(ours.len(), theirs.len());
    assert_eq!(ours.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["b0", "a0"]);
    for ours in &ours {
        let theirs = named(&theirs, "ifname", &ours.name);
        assert_eq!(theirs["ifindex"], ours.index);
        assert_eq!(theirs["master"], "br0");
        assert_eq!(theirs["state"], ours.state.to_string());
        assert_eq!(theirs["cost"], ours.path_cost);
        assert_eq!(theirs["priority"], ours.priority);
        assert_eq!(theirs["learning"], ours.learning);
        assert_eq!(theirs["flood"], ours.flooding);
        assert_eq!(theirs["isolated"], ours.isolated);
        let port = &named(&links, "ifname", &ours.name)["linkinfo"]["info_slave_data"];
        assert_eq!(port["no"], format!("0x{:x}", ours.port_no));
    }
    let set = (ours[1].path_cost, ours[1].priority, ours[1].learning, ours[1].isolated);
    assert_eq!(set, (77, 5, false, true));
    assert_eq!(ours[1].state, PortState::Forwarding);
}

#[test]
fn only_its_own_members_are_a_bridges() {
    let Some(mut interfaces) = with_bridge() else { return };
    interfaces.create_bridge("br1").unwrap();
    interfaces.add_member("br0", "a0").unwrap();
    interfaces.add_member("br1", "b0").unwrap();
    let names = |members: Vec<ifctl::Member>| {
        members.into_iter().map(|member| member.name).collect::<Vec<_>>()
    };
    assert_eq!(names(interfaces.members("br0").unwrap()), ["a0"]);
    assert_eq!(names(interfaces.members("br1").unwrap()), ["b0"]);
}

#[test]
fn joining_and_leaving() {
    let Some(mut interfaces) = with_bridge() else { return };
    assert_eq!(interfaces.ensure_member("br0", "a0").unwrap(), Membership::Added);
    assert_eq!(interfaces.ensure_member("br0", "a0").unwrap(), Membership::AlreadyMember);
    assert_eq!(named(&ip("link"), "ifname", "a0")["master"], "br0");
    let again = interfaces.add_member("br0", "a0").unwrap_err();
    assert!(matches!(again, Error::OtherMaster { ref master, .. } if master == "br0"), "{again}");

    interfaces.remove_member("br0", "a0").unwrap();
    assert!(named(&ip("link"), "ifname", "a0")["master"].is_null());
    let again = interfaces.remove_member("br0", "a0").unwrap_err();
    assert!(matches!(again, Error::NotAMember { .. }), "{again}");
}

#[test]
fn a_member_of_another_bridge_stays_there() {
    let Some(mut interfaces) = with_bridge() else { return };
    interfaces.create_bridge("br1").unwrap();
    interfaces.add_member("br0", "a0").unwrap();
    let tries = [
        interfaces.add_member("br1", "a0").unwrap_err(),
        interfaces.ensure_member("br1", "a0").unwrap_err(),
    ];
    for error in tries {
        assert_eq!(error.to_string(), "add a0 to bridge br1: a0 belongs to br0 already");
        assert!(error.to_do().unwrap().contains("vswitch bridge remove br0 a0"));
    }
    let error = interfaces.remove_member("br1", "a0").unwrap_err();
    assert!(matches!(error, Error::NotAMember { ref bridge, .. } if bridge == "br1"), "{error}");
    assert_eq!(named(&ip("link"), "ifname", "a0")["master"], "br0");
}

#[test]
fn whoever_comes_first_keeps_the_member() {
    let Some(mut interfaces) = with_bridge() else { return };
    interfaces.create_bridge("br1").unwrap();
    for _ in 0..50 {
        let won = std::thread::scope(|scope| {
            let join =
                |bridge| scope.spawn(move || Interfaces::open().unwrap().add_member(bridge, "a0"));
            [join("br0"), join("br1")].map(|thread| thread.join().unwrap())
        });
        // Both cannot have it, and whoever was told so has it.
        let master = interfaces.find("a0").unwrap().master.unwrap();
        let (winner, loser) = if master == "br0" { (&won[0], &won[1]) } else { (&won[1], &won[0]) };
        assert!(winner.is_ok(), "{winner:?}");
        assert!(matches!(loser, Err(Error::OtherMaster { .. })), "{loser:?}");
        interfaces.remove_member(&master, "a0").unwrap();
    }
}

#[test]
fn what_is_no_bridge_or_cannot_join_is_said_so() {
    let Some(mut interfaces) = with_bridge() else { return };
    interfaces.create_bridge("br1").unwrap();
    let error = interfaces.add_member("a0", "b0").unwrap_err();
    assert_eq!(error.to_string(), "add b0 to bridge a0: a0 is no bridge, its kind is veth");
    assert!(matches!(interfaces.members("a0"), Err(Error::NotABridge { .. })));
    assert!(matches!(interfaces.members("br9"), Err(Error::NotFound { .. })));
    let error = interfaces.add_member("br0", "nothing").unwrap_err();
    assert!(matches!(error, Error::NotFound { ref name, .. } if name == "nothing"));
    let error = interfaces.add_member("br0", "br1").unwrap_err();
    assert!(error.to_do().unwrap().contains("veth pair"), "{error}");
    let error = interfaces.add_member("br0", "lo").unwrap_err();
    assert!(error.to_do().unwrap().contains("no loopback"), "{error}");
    assert_eq!(interfaces.members("br0").unwrap(), []);
}

#[test]
fn a_pair_with_the_bridges_mtu_leaves_it_as_it_is() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces
        .create_pair("card", "lan", PairOptions { mtu: Some(9000), ..PairOptions::default() })
        .unwrap();
    interfaces.create_bridge("br0").unwrap();
    interfaces.add_member("br0", "card").unwrap();
    let mtu = interfaces.find("br0").unwrap().mtu;
    assert_eq!(mtu, 9000, "it follows its smallest member");
    interfaces
        .create_pair("v0", "v1", PairOptions { mtu: Some(mtu), ..PairOptions::default() })
        .unwrap();
    interfaces.add_member("br0", "v0").unwrap();
    assert_eq!(interfaces.find("br0").unwrap().mtu, 9000);
}

#[test]
fn a_pair_does_not_change_the_bridges_address() {
    let Some(mut interfaces) = interfaces_in_own_namespace() else { return };
    interfaces.create_pair("card", "lan", PairOptions::default()).unwrap();
    ip_does("link set card address f8:ff:ff:ff:ff:fe"); // as high as a card's can be, nearly
    interfaces.create_bridge("br0").unwrap();
    interfaces.add_member("br0", "card").unwrap();
    let card = interfaces.find("card").unwrap().mac;
    for n in 0..20 {
        let (a, b) = (format!("a{n}"), format!("b{n}"));
        interfaces.create_pair(&a, &b, PairOptions::default()).unwrap();
        interfaces.add_member("br0", &a).unwrap();
        assert_eq!(interfaces.find("br0").unwrap().mac, card);
    }
}

#[test]
fn a_destroyed_bridge_frees_its_members() {
    let Some(mut interfaces) = with_bridge() else { return };
    interfaces.add_member("br0", "a0").unwrap();
    interfaces.destroy("br0").unwrap();
    let freed = interfaces.find("a0").unwrap();
    assert!(freed.master.is_none() && freed.is_up());
    assert_eq!(ip("link").len(), 5);
}
