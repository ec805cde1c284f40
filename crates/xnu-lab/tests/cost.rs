//! What a frame costs in system calls, by version and way, with bounds.

use xnu_lab::cost::{self, WAYS, Way};
use xnu_sim::MacOs;

const FRAMES: u64 = 10_000;

/// At most 0.05 calls per frame each way in saturated flow: what the design promises.
#[test]
fn saturated_flow_costs_few_calls() {
    for version in MacOs::ALL {
        for way in WAYS {
            let cost = cost::of_switch(version, way, FRAMES).unwrap();
            let calls = cost.calls_per_frame();
            println!("{version:?} {way:?}: {calls:.4} {:?}", cost.counters.calls);
            assert!(calls <= 0.05, "{version:?} {way:?}: {calls} calls per frame, {cost:?}");
        }
    }
}

/// What it is compared with: one frame read and one written, `kevent64` each time.
#[test]
fn the_originals_loop_costs_two_calls_and_more() {
    for version in MacOs::ALL {
        let cost = cost::of_original(version, Way::GuestToHost, FRAMES).unwrap();
        assert!(cost.calls_per_frame() >= 2.0, "{version:?}: {cost:?}");
        let cost = cost::of_original(version, Way::HostToGuest, FRAMES).unwrap();
        assert!(cost.calls_per_frame() >= 1.0, "{version:?}: {cost:?}");
    }
}
