//! A bridge that the switch made.

use ifctl::xnu::Tag;
use vswitchd::xnu::Mended;
use xnu_sim::MacOs;
use xnu_sys::Errno;

use crate::support::{AT_THE_LATEST, MS, SOON, bench, bench_on, fail, without_events};

const OWN: &str = "bridge:bridge7,create";

#[test]
fn it_is_told_as_the_switchs_and_tagged_so() {
    let bench = bench(OWN);
    assert!(bench.lab.ready().networks[0].interfaces[0].created);
    let tag = bench.interfaces.tag("bridge7").unwrap().map(|tag: Tag| tag.to_string());
    assert_eq!(tag.as_deref(), Some("vswitch:1:1:bridge7"), "so that it goes if the switch dies");
    bench.must_leave_nothing();
}

#[test]
fn it_is_set_up_again_soon() {
    let mut bench = bench(OWN);
    bench.until_a_look();
    bench.lab.operator().set_interface_up("bridge7", false).unwrap();
    bench.must_mend(Mended::Up, 1, SOON);
    assert!(bench.is_up("bridge7"));
    assert_eq!(bench.mended(), [0, 0, 0, 1]);
    bench.must_leave_nothing();
}

#[test]
fn it_is_made_again_soon_once_and_as_it_was() {
    for version in MacOs::ALL {
        for prepare in [|_: &_| {}, without_events] {
            let mut bench = bench_on(version, OWN, prepare);
            bench.until_a_look();
            bench.lab.operator().destroy_interface("bridge7").unwrap();
            bench.must_mend(Mended::Bridge, 1, AT_THE_LATEST);
            bench.lab.run_for(2000 * MS);
            assert_eq!(bench.mended(), [1, 0, 1, 0], "{version:?}");
            assert_eq!(bench.lab.operator().members("bridge7").len(), 1);
            assert!(bench.is_up("bridge7"));
            assert!(bench.interfaces.tag("bridge7").unwrap().is_some());
            assert_eq!(bench.interfaces.address_table("bridge7").unwrap().size, 4096);
            bench.must_leave_nothing();
        }
    }
}

/// It has the tag that leftovers of the pair have.
#[test]
fn it_does_not_go_with_what_is_left_of_a_pair() {
    let mut bench = bench(OWN);
    let before = bench.feths();
    fail(bench.lab.operator(), "SIOCIFDESTROY", Some(&before[0]), 1, Errno::EBUSY);
    bench.interfaces.clear_peer(&before[1]).unwrap();
    bench.must_mend(Mended::Link, 1, AT_THE_LATEST);
    bench.lab.run_for(2000 * MS);
    assert_eq!(bench.feths().len(), 2);
    assert_eq!(bench.mended(), [0, 1, 1, 0]);
    bench.must_leave_nothing();
}
