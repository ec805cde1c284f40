//! The table of addresses: C6, M13, M14, M18.

use std::time::Duration;

use xnu_sim::MacOs;
use xnu_sys::Errno;

use crate::support::bridge::*;
use crate::support::frames::{BROADCAST, GUEST, LAN_HOST, OTHER_GUEST, frame};
use crate::support::lan::Lan;
use crate::support::{put, u32_at};

const STATIC: u8 = 1;

fn mac(number: u8) -> [u8; 6] {
    [0x02, 0, 0, 0, 1, number]
}

/// M13: an address is learned where a frame with it came in, and moves; every frame makes it young.
#[test]
fn addresses_are_learned_and_move() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.send(0, &frame(BROADCAST, GUEST, "I am here"));
        let entry = &lan.control.table("bridge0")[0];
        assert_eq!((entry.mac, entry.vlan, entry.flags), (GUEST, 1, 0), "{version:?}");
        assert_eq!(entry.member, "feth10");
        assert_eq!(entry.expire_s, 1200);
        lan.kernel.run_for(Duration::from_secs(100));
        assert_eq!(lan.control.table("bridge0")[0].expire_s, 1100);
        lan.send(1, &frame(BROADCAST, GUEST, "now here"));
        assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth11".to_owned()));
        assert_eq!(lan.control.table("bridge0")[0].expire_s, 1200);
        let count = |member| u32_at(&lan.control.member("bridge0", member).unwrap(), 36);
        assert_eq!((count("feth10"), count("feth11")), (0, 1));
    }
}

/// M13: nothing is learned from what goes out by a member, or from the host.
#[test]
fn what_goes_out_teaches_nothing() {
    let lan = Lan::new(MacOs::V15, 1);
    let by_member = crate::support::taps::Ndrv::on(&lan.kernel, "feth10");
    by_member.send(&frame(BROADCAST, GUEST, "out by the member")).unwrap();
    lan.kernel.host_send("bridge0", &frame(BROADCAST, OTHER_GUEST, "from the host")).unwrap();
    crate::support::let_frames_through(&lan.kernel);
    assert!(lan.control.table("bridge0").is_empty());
}

/// M13: a frame for the member's own address teaches since 15, and does not before.
#[test]
fn frames_for_the_member_itself_teach_since_15() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        lan.send(0, &frame(lan.control.mac("feth10"), GUEST, "for you"));
        let expected = (version == MacOs::V15).then(|| "feth10".to_owned());
        assert_eq!(lan.control.known_by("bridge0", GUEST), expected, "{version:?}");
    }
}

/// A member without `LEARNING` teaches nothing; `STICKY` ones keep what they taught.
#[test]
fn members_learn_as_their_flags_say() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.control.set_member_flags("bridge0", "feth10", DISCOVER).unwrap();
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    assert!(lan.control.table("bridge0").is_empty());
    lan.control.set_member_flags("bridge0", "feth10", LEARNING | STICKY).unwrap();
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    assert_eq!(lan.control.table("bridge0")[0].flags, 2);
    lan.send(1, &frame(BROADCAST, GUEST, "x"));
    assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth10".to_owned()));
}

/// M14: entries leave at the prune every 300 s, so after 1,200 to 1,500 s; until then they are
/// used.
#[test]
fn entries_live_until_the_prune() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.kernel.run_for(Duration::from_secs(10));
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    lan.seen_by(1);
    lan.kernel.run_for(Duration::from_secs(1480));
    assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth10".to_owned()), "overdue");
    lan.send_from_lan(&frame(GUEST, LAN_HOST, "known still"));
    assert_eq!(lan.receivers(), [1, 0, 1]);
    lan.kernel.run_for(Duration::from_secs(20));
    assert_eq!(lan.control.known_by("bridge0", GUEST), None);
    assert_eq!(lan.control.known_by("bridge0", LAN_HOST), Some("en0".to_owned()));
}

/// M14: a bridge that goes down forgets what it learned, not what was set; while down it does not
/// prune.
#[test]
fn a_bridge_that_goes_down_forgets_what_it_learned() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    lan.control.set_address("bridge0", "feth11", OTHER_GUEST, STATIC).unwrap();
    lan.control.down("bridge0");
    let known: Vec<_> = lan.control.table("bridge0").iter().map(|entry| entry.mac).collect();
    assert_eq!(known, [OTHER_GUEST]);
    lan.control.set_address("bridge0", "feth11", GUEST, 0).unwrap();
    lan.kernel.run_for(Duration::from_secs(4000));
    assert_eq!(lan.control.table("bridge0").len(), 2);
    lan.control.up("bridge0");
    assert_eq!(lan.control.table("bridge0").len(), 1, "pruned as it starts");
}

/// §3: 100 addresses; more find no place, are counted, and are flooded to.
#[test]
fn a_full_table_learns_no_more() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        for number in 0..101 {
            lan.send(0, &frame(BROADCAST, mac(number), "x"));
        }
        assert_eq!(lan.control.table("bridge0").len(), 100);
        assert_eq!(lan.control.parameter("bridge0", 29), Ok(1), "{version:?}");
        lan.receivers();
        lan.send_from_lan(&frame(mac(100), LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [1, 1, 0], "{version:?}: to all");
        lan.send_from_lan(&frame(mac(99), LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [1, 0, 0], "{version:?}: to one");
        assert_eq!(lan.control.set_address("bridge0", "feth11", GUEST, STATIC), Err(Errno::ENOSPC));
        lan.control.set_parameter("bridge0", 4, 200).unwrap();
        assert_eq!(lan.control.set_address("bridge0", "feth11", GUEST, STATIC), Ok(()));
    }
}

/// M14 `BRDGSCACHE`: a smaller table loses learned entries, never set ones.
#[test]
fn a_smaller_table_is_trimmed() {
    let lan = Lan::new(MacOs::V15, 1);
    for number in 0..4 {
        lan.control.set_address("bridge0", "feth10", mac(number), number % 2).unwrap();
    }
    lan.control.set_parameter("bridge0", 4, 3).unwrap();
    assert_eq!(lan.control.table("bridge0").len(), 3);
    lan.control.set_parameter("bridge0", 4, 1).unwrap();
    let left: Vec<u8> = lan.control.table("bridge0").iter().map(|entry| entry.mac[5]).collect();
    assert_eq!(left, [3, 1], "the set ones");
}

/// §3 `BRDGSADDR`: not an address that nobody can have.
#[test]
fn groups_and_zero_cannot_be_set() {
    let lan = Lan::new(MacOs::V15, 1);
    for bad in [BROADCAST, [1, 0, 0x5e, 0, 0, 1], [0; 6]] {
        let result = lan.control.set_address("bridge0", "feth10", bad, STATIC);
        assert_eq!(result, Err(Errno::EINVAL), "{bad:?}");
    }
}

/// M18: a static entry does not move, by frames or by setting it elsewhere, which says it went
/// well.
#[test]
fn a_static_entry_stays_where_it_is() {
    let lan = Lan::new(MacOs::V15, 2);
    let set = |member| lan.control.set_address("bridge0", member, GUEST, STATIC);
    set("feth10").unwrap();
    assert_eq!(lan.control.table("bridge0")[0].expire_s, 0);
    lan.send(1, &frame(BROADCAST, GUEST, "x"));
    assert_eq!(set("feth11"), Ok(()));
    assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth10".to_owned()));
    lan.control.driver_set("bridge0", 11, &mut address_request("", GUEST, 0, 0)).unwrap();
    set("feth11").unwrap();
    assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth11".to_owned()));
    let mut timed = address_request("feth11", OTHER_GUEST, 0, 0);
    put(&mut timed, 16, &7_u64.to_le_bytes());
    lan.control.driver_set("bridge0", 8, &mut timed).unwrap();
    assert_eq!(lan.control.table("bridge0")[0].expire_s, 1200, "the time given does not count");
}

/// M18: 0 is VLAN 1; another makes a second entry, which learning does not see; lookups do.
#[test]
fn an_address_can_be_there_once_for_each_vlan() {
    let lan = Lan::new(MacOs::V15, 2);
    let set = |vlan| {
        let mut request = address_request("feth10", GUEST, vlan, STATIC);
        lan.control.driver_set("bridge0", 8, &mut request)
    };
    let delete = |vlan| {
        let mut request = address_request("", GUEST, vlan, 0);
        lan.control.driver_set("bridge0", 11, &mut request)
    };
    let vlans = || -> Vec<u16> {
        let entries = lan.control.table("bridge0").into_iter();
        entries.filter(|entry| entry.mac == GUEST).map(|entry| entry.vlan).collect()
    };
    set(0).unwrap();
    set(1).unwrap();
    assert_eq!(vlans(), [1]);
    set(7).unwrap();
    assert_eq!(vlans(), [7, 1]);
    assert_eq!(delete(2), Err(Errno::ENOENT));
    assert_eq!(delete(1), Ok(()));
    lan.send_from_lan(&frame(GUEST, LAN_HOST, "x"));
    assert_eq!(lan.receivers(), [1, 0, 0], "known by VLAN 7's entry");
    lan.send(1, &frame(BROADCAST, GUEST, "x"));
    assert_eq!(vlans(), [1, 7], "learned beside it");
    lan.receivers();
    lan.send_from_lan(&frame(GUEST, LAN_HOST, "x"));
    assert_eq!(lan.receivers(), [1, 0, 0], "the older entry is found first");
    assert_eq!(delete(0), Ok(()), "all");
    assert!(lan.control.known_by("bridge0", GUEST).is_none());
    assert_eq!(delete(0), Err(Errno::ENOENT));
}

/// §3 `BRDGFLUSH`: 0 what was learned, 1 all.
#[test]
fn a_table_is_flushed_in_part_or_whole() {
    let lan = Lan::new(MacOs::V15, 1);
    let flush = |all: u8| {
        let mut request = [0; 80];
        request[16] = all;
        lan.control.driver_set("bridge0", 12, &mut request).unwrap();
    };
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    lan.control.set_address("bridge0", "feth10", OTHER_GUEST, STATIC).unwrap();
    flush(0);
    assert_eq!(lan.control.table("bridge0").len(), 1);
    flush(1);
    assert!(lan.control.table("bridge0").is_empty());
}

/// C6 `BRDGSIFAMAX`: more addresses than a member may have are not learned, and their frames not
/// forwarded. An address that is known from another member comes over the limit.
#[test]
fn a_member_may_have_so_many_addresses() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.set_address_max("bridge0", "feth10", 1).unwrap();
        lan.send(1, &frame(BROADCAST, OTHER_GUEST, "from the other member"));
        lan.send(0, &frame(BROADCAST, GUEST, "the one"));
        lan.receivers();
        lan.host_received("feth10");
        lan.host_received("bridge0");
        lan.send(0, &frame(BROADCAST, mac(9), "one more"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        assert_eq!(lan.host_received("feth10"), 1, "{version:?}: up the member's stack");
        let on_bridge = usize::from(version != MacOs::V15);
        assert_eq!(lan.host_received("bridge0"), on_bridge, "{version:?}");
        assert_eq!(lan.control.known_by("bridge0", mac(9)), None);
        let row = lan.control.member("bridge0", "feth10").unwrap();
        assert_eq!([36, 40, 44].map(|at| u32_at(&row, at)), [1, 1, 1], "{version:?}");
        lan.send(0, &frame(BROADCAST, OTHER_GUEST, "moved here"));
        assert_eq!(lan.receivers(), [0, 1, 1], "{version:?}");
        let row = lan.control.member("bridge0", "feth10").unwrap();
        assert_eq!(u32_at(&row, 36), 2, "over the limit");
        lan.send(0, &frame(BROADCAST, [0; 6], "from nobody"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}: denied too");
        lan.control.set_address_max("bridge0", "feth10", 0).unwrap();
        lan.send(0, &frame(BROADCAST, [0; 6], "from nobody"));
        assert_eq!(lan.receivers(), [0, 1, 1], "{version:?}: no limit, no matter");
    }
}
