//! The pair: set down, parted, taken out of the bridge, destroyed, replaced by somebody's.

use ifctl::xnu::{FethOptions, Owner, Tag};
use vswitchd::xnu::Mended;
use xnu_lab::BRIDGE;
use xnu_sim::MacOs;
use xnu_sys::Errno;

use crate::support::{AT_THE_LATEST, Bench, MS, SOON, bench, bench_on, fail, without_events};

#[test]
fn an_end_that_was_set_down_is_up_again_soon() {
    for version in MacOs::ALL {
        let mut bench = bench_on(version, "bridge:bridge0", |_| {});
        for (count, end) in (1..).zip(bench.pair()) {
            bench.until_a_look();
            bench.lab.operator().set_interface_up(&end, false).unwrap();
            bench.must_mend(Mended::Up, count, SOON);
            assert!(bench.is_up(&end));
        }
        bench.lab.run_for(1000 * MS);
        bench.must_ping();
        assert_eq!(bench.mended(), [0, 0, 0, 2], "{version:?}");
        bench.must_leave_nothing();
    }
}

#[test]
fn without_events_all_is_mended_at_the_next_look() {
    let mut bench = bench_on(MacOs::V13, "bridge:bridge0", without_events);
    let [bridge_end, switch_end] = bench.pair();
    bench.until_a_look();
    bench.lab.operator().set_interface_up(&bridge_end, false).unwrap();
    bench.must_mend(Mended::Up, 1, AT_THE_LATEST);
    bench.lab.operator().remove_member(BRIDGE, &bridge_end).unwrap();
    bench.must_mend(Mended::Membership, 1, AT_THE_LATEST);
    bench.lab.operator().destroy_interface(&switch_end).unwrap();
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.lab.run_for(2000 * MS);
    bench.must_ping();
    assert_eq!(bench.mended(), [0, 1, 2, 1], "nothing again");
    assert_eq!(bench.feths().len(), 2);
    bench.must_leave_nothing();
}

#[test]
fn a_pair_that_is_destroyed_is_made_again_soon_and_once() {
    for version in MacOs::ALL {
        for place in [0, 1] {
            let mut bench = bench_on(version, "bridge:bridge0", |_| {});
            let end = bench.pair()[place].clone();
            bench.until_a_look();
            bench.lab.operator().destroy_interface(&end).unwrap();
            bench.must_mend(Mended::Link, 1, SOON);
            bench.must_ping();
            bench.lab.run_for(3000 * MS);
            assert_eq!(bench.mended(), [0, 1, 1, 0], "{version:?}, {end}");
            bench.must_leave_nothing();
        }
    }
}

/// Twice a second, though the port asks four times.
#[test]
fn between_two_looks_nothing_is_asked() {
    let mut bench = bench("bridge:bridge0");
    for _ in 0..3 {
        bench.until_a_look();
        let before = bench.lab.kernel().counters();
        bench.lab.run_for(SOON);
        let calls = bench.lab.kernel().counters().since(&before);
        assert_eq!(calls.of("getifaddrs"), 0, "{calls:?}");
    }
    bench.must_leave_nothing();
}

/// No event tells of it: both ends are there, but no frame crosses.
#[test]
fn a_pair_that_was_parted_is_made_again() {
    let mut bench = bench("bridge:bridge0");
    let [bridge_end, switch_end] = bench.pair();
    bench.interfaces.clear_peer(&switch_end).unwrap();
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.must_ping();
    // Now one end has another peer.
    let [_, switch_end] = [bridge_end, switch_end];
    let now = bench.feths();
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(!now.contains(&switch_end));
    bench.interfaces.clear_peer(&now[1]).unwrap();
    let foreign = bench.interfaces.create_feth(&FethOptions::default()).unwrap();
    bench.interfaces.set_peer(&now[1], &foreign).unwrap();
    bench.must_mend(Mended::Link, 2, AT_THE_LATEST);
    bench.must_ping();
    bench.interfaces.destroy(&foreign).unwrap();
    bench.must_leave_nothing();
}

/// The switch did not run meanwhile, and somebody else's pair has the names of its own: that is
/// neither used nor destroyed.
#[test]
fn a_pair_of_somebody_else_by_the_same_names_is_left_alone() {
    let mut bench = bench("bridge:bridge0");
    let ends = bench.pair();
    let operator = bench.lab.operator().clone();
    operator.destroy_interface(&ends[0]).unwrap();
    operator.destroy_interface(&ends[1]).unwrap();
    operator.run_for(500 * MS);
    let foreign = bench.interfaces.create_feth_pair(&FethOptions::default()).unwrap();
    assert_eq!([&foreign.bridge_end, &foreign.switch_end], [&ends[0], &ends[1]]);
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.must_ping();
    assert_eq!(bench.feths().len(), 4);
    let peer = bench.interfaces.peer(&ends[0]).unwrap();
    assert_eq!(peer.as_ref(), Some(&ends[1]), "as they were made");
    assert!(bench.find(&ends[0]).master.is_none());
    let left = bench.lab.finish().leftovers;
    assert_eq!(left, ends.map(|end| format!("{end} is left")));
}

/// What is left of a pair goes as soon as it can, and nothing else goes with it: not the new pair,
/// and not that of another switch.
#[test]
fn what_was_left_of_a_pair_goes_and_nothing_else() {
    let mut bench = bench("bridge:bridge0");
    let before = bench.feths();
    let other = Tag::new(Owner { pid: 9, started: 9 }, BRIDGE);
    let options = FethOptions { up: true, tag: Some(other), ..FethOptions::default() };
    let others = bench.interfaces.create_feth_pair(&options).unwrap();
    let others = [others.bridge_end, others.switch_end];
    bench.lab.run_for(1000 * MS);
    let idle = calls_in_two_seconds(&mut bench);
    fail(bench.lab.operator(), "SIOCIFDESTROY", Some(&before[0]), 1, Errno::EBUSY);
    bench.interfaces.clear_peer(&before[1]).unwrap();
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.lab.run_for(10 * MS);
    let now = bench.feths();
    assert!(now.len() == 4 && now[..2] == others, "{now:?}");
    bench.must_ping();
    bench.lab.run_for(2000 * MS);
    assert_eq!(bench.feths(), now);
    assert_eq!(bench.mended(), [0, 1, 1, 0]);
    // What is not left any more is not looked for.
    assert_eq!(calls_in_two_seconds(&mut bench), idle);
    bench.interfaces.destroy(&others[0]).unwrap();
    bench.must_leave_nothing();
}

/// The calls about interfaces.
fn calls_in_two_seconds(bench: &mut Bench) -> u64 {
    let before = bench.lab.kernel().counters();
    bench.lab.run_for(2000 * MS);
    let calls = bench.lab.kernel().counters().since(&before);
    calls.of("getifaddrs") + calls.of("ioctl")
}

/// Nothing of the host's needs what the switch's end receives: it is not promiscuous.
#[test]
fn the_switchs_end_is_not_promiscuous() {
    let mut bench = bench("bridge:bridge0");
    let [bridge_end, switch_end] = bench.pair();
    assert!(bench.is_promiscuous(&bridge_end), "as a bridge's member");
    assert!(!bench.is_promiscuous(&switch_end));
    bench.must_ping();
    // Since macOS 15 it can be had that the host's stack does not even see it.
    assert_eq!(bench.lab.operator().host_received(&switch_end), [] as [Vec<u8>; 0]);
    bench.must_leave_nothing();
}
