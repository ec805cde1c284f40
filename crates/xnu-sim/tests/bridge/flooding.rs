//! What a flood reaches: §3, C10, M19.

use xnu_sim::MacOs;

use crate::support::bridge::*;
use crate::support::frames::*;
use crate::support::lan::Lan;
use crate::support::taps::Ndrv;
use crate::support::*;

const NOBODY: [u8; 6] = [0x02, 9, 9, 9, 9, 9];

/// M19: members without `DISCOVER` are left out of unknown unicast, not of groups.
#[test]
fn members_without_discover_get_groups_only() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.set_member_flags("bridge0", "feth10", LEARNING).unwrap();
        lan.send_from_lan(&frame(NOBODY, LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [0, 1, 0], "{version:?}");
        lan.send_from_lan(&frame([1, 0, 0x5e, 0, 0, 0xfb], LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [1, 1, 0], "{version:?}");
    }
}

/// §3: floods want members that run.
#[test]
fn members_that_do_not_run_are_left_out() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.down("feth11");
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [1, 0, 0], "{version:?}");
    }
}

/// §3, C10: floods want members with media: a feth without a peer has none, and the bridge hears of
/// it by its link event.
#[test]
fn members_without_media_are_left_out() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.create("feth50").unwrap();
        lan.control.up("feth50");
        lan.control.add_member("bridge0", "feth50").unwrap();
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
        let drops = lan.kernel.interface_drops("feth50");
        assert_eq!(drops, 0, "{version:?}: nothing was sent there");
        lan.control.create("feth51").unwrap();
        lan.control.set_peer("feth50", "feth51").unwrap();
        let tap = taps::Tap::on(&lan.kernel, "feth51").only_in();
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
        assert_eq!(tap.frames().len(), 1, "{version:?}");
        lan.control.set_peer("feth50", "").unwrap();
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
        assert_eq!(lan.kernel.interface_drops("feth50"), 0, "{version:?}");
    }
}

/// C10: `SET_MEDIA` with no words takes a member's media away, but the bridge hears of it only with
/// the next link event or when the member is added.
#[test]
fn media_that_are_set_count_at_the_next_link_event() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        let set_media = |count: u32| {
            let mut request = [0; 160];
            put(&mut request, 36, &count.to_le_bytes());
            lan.control.driver_set("feth10", 2, &mut request).unwrap();
        };
        let flood = || {
            lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
            lan.receivers()[0]
        };
        set_media(0);
        assert_eq!(flood(), 1, "{version:?}: nobody told the bridge");
        lan.control.set_peer("feth10", "").unwrap();
        lan.control.set_peer("feth10", "feth20").unwrap();
        assert_eq!(flood(), 0, "{version:?}");
        set_media(1);
        assert_eq!(flood(), 0, "{version:?}: nor now");
        lan.control.delete_member("bridge0", "feth10").unwrap();
        lan.control.add_member("bridge0", "feth10").unwrap();
        assert_eq!(flood(), 1, "{version:?}");
    }
}

/// M17: what is sent by a member goes to all others that run and have media, `DISCOVER` or not, and
/// out by the member too.
#[test]
fn what_a_member_sends_goes_to_all_others() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 3);
        lan.control.set_member_flags("bridge0", "feth11", LEARNING).unwrap();
        lan.control.down("feth12");
        let by_member = Ndrv::on(&lan.kernel, "feth10");
        let send = |to: [u8; 6]| {
            by_member.send(&frame(to, LAN_HOST, "x")).unwrap();
            let_frames_through(&lan.kernel);
            lan.receivers()
        };
        assert_eq!(send(BROADCAST), [1, 1, 0, 1], "{version:?}");
        assert_eq!(send(NOBODY), [1, 1, 0, 1], "{version:?}");
        lan.send(1, &frame(BROADCAST, OTHER_GUEST, "x"));
        lan.receivers();
        assert_eq!(send(OTHER_GUEST), [0, 1, 0, 0], "{version:?}: known elsewhere");
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        lan.receivers();
        assert_eq!(send(GUEST), [1, 0, 0, 0], "{version:?}: known here");
    }
}

/// M17: 802.1X, and everything while the bridge is down, goes out by the member alone.
#[test]
fn what_is_the_members_own_goes_out_by_it_alone() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        let by_member = Ndrv::on(&lan.kernel, "feth10");
        by_member.send(&frame_of(BROADCAST, LAN_HOST, 0x888e, b"802.1X")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(lan.receivers(), [1, 0, 0], "{version:?}");
        lan.control.down("bridge0");
        by_member.send(&frame(BROADCAST, LAN_HOST, "x")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(lan.receivers(), [1, 0, 0], "{version:?}");
    }
}

/// M17: what a bridge's filter takes has no error: a member that is down drops, and says nothing.
#[test]
fn a_member_that_is_down_sends_to_others() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.control.down("feth10");
    let by_member = Ndrv::on(&lan.kernel, "feth10");
    assert_eq!(by_member.send(&frame(BROADCAST, LAN_HOST, "x")), Ok(60));
    let_frames_through(&lan.kernel);
    assert_eq!(lan.receivers(), [0, 1, 1]);
}

/// M19: span ports get copies of what members send; up to 14 also of what comes in.
#[test]
fn span_ports_get_copies() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        lan.control.pair("feth30", "feth31");
        lan.control.driver_set("bridge0", 26, &mut member_request("feth30")).unwrap();
        let span = taps::Tap::on(&lan.kernel, "feth31").only_in();
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(span.frames().len(), usize::from(version != MacOs::V15), "{version:?}");
        lan.send_from_lan(&frame(GUEST, LAN_HOST, "x"));
        assert_eq!(span.frames().len(), usize::from(version != MacOs::V15), "{version:?}");
        Ndrv::on(&lan.kernel, "feth10").send(&frame(BROADCAST, LAN_HOST, "x")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(span.frames().len(), 1, "{version:?}");
    }
}
