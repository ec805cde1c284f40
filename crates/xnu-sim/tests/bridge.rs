//! Bridges, as `bsd/net/if_bridge.c` has them: contract §3, corrections C1 to C11, C30, M13 to M20.

mod support;

use support::frames::{BROADCAST, GUEST, LAN_HOST, frame};
use support::taps::{Ndrv, Tap};
use support::{let_frames_through, machine};
use xnu_sim::{EthernetOptions, MacOs};

/// §3 forwarding, M13: a bridge learns on input, floods what it does not know, and sends what it
/// knows to one member.
#[test]
fn a_guest_and_a_lan_host_find_each_other() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        let wire =
            kernel.add_ethernet("en0", [0x3c, 0x22, 0xfb, 0, 0, 1], EthernetOptions::default());
        control.pair("feth1", "feth2");
        control.bridge("bridge0", &["en0", "feth1"]);
        let guest = Ndrv::on(&kernel, "feth2");
        let guest_tap = Tap::on(&kernel, "feth2").only_in();
        let question = frame(BROADCAST, GUEST, "who has");
        guest.send(&question).unwrap();
        let_frames_through(&kernel);
        assert_eq!(wire.take(), Some(question), "{version:?}");
        assert_eq!(control.known_by("bridge0", GUEST), Some("feth1".to_owned()));
        let answer = frame(GUEST, LAN_HOST, "I have");
        wire.send(&answer);
        let_frames_through(&kernel);
        assert_eq!(guest_tap.frames(), [answer], "{version:?}");
        assert_eq!(control.known_by("bridge0", LAN_HOST), Some("en0".to_owned()));
    }
}
