//! What is not the switch's to mend, and calls that fail while it mends.

use testkit::log::warnings;
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, CARD, SimulatedMac};
use xnu_sim::MacOs;
use xnu_sys::Errno;

use crate::support::{AT_THE_LATEST, MS, SOON, bench, fail};

/// A host's bridge is the host's: it is waited for, and that is said once each time.
#[test]
fn a_bridge_of_the_hosts_is_not_made_again_but_joined_again() {
    let mut bench = bench("bridge:bridge0");
    for count in 1..3 {
        let told = warnings(|| {
            bench.lab.operator().destroy_interface(BRIDGE).unwrap();
            bench.lab.run_for(3000 * MS);
        });
        assert_eq!(told, 1, "the same is said once");
        assert!(!bench.lab.operator().interfaces().contains(&BRIDGE.to_owned()));
        bench.interfaces.create_bridge(BRIDGE).unwrap();
        bench.interfaces.add_member(BRIDGE, CARD).unwrap();
        bench.interfaces.set_up(BRIDGE, true).unwrap();
        bench.must_mend(Mended::Membership, count, AT_THE_LATEST);
        bench.must_ping();
        assert_eq!(bench.mended(), [0, 0, count, 0], "the pair had not gone");
    }
    bench.must_leave_nothing();
}

#[test]
fn a_bridge_of_the_hosts_that_is_down_stays_down() {
    let mut bench = bench("bridge:bridge0");
    bench.lab.operator().set_interface_up(BRIDGE, false).unwrap();
    bench.lab.run_for(2000 * MS);
    assert!(!bench.is_up(BRIDGE));
    assert_eq!(bench.mended(), [0; 4]);
    bench.must_leave_nothing();
}

/// A call that fails once says nothing of what it asked about.
#[test]
fn a_question_that_fails_once_costs_no_link() {
    let mut bench = bench("bridge:bridge0");
    let [bridge_end, switch_end] = bench.pair();
    let open = bench.open_links();
    assert_eq!(open.len(), 2, "{open:?}");
    for (call, object) in [
        ("getifaddrs", None),
        ("SIOCGIFDESC", Some(&bridge_end)),
        ("SIOCGIFDESC", Some(&switch_end)),
        ("IF_FAKE_G_CMD_GET_PEER", Some(&switch_end)),
    ] {
        fail(bench.lab.operator(), call, object.map(String::as_str), 1, Errno::ENOMEM);
        bench.lab.run_for(2 * AT_THE_LATEST);
        assert_eq!(bench.mended(), [0; 4], "{call} of {object:?}");
        assert_eq!(bench.open_links(), open, "the same descriptors");
    }
    bench.must_ping();
    bench.must_leave_nothing();
}

/// The descriptors on a pair that is gone keep it from going, so they are closed even when no new
/// pair can be had.
#[test]
fn descriptors_on_a_pair_that_is_gone_are_closed_before_there_is_another() {
    for (call, errno) in [("SIOCIFCREATE", Errno::ENOMEM), ("getifaddrs", Errno::EMFILE)] {
        let mut bench = bench("bridge:bridge0");
        let [_, switch_end] = bench.pair();
        bench.until_a_look();
        fail(bench.lab.operator(), call, None, 1_000_000, errno);
        bench.lab.operator().destroy_interface(&switch_end).unwrap();
        bench.lab.run_for(SOON);
        assert_eq!(bench.open_links(), [] as [String; 0], "{call}");
        bench.lab.operator().clear_faults();
        bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
        bench.must_ping();
        bench.must_leave_nothing();
    }
}

/// The same when both ends are there, but are no pair any more.
#[test]
fn descriptors_on_a_parted_pair_are_closed_before_there_is_another() {
    let mut bench = bench("bridge:bridge0");
    let [_, switch_end] = bench.pair();
    fail(bench.lab.operator(), "SIOCIFCREATE", None, 1_000_000, Errno::ENOMEM);
    bench.interfaces.clear_peer(&switch_end).unwrap();
    bench.lab.run_for(AT_THE_LATEST);
    assert_eq!(bench.open_links(), [] as [String; 0]);
    bench.lab.operator().clear_faults();
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.must_ping();
    bench.must_leave_nothing();
}

/// Both ends had gone; of the next pair one end was made, and could not be taken away again.
#[test]
fn a_half_of_a_pair_is_taken_away_later() {
    let mut bench = bench("bridge:bridge0");
    let operator = bench.lab.operator().clone();
    for end in bench.pair() {
        operator.destroy_interface(&end).unwrap();
    }
    operator.run_for(500 * MS);
    fail(&operator, "IF_FAKE_S_CMD_SET_PEER", None, 1, Errno::ENOMEM);
    fail(&operator, "SIOCIFDESTROY", None, 1, Errno::EBUSY);
    bench.must_mend(Mended::Link, 1, 3 * AT_THE_LATEST);
    bench.lab.run_for(2000 * MS);
    assert_eq!(bench.feths().len(), 2, "{:?}", bench.feths());
    bench.must_ping();
    bench.must_leave_nothing();
}

/// The same at the start, which fails then.
#[test]
fn a_half_of_a_pair_is_taken_away_before_the_start_fails() {
    let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
    let operator = mac.operator.clone();
    let before = operator.interfaces();
    fail(&operator, "IF_FAKE_S_CMD_SET_PEER", None, 1, Errno::ENOMEM);
    fail(&operator, "SIOCIFDESTROY", None, 1, Errno::EBUSY);
    assert!(mac.start("bridge:bridge0".parse().unwrap()).is_err());
    operator.run_for(500 * MS);
    assert_eq!(operator.interfaces(), before);
}

/// A pair that could only be half made, and half taken away again.
#[test]
fn halves_of_pairs_are_taken_away_later() {
    let mut bench = bench("bridge:bridge0");
    let ends = bench.pair();
    let operator = bench.lab.operator().clone();
    operator.destroy_interface(&ends[1]).unwrap();
    fail(&operator, "IF_FAKE_S_CMD_SET_PEER", None, 1, Errno::ENOMEM);
    fail(&operator, "SIOCIFDESTROY", None, 3, Errno::EBUSY);
    bench.must_mend(Mended::Link, 1, 3 * AT_THE_LATEST);
    bench.lab.run_for(2000 * MS);
    assert_eq!(bench.feths().len(), 2, "{:?}", bench.feths());
    bench.must_ping();
    bench.must_leave_nothing();
}
