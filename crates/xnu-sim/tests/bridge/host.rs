//! The host behind its bridge: C3, C5, M15, M17.

use xnu_sim::MacOs;
use xnu_sys::{Errno, Kernel};

use crate::support::frames::*;
use crate::support::lan::Lan;
use crate::support::*;

const NOBODY: [u8; 6] = [0x02, 9, 9, 9, 9, 9];

fn give_address(lan: &Lan) {
    lan.kernel.add_address("bridge0", [192, 168, 64, 1], [255, 255, 255, 0]).unwrap();
}

/// C3: since 15 the host gets what is for the bridge's address, and groups, only if an address was
/// ever set; without, the address is as any other. Before, always.
#[test]
fn the_host_hears_as_the_version_has_it() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        let to_bridge = frame(lan.control.mac("bridge0"), GUEST, "for the host");
        let is_new = version == MacOs::V15;
        lan.send(0, &to_bridge);
        assert_eq!(lan.host_received("bridge0"), usize::from(!is_new), "{version:?}");
        assert_eq!(lan.receivers(), if is_new { [0, 1, 1] } else { [0, 0, 0] }, "{version:?}");
        lan.send(0, &frame(BROADCAST, GUEST, "to all"));
        assert_eq!(lan.host_received("bridge0"), usize::from(!is_new), "{version:?}");
        assert_eq!(lan.receivers(), [0, 1, 1]);
        give_address(&lan);
        lan.send(0, &to_bridge);
        assert_eq!(lan.host_received("bridge0"), 1, "{version:?}");
        assert_eq!(lan.receivers(), [0, 0, 0], "{version:?}");
        lan.send(0, &frame(BROADCAST, GUEST, "to all"));
        assert_eq!(lan.host_received("bridge0"), 1, "{version:?}");
        assert_eq!(lan.receivers(), [0, 1, 1]);
    }
}

/// §3 `bridge_output`: the host's frames go to the member that is known, else to all; none comes
/// back.
#[test]
fn the_host_sends_by_its_bridge() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        give_address(&lan);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        lan.receivers();
        lan.host_received("bridge0");
        let own = lan.control.mac("bridge0");
        let send = |to: [u8; 6]| {
            lan.kernel.host_send("bridge0", &frame(to, own, "from the host")).unwrap();
            let_frames_through(&lan.kernel);
            lan.receivers()
        };
        assert_eq!(send(GUEST), [1, 0, 0], "{version:?}");
        assert_eq!(send(NOBODY), [1, 1, 1], "{version:?}");
        assert_eq!(send(BROADCAST), [1, 1, 1], "{version:?}");
        assert_eq!(lan.host_received("bridge0"), 0, "{version:?}");
        assert_eq!(lan.kernel.host_send("bridge9", &[0; 60]), Err(Errno::ENXIO));
    }
}

/// `bridge_output`: without a queue nobody asks whether the bridge is up; with one
/// (`net.link.bridge.txstart`) it must be.
#[test]
fn a_bridge_with_a_queue_must_be_up() {
    for txstart in [0, 1_u32] {
        let (kernel, control) = machine(MacOs::V15);
        let value = txstart.to_le_bytes();
        kernel.sysctlbyname(c"net.link.bridge.txstart", &mut [], Some(&value)).unwrap();
        let lan = Lan::with((kernel, control), xnu_sim::EthernetOptions::default(), 1);
        lan.kernel.host_send("bridge0", &frame(BROADCAST, NOBODY, "x")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(lan.receivers(), [1, 1]);
        lan.control.down("bridge0");
        let sent = lan.kernel.host_send("bridge0", &frame(BROADCAST, NOBODY, "x"));
        let_frames_through(&lan.kernel);
        let (expected, seen) =
            if txstart == 1 { (Err(Errno::ENETDOWN), [0, 0]) } else { (Ok(()), [1, 1]) };
        assert_eq!((sent, lan.receivers()), (expected, [seen[0], seen[1]].to_vec()));
    }
}

/// §3 input broadcast: a member that the host uses for itself (it has IP) hears others' groups; up
/// to 14 also unknown unicast, which its stack then drops.
#[test]
fn a_member_with_ip_hears_the_groups_of_others() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 2);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(lan.host_received("en0"), 0, "{version:?}: bridging alone");
        lan.kernel.add_address("en0", [192, 168, 1, 2], [255, 255, 255, 0]).unwrap();
        lan.receivers();
        let tap = taps::Tap::on(&lan.kernel, "en0").only_in();
        lan.send(0, &frame(BROADCAST, GUEST, "who is the Mac"));
        assert_eq!(lan.host_received("en0"), 1, "{version:?}");
        assert_eq!(tap.frames().len(), 1);
        assert_eq!(lan.receivers(), [0, 1, 1], "{version:?}: and is not forwarded twice");
        lan.send(0, &frame(NOBODY, GUEST, "unknown"));
        assert_eq!(tap.frames().len(), usize::from(version != MacOs::V15), "{version:?}");
        assert_eq!(lan.host_received("en0"), 0, "{version:?}");
    }
}

/// §3 input broadcast: it counts whether the member had IP before it was added or got it later, and
/// ends with it.
#[test]
fn a_card_that_has_ip_already_hears_groups_too() {
    let (kernel, control) = machine(MacOs::V15);
    let card = xnu_sim::EthernetOptions::default();
    let _wire = kernel.add_ethernet("en0", [2, 0, 0, 0, 0, 1], card);
    kernel.add_address("en0", [192, 168, 1, 2], [255, 255, 255, 0]).unwrap();
    control.bridge("bridge0", &["en0"]);
    control.pair("feth10", "feth20");
    control.add_member("bridge0", "feth10").unwrap();
    let guest = taps::Ndrv::on(&kernel, "feth20");
    guest.send(&frame(BROADCAST, GUEST, "x")).unwrap();
    let_frames_through(&kernel);
    assert_eq!(kernel.host_received("en0").len(), 1);
}

/// M17: the host's own IP on a member goes through the bridge as NDRV's frames do.
#[test]
fn the_host_sends_by_a_member() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        lan.receivers();
        lan.kernel.host_send("en0", &frame(GUEST, lan.control.mac("en0"), "x")).unwrap();
        let_frames_through(&lan.kernel);
        assert_eq!(lan.receivers(), [1, 0], "{version:?}: the guest, not the LAN");
    }
}

/// M15: since 15 the original of a flooded frame goes on up the member's own stack, where only
/// groups are taken.
#[test]
fn a_flooded_frame_goes_on_up_its_member() {
    for version in MacOs::ALL {
        let lan = Lan::new(version, 1);
        lan.send(0, &frame(BROADCAST, GUEST, "x"));
        assert_eq!(lan.host_received("feth10"), 1, "{version:?}");
        lan.send(0, &frame(NOBODY, GUEST, "x"));
        assert_eq!(lan.host_received("feth10"), 0, "{version:?}");
    }
}
