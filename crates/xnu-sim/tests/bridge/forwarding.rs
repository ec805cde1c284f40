//! Where a frame goes that comes in by a member: C1, C2, C4, C5, C7, C8, M15, M16.

use xnu_sim::MacOs;
use xnu_sys::Kernel;

use crate::support::bridge::*;
use crate::support::frames::*;
use crate::support::lan::{CARD, Lan};
use crate::support::let_frames_through;
use crate::support::taps::Tap;

/// M13, M15: what is known goes to one member, and not back where it came from.
#[test]
fn known_unicast_goes_to_one_member() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 3);
        lan.send(0, &frame(BROADCAST, GUEST, "here"));
        assert_eq!(lan.receivers(), [0, 1, 1, 1], "{version:?}: to all others");
        let answer = frame(GUEST, OTHER_GUEST, "there");
        lan.send(1, &answer);
        assert_eq!(lan.seen_by(0), [answer.as_slice()]);
        assert_eq!(lan.receivers(), [0, 0, 0, 0], "{version:?}: to one");
        lan.send(2, &frame(mac_of("feth99"), LAN_HOST, "unknown"));
        assert_eq!(lan.receivers(), [1, 1, 0, 1], "{version:?}: flooded");
    }
}

fn mac_of(name: &str) -> [u8; 6] {
    let unit: u16 = name.trim_start_matches("feth").parse().unwrap();
    let [high, low] = unit.to_be_bytes();
    [b'f', b'e', b't', b'h', high, low]
}

/// M15: what is known on the member that it came from is not forwarded.
#[test]
fn unicast_known_on_its_own_member_stays() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        lan.send(0, &frame(BROADCAST, OTHER_GUEST, "x"));
        lan.receivers();
        lan.send(0, &frame(GUEST, OTHER_GUEST, "beside me"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
    }
}

/// §3: known unicast needs a member that runs; its media do not count.
#[test]
fn known_unicast_wants_a_member_that_runs() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        lan.wire.set_link(false);
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "x"));
        lan.wire.set_link(true);
        lan.control.set_address("bridge0", "en0", LAN_HOST, 1).unwrap();
        lan.receivers();
        lan.send(0, &frame(LAN_HOST, GUEST, "x"));
        assert_eq!(lan.receivers(), [0, 0, 1], "{version:?}");
        lan.control.down("feth10");
        lan.send_from_lan(&frame(GUEST, LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}: dropped, not flooded");
    }
}

/// §3: a bridge that is down forwards nothing; frames go up the member's own stack.
#[test]
fn a_bridge_that_is_down_forwards_nothing() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.down("bridge0");
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        assert_eq!(lan.host_received("feth10"), 1, "{version:?}");
        assert_eq!(lan.host_received("bridge0"), 0, "{version:?}");
        assert!(lan.control.table("bridge0").is_empty());
    }
}

/// §3, M13: what is for the member's own address is its own, and not forwarded, whatever the table
/// says.
#[test]
fn unicast_for_the_member_itself_is_its_own() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.control.set_address("bridge0", "feth11", CARD, 1).unwrap();
        lan.send_from_lan(&frame(CARD, LAN_HOST, "for the Mac"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        assert_eq!(lan.host_received("en0"), 1, "{version:?}");
    }
}

/// C2: what is for another member's own address arrives on that member. Since 15 only if the table
/// does not know the address; before, always.
#[test]
fn unicast_for_another_member_arrives_there() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        let card_tap = Tap::on(&lan.kernel, "en0").only_in();
        lan.send(0, &frame(CARD, GUEST, "for the Mac"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        assert_eq!(lan.host_received("en0"), 1, "{version:?}");
        assert_eq!(card_tap.frames().len(), 1, "{version:?}: its tap sees it");
        assert_eq!(lan.control.known_by("bridge0", GUEST), Some("feth10".to_owned()));
        lan.control.set_address("bridge0", "feth11", CARD, 1).unwrap();
        lan.send(0, &frame(CARD, GUEST, "for the Mac"));
        let by_table = version == MacOs::V15;
        let expected = if by_table { [0, 1, 0] } else { [0, 0, 0] };
        assert_eq!(lan.receivers(), expected, "{version:?}");
        assert_eq!(lan.host_received("en0"), usize::from(!by_table), "{version:?}");
    }
}

/// C2: unicast from another member's own address has looped, and is dropped. Since 15 only if its
/// destination is unknown; broadcast is never looked at.
#[test]
fn unicast_from_another_member_has_looped() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.send(0, &frame(mac_of("feth99"), CARD, "unknown"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        lan.send(0, &frame(BROADCAST, CARD, "to all"));
        assert_eq!(lan.receivers(), [0, 1, 1], "{version:?}");
        lan.control.set_address("bridge0", "feth11", OTHER_GUEST, 1).unwrap();
        lan.send(0, &frame(OTHER_GUEST, CARD, "known"));
        let expected = if version == MacOs::V15 { [0, 1, 0] } else { [0, 0, 0] };
        assert_eq!(lan.receivers(), expected, "{version:?}");
    }
}

/// C4: groups of 802.1D are never forwarded. The first is taken, and not learned from. The others
/// go up the member's own stack: since 15 only there, and not learned from; before, a copy arrives
/// on the bridge, and they are.
#[test]
fn reserved_groups_are_not_forwarded() {
    let group = |last: u8| [0x01, 0x80, 0xc2, 0, 0, last];
    for version in MacOs::ALL {
        let is_new = version == MacOs::V15;
        let lan = Lan::new(version, 2);
        lan.control.up("bridge0");
        lan.send(0, &frame(group(0), GUEST, "spanning tree"));
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        assert_eq!(lan.host_received("feth10"), 0);
        assert_eq!(lan.host_received("bridge0"), 0);
        assert!(lan.control.table("bridge0").is_empty());
        for last in [0x01, 0x0e, 0x0f] {
            lan.send(0, &frame(group(last), GUEST, "LLDP and the like"));
            assert_eq!(lan.receivers(), [0, 0, 0], "{version:?} {last}");
            assert_eq!(lan.host_received("feth10"), 1);
            assert_eq!(lan.host_received("bridge0"), usize::from(!is_new));
            assert_eq!(lan.control.known_by("bridge0", GUEST).is_none(), is_new);
        }
        lan.send(0, &frame(group(0x10), GUEST, "not reserved"));
        assert_eq!(lan.receivers(), [0, 1, 1], "{version:?}");
    }
}

/// C5: a tap on the bridge sees forwarded unicast up to 14; since 15 only what is the host's.
#[test]
fn a_tap_on_the_bridge_sees_what_the_version_shows() {
    for version in MacOs::ALL {
        let is_new = version == MacOs::V15;
        let lan = Lan::new(version, 2);
        let tap = Tap::on(&lan.kernel, "bridge0");
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(tap.frames().len(), usize::from(!is_new), "{version:?}: broadcast");
        lan.send(1, &frame(GUEST, OTHER_GUEST, "x"));
        assert_eq!(tap.frames().len(), usize::from(!is_new), "{version:?}: known unicast");
        lan.send(1, &frame(mac_of("feth99"), OTHER_GUEST, "x"));
        assert_eq!(tap.frames().len(), usize::from(!is_new), "{version:?}: flooded unicast");
        lan.kernel.host_send("bridge0", &frame(GUEST, LAN_HOST, "from the host")).unwrap();
        assert_eq!(tap.frames().len(), 1, "{version:?}: out");
        lan.kernel.add_address("bridge0", [192, 168, 64, 1], [255, 255, 255, 0]).unwrap();
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(tap.frames().len(), 1, "{version:?}: the host's copy");
        lan.send(0, &frame(lan.control.mac("bridge0"), GUEST, "x"));
        assert_eq!(tap.frames().len(), 1, "{version:?}: for the host");
    }
}

/// A frame with a tag behind its addresses.
fn tagged(to: [u8; 6], from: [u8; 6], tag: u16) -> Vec<u8> {
    let payload = [&tag.to_be_bytes()[..], &[0x88, 0xb5], b"tagged"].concat();
    frame_of(to, from, 0x8100, &payload)
}

/// C7: since 15 all tags cross a bridge unchanged; before, a priority tag is taken off. Taps on a
/// feth always see it.
#[test]
fn tags_cross_as_the_version_has_it() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        let tap = Tap::on(&lan.kernel, "feth10").only_in();
        for tag in [0x6000, 0x6007] {
            let sent = tagged(BROADCAST, GUEST, tag);
            lan.send(0, &sent);
            assert_eq!(tap.frames(), [sent.as_slice()], "{version:?} {tag:#x}");
            let is_taken_off = tag & 0xfff == 0 && version != MacOs::V15;
            let mut expected = sent.clone();
            if is_taken_off {
                expected.drain(12..16);
            }
            assert_eq!(lan.seen_on_lan(), [expected], "{version:?} {tag:#x}");
        }
    }
}

/// C7: in 15 with early input off the tag goes beside the frame, and taps put it back in.
#[test]
fn without_early_input_tags_travel_beside_the_frame() {
    let lan = Lan::new(MacOs::V15, 1);
    let off = 0_u32.to_le_bytes();
    let name = c"net.link.bridge.enable_early_input";
    lan.kernel.sysctlbyname(name, &mut [], Some(&off)).unwrap();
    let sent = tagged(BROADCAST, GUEST, 0x6007);
    lan.send(0, &sent);
    assert_eq!(lan.seen_on_lan(), [sent]);
    let mut priority = tagged(BROADCAST, GUEST, 0x6000);
    lan.send(0, &priority);
    priority.drain(12..16);
    assert_eq!(lan.seen_on_lan(), [priority]);
}

/// C8: two private members exchange nothing that comes in by them; what is sent by the member
/// itself, or is for the other member's own address, passes.
#[test]
fn private_members_do_not_meet() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 3);
        for member in ["feth10", "feth11"] {
            let flags = LEARNING | DISCOVER | PRIVATE;
            lan.control.set_member_flags("bridge0", member, flags).unwrap();
        }
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(lan.receivers(), [0, 0, 1, 1], "{version:?}");
        lan.send(1, &frame(GUEST, OTHER_GUEST, "x"));
        assert_eq!(lan.receivers(), [0, 0, 0, 0], "{version:?}: dropped");
        lan.send(2, &frame(GUEST, LAN_HOST, "x"));
        assert_eq!(lan.receivers(), [1, 0, 0, 0], "{version:?}: only one is private");
        lan.host_received("feth10");
        lan.send(1, &frame(mac_of("feth10"), OTHER_GUEST, "for the other member"));
        assert_eq!(lan.host_received("feth10"), 1, "{version:?}");
        let by_member = crate::support::taps::Ndrv::on(&lan.kernel, "feth10");
        by_member.send(&frame(BROADCAST, mac_of("feth10"), "by the member")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(lan.receivers(), [1, 1, 1, 1], "{version:?}");
    }
}

/// M16: a bridged frame is seen going out by the member's taps, and coming in by its peer's.
#[test]
fn bridged_frames_pass_the_members_taps() {
    let lan = Lan::new(MacOs::V15, 1);
    let all = Tap::on(&lan.kernel, "feth10");
    let only_in = Tap::on(&lan.kernel, "feth10").only_in();
    let sent = frame(BROADCAST, LAN_HOST, "x");
    lan.send_from_lan(&sent);
    assert_eq!(all.frames(), [sent.as_slice()]);
    assert!(only_in.frames().is_empty());
    assert_eq!(lan.seen_by(0), [sent.as_slice()]);
}

/// M16: the mark against loops ends with the member's driver: a pair that joins two bridges carries
/// frames on.
#[test]
fn two_bridges_can_be_joined_by_a_pair() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        lan.control.pair("feth30", "feth31");
        lan.control.pair("feth40", "feth41");
        lan.control.add_member("bridge0", "feth30").unwrap();
        lan.control.bridge("bridge1", &["feth31", "feth40"]);
        let far = Tap::on(&lan.kernel, "feth41").only_in();
        let sent = frame(BROADCAST, LAN_HOST, "far");
        lan.send_from_lan(&sent);
        let_frames_through(&lan.kernel);
        assert_eq!(far.frames(), [sent.as_slice()], "{version:?}");
        assert_eq!(lan.control.known_by("bridge1", LAN_HOST), Some("feth31".to_owned()));
    }
}

/// §3: a bridge enforces no MTU on what is not TCP.
#[test]
fn big_frames_pass_a_bridge() {
    let lan = Lan::new(MacOs::V15, 1);
    let big = frame(BROADCAST, LAN_HOST, &"x".repeat(4000));
    lan.send_from_lan(&big);
    assert_eq!(lan.seen_by(0), [big]);
}

/// M10: a member that is down still brings frames in.
#[test]
fn a_member_that_is_down_brings_frames_in() {
    let lan = Lan::new(MacOs::V15, 2);
    lan.control.down("feth10");
    lan.send(0, &frame(BROADCAST, GUEST, "x"));
    assert_eq!(lan.receivers(), [0, 1, 1]);
}
