//! Members: how they come and go, and their flags.

use xnu_sim::{EthernetOptions, MacOs};
use xnu_sys::{Errno, Kernel};

use crate::support::bridge::*;
use crate::support::frames::{BROADCAST, GUEST, frame};
use crate::support::lan::{CARD, Lan};
use crate::support::*;

/// §3 `BRDGADD`: its checks in XNU's order.
#[test]
fn members_are_refused_as_xnu_says() {
    let (kernel, control) = machine(MacOs::V15);
    let wifi = EthernetOptions { is_wifi: true, ..EthernetOptions::default() };
    let _one = kernel.add_ethernet("en1", [2, 0, 0, 0, 0, 1], wifi);
    let _two = kernel.add_ethernet("en2", [2, 0, 0, 0, 0, 2], wifi);
    for name in ["feth0", "feth1", "feth2", "feth3", "bridge0", "bridge1"] {
        control.create(name).unwrap();
    }
    let user = control.of_user();
    assert_eq!(user.add_member("bridge0", "feth9"), Err(Errno::EPERM));
    assert_eq!(control.add_member("bridge0", "feth9"), Err(Errno::ENOENT));
    control.driver_set("bridge0", 26, &mut member_request("feth3")).unwrap();
    assert_eq!(control.add_member("bridge0", "feth3"), Err(Errno::EBUSY), "a span port");
    assert_eq!(control.add_member("bridge0", "feth0"), Ok(()));
    assert_eq!(control.add_member("bridge0", "feth0"), Err(Errno::EEXIST));
    assert_eq!(control.add_member("bridge1", "feth0"), Err(Errno::EBUSY), "another's");
    assert_eq!(control.add_member("bridge0", "bridge1"), Err(Errno::EINVAL), "type 0xd1");
    assert_eq!(control.add_member("bridge0", "lo0"), Err(Errno::EINVAL), "type 24");
    control.set_mtu("feth1", 1400).unwrap();
    assert_eq!(control.add_member("bridge0", "feth1"), Err(Errno::EINVAL), "another MTU");
    assert_eq!(control.add_member("bridge1", "feth1"), Ok(()), "the first one's is taken");
    assert_eq!(control.mtu("bridge1"), Ok(1400));
    assert_eq!(control.add_member("bridge0", "en1"), Ok(()));
    assert_eq!(control.add_member("bridge0", "en2"), Err(Errno::EBUSY), "a second Wi-Fi card");
    control.destroy("feth2").unwrap();
    assert_eq!(control.add_member("bridge0", "feth2"), Err(Errno::ENOENT), "it goes");
}

/// §3: a new member learns, is flooded to, and is promiscuous; a row tells of it.
#[test]
fn a_new_member_learns_and_discovers() {
    let lan = Lan::new(MacOs::V15, 1);
    let row = lan.control.of_user().member("bridge0", "feth10").unwrap();
    assert_eq!(u32_at(&row, 16), LEARNING | DISCOVER);
    assert_eq!(row[28], 4, "port: the interface's index");
    assert_eq!([36, 40, 44].map(|at| u32_at(&row, at)), [0, 0, 0]);
    assert_eq!(lan.control.flags("feth10").unwrap() & PROMISCUOUS, PROMISCUOUS);
    lan.control.set_address("bridge0", "feth10", GUEST, 1).unwrap();
    assert_eq!(u32_at(&lan.control.member("bridge0", "feth10").unwrap(), 36), 1);
    lan.control.delete_member("bridge0", "feth10").unwrap();
    assert_eq!(lan.control.flags("feth10").unwrap() & PROMISCUOUS, 0);
    assert!(lan.control.table("bridge0").is_empty(), "its addresses go with it");
}

/// C9, §3: a bridge's MTU is at least 576, and that of all its members; a member's own can change.
#[test]
fn a_bridges_mtu_is_that_of_its_members() {
    let (_, control) = machine(MacOs::V15);
    control.create("feth0").unwrap();
    control.create("bridge0").unwrap();
    assert_eq!(control.set_mtu("bridge0", 575), Err(Errno::EINVAL));
    assert_eq!(control.set_mtu("bridge0", 9000), Ok(()));
    control.add_member("bridge0", "feth0").unwrap();
    assert_eq!(control.mtu("bridge0"), Ok(1500));
    assert_eq!(control.set_mtu("bridge0", 1400), Err(Errno::EINVAL));
    assert_eq!(control.set_mtu("feth0", 1400), Ok(()));
    assert_eq!(control.mtu("bridge0"), Ok(1500), "not noticed");
    assert_eq!(control.set_mtu("bridge0", 1400), Ok(()));
}

/// §3 `BRDGSIFFLGS`: all flags are replaced; what cannot be is refused.
#[test]
fn member_flags_are_replaced() {
    let lan = Lan::new(MacOs::V15, 1);
    let set = |flags: u32| lan.control.set_member_flags("bridge0", "feth10", flags);
    let get = || lan.control.member_flags("bridge0", "feth10").unwrap();
    assert_eq!(set(PRIVATE), Ok(()));
    assert_eq!(get(), PRIVATE, "no more learning");
    assert_eq!(set(LEARNING | 0x7e0), Ok(()));
    assert_eq!(get(), LEARNING, "spanning tree's are not kept");
    assert_eq!(set(LEARNING | SPAN), Err(Errno::EINVAL));
    assert_eq!(set(CHECKSUM_OFFLOAD | MAC_NAT), Err(Errno::EINVAL));
    assert_eq!(get(), LEARNING);
    let user = lan.control.of_user();
    assert_eq!(user.set_member_flags("bridge0", "feth10", 0), Err(Errno::EPERM));
}

/// §3 flags by version: `USES_VIRTIO` excludes checksum offload since 15.4; before, nobody knows
/// it.
#[test]
fn virtio_is_known_since_15() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        let both = CHECKSUM_OFFLOAD | USES_VIRTIO;
        let expected = if version == MacOs::V15 { Err(Errno::EINVAL) } else { Ok(()) };
        let result = lan.control.set_member_flags("bridge0", "feth10", both);
        assert_eq!(result, expected, "{version:?}");
    }
}

/// §3: a bridge that is destroyed lets its members go at once.
#[test]
fn destroying_a_bridge_frees_its_members() {
    let lan = Lan::new(MacOs::V15, 1);
    lan.control.destroy("bridge0").unwrap();
    lan.control.create("bridge1").unwrap();
    assert_eq!(lan.control.add_member("bridge1", "feth10"), Ok(()));
    assert_eq!(lan.control.add_member("bridge1", "en0"), Ok(()));
    assert_eq!(lan.control.create("bridge0"), Err(Errno::EBUSY));
    settle(&lan.kernel);
    assert_eq!(lan.control.create("bridge0"), Ok("bridge0".to_owned()));
    assert!(lan.control.members("bridge0").is_empty());
}

/// C11: a member that is destroyed stays in the list until it has gone; without media meanwhile.
#[test]
fn a_member_vanishes_late() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.control.destroy("feth10").unwrap();
    assert_eq!(lan.control.members("bridge0"), ["en0", "feth10", "feth11"]);
    assert_eq!(lan.control.member_flags("bridge0", "feth10"), Ok(LEARNING | DISCOVER));
    lan.send(1, &frame(BROADCAST, GUEST, "all"));
    settle(&lan.kernel);
    assert_eq!(lan.seen_by(0).len(), 0);
    assert_eq!(lan.control.members("bridge0"), ["en0", "feth11"]);
    assert_eq!(lan.control.member_flags("bridge0", "feth10"), Err(Errno::ENOENT));
    lan.control.create("feth10").unwrap();
    assert_eq!(lan.control.add_member("bridge0", "feth10"), Ok(()));
}

/// §3 `BRDGADDS`, `BRDGDELS`: span ports.
#[test]
fn span_ports_come_and_go() {
    let lan = Lan::new(MacOs::V15, 1);
    let control = &lan.control;
    control.create("feth5").unwrap();
    let add = |name: &str| control.driver_set("bridge0", 26, &mut member_request(name));
    let delete = |name: &str| control.driver_set("bridge0", 27, &mut member_request(name));
    assert_eq!(add("feth9"), Err(Errno::ENOENT));
    assert_eq!(add("feth10"), Err(Errno::EBUSY), "a member");
    assert_eq!(add("lo0"), Err(Errno::EINVAL));
    assert_eq!(delete("feth5"), Err(Errno::ENOENT));
    assert_eq!(add("feth5"), Ok(()));
    assert_eq!(add("feth5"), Err(Errno::EBUSY));
    let (rows, len) = control.list("bridge0", 6, 4096).unwrap();
    assert_eq!(len, 240);
    assert_eq!((name_at(&rows, 160), u32_at(&rows, 176)), ("feth5".to_owned(), SPAN));
    assert_eq!(control.member_flags("bridge0", "feth5"), Err(Errno::ENOENT));
    control.destroy("feth5").unwrap();
    settle(&lan.kernel);
    assert_eq!(control.list("bridge0", 6, 0).unwrap().1, 160, "it vanishes as members do");
}

/// §3: a bridge can do TSO while all members can; one feth takes it from all.
#[test]
fn a_member_without_tso_takes_it_from_the_bridge() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.create("feth0").unwrap();
    control.create("bridge0").unwrap();
    let has_tso = || {
        let told = control.request(0xc020_695b, "bridge0", &[]).unwrap();
        u32_at(&told, 20) & 0x60 == 0x60
    };
    assert!(has_tso(), "without members");
    control.add_member("bridge0", "en0").unwrap();
    assert!(has_tso());
    control.add_member("bridge0", "feth0").unwrap();
    assert!(!has_tso());
    control.delete_member("bridge0", "feth0").unwrap();
    assert!(has_tso());
}

/// §3 `inherit_mac`: with it a bridge has the address of its first member, else its own, which is
/// locally administered.
#[test]
fn a_bridges_mac_is_its_own_unless_it_inherits() {
    let (kernel, control) = machine(MacOs::V15);
    let _wire = kernel.add_ethernet("en0", CARD, EthernetOptions::default());
    control.bridge("bridge0", &["en0"]);
    let own = control.mac("bridge0");
    assert_eq!(own[0] & 3, 2, "unicast, locally administered");
    assert_eq!(own, [0x3e, 0x22, 0xfb, 0, 1, 0], "from the card's, stirred");
    control.delete_member("bridge0", "en0").unwrap();
    let on = 1_u32.to_le_bytes();
    kernel.sysctlbyname(c"net.link.bridge.inherit_mac", &mut [], Some(&on)).unwrap();
    control.create("feth0").unwrap();
    control.add_member("bridge0", "en0").unwrap();
    control.add_member("bridge0", "feth0").unwrap();
    assert_eq!(control.mac("bridge0"), CARD);
    control.delete_member("bridge0", "en0").unwrap();
    assert_eq!(control.mac("bridge0"), control.mac("feth0"));
    control.delete_member("bridge0", "feth0").unwrap();
    assert_eq!(control.mac("bridge0"), own);
    control.create("bridge1").unwrap();
    assert_ne!(control.mac("bridge1"), own);
}

/// `bridge_ioctl` `SIOCGIFMEDIA`: a bridge has link while a member has.
#[test]
fn a_bridge_has_the_link_of_its_members() {
    let lan = Lan::new(MacOs::V15, 0);
    let status = || {
        let mut argument = [0; 44];
        put(&mut argument, 0, b"bridge0");
        lan.control.ioctl(0xc02c_6938, &mut argument).unwrap();
        u32_at(&argument, 24)
    };
    assert_eq!(status(), 3);
    lan.wire.set_link(false);
    assert_eq!(status(), 1);
    lan.wire.set_link(true);
    assert_eq!(status(), 3);
}

/// §4 LRO: a member's is switched off while it is one.
#[test]
fn a_members_lro_is_off() {
    let (kernel, control) = machine(MacOs::V15);
    let on = 1_u32.to_le_bytes();
    kernel.sysctlbyname(c"net.link.fake.lro", &mut [], Some(&on)).unwrap();
    control.create("feth0").unwrap();
    control.bridge("bridge0", &["feth0"]);
    let has_lro = || {
        let told = control.request(0xc020_695b, "feth0", &[]).unwrap();
        u32_at(&told, 20) & 0x80 != 0
    };
    assert!(!has_lro());
    control.delete_member("bridge0", "feth0").unwrap();
    assert!(has_lro());
}
