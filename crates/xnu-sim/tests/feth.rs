//! feth, as `bsd/net/if_fake.c` has it: contract §4, corrections C13, C27, C28, M10 to M12.

mod support;

use support::frames::{BROADCAST, GUEST, LAN_HOST, frame};
use support::taps::{Ndrv, Tap};
use support::{let_frames_through, machine};
use xnu_sim::MacOs;

/// §4 data path, M10: out by the sender's tap, in by the peer's, and up the peer's own stack only
/// what is for it.
#[test]
fn frames_go_out_by_the_sender_and_in_by_the_peer() {
    for version in MacOs::ALL {
        let (kernel, control) = machine(version);
        control.pair("feth1", "feth2");
        let (one, other) = (Tap::on(&kernel, "feth1"), Tap::on(&kernel, "feth2"));
        let sender = Ndrv::on(&kernel, "feth1");
        let sent = frame(GUEST, LAN_HOST, "hello");
        assert_eq!(sender.send(&sent), Ok(sent.len()));
        let_frames_through(&kernel);
        assert_eq!(one.frames(), [sent.clone()], "{version:?}");
        assert_eq!(other.frames(), [sent], "{version:?}");
        assert!(kernel.host_received("feth2").is_empty(), "it was for somebody else");
        let all = frame(BROADCAST, LAN_HOST, "all");
        sender.send(&all).unwrap();
        let_frames_through(&kernel);
        assert_eq!(kernel.host_received("feth2"), [all]);
        assert!(kernel.host_received("feth1").is_empty(), "M11: no loop back");
    }
}
