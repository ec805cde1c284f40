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

/// Without the calls for many messages a frame costs one call where BPF takes or gives many on the
/// other side, and two where nothing does.
#[test]
fn without_calls_of_many_messages_a_frame_costs_one_call_on_the_guests_side() {
    for version in MacOs::ALL {
        let cost = cost::without_message_calls(version, Way::HostToGuest, FRAMES).unwrap();
        assert!(cost.calls_per_frame() <= 1.1, "{version:?}: {cost:?}");
        let cost = cost::without_message_calls(version, Way::GuestToHost, FRAMES).unwrap();
        let writes_batches = version >= MacOs::V14_4;
        let most = if writes_batches { 1.1 } else { 2.1 };
        assert!(cost.calls_per_frame() <= most, "{version:?}: {cost:?}");
    }
}
