//! An interface of the host's that is lent to the bridge while the switch runs.

use ifctl::xnu::Interfaces;
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, CARD, SimulatedMac};
use xnu_sim::MacOs;
use xnu_sys::Errno;

use crate::support::{AT_THE_LATEST, Bench, MS, SOON, bench, bench_on, fail};

const OWN: &str = "bridge:bridge7,create,member=en0";

/// The card is in no bridge, and up or not.
fn free(is_up: bool) -> impl Fn(&SimulatedMac) {
    move |mac| {
        mac.operator.remove_member(BRIDGE, CARD).unwrap();
        mac.operator.set_interface_up(CARD, is_up).unwrap();
    }
}

/// Ends the switch; whether the card is up afterwards, and whose member it is.
fn end(bench: Bench) -> (bool, Option<String>) {
    let Bench { lab, interfaces } = bench;
    assert_eq!(lab.finish().leftovers, [] as [String; 0]);
    let card = interfaces.find(CARD).unwrap();
    (card.is_up(), card.master)
}

#[test]
fn it_is_up_while_the_switch_runs_and_then_as_it_was() {
    for was_up in [false, true] {
        let mut bench = bench_on(MacOs::V15, OWN, free(was_up));
        assert!(bench.is_up(CARD));
        let ready = bench.lab.ready();
        let told = ready.networks[0].interfaces.iter().map(|of| (&*of.name, of.created));
        let told: Vec<_> = told.collect();
        assert_eq!(told[..2], [("bridge7", true), (CARD, false)]);
        bench.must_ping();
        assert_eq!(end(bench), (was_up, None));
    }
}

#[test]
fn one_that_was_a_member_already_stays_one() {
    let mut bench = bench("bridge:bridge0,member=en0");
    bench.must_ping();
    bench.lab.run_for(2000 * MS);
    assert_eq!(bench.mended(), [0; 4]);
    assert_eq!(end(bench), (true, Some(BRIDGE.to_owned())));
}

#[test]
fn one_that_was_taken_out_is_a_member_again_soon() {
    for was_up in [false, true] {
        let mut bench = bench_on(MacOs::V15, OWN, free(was_up));
        bench.until_a_look();
        bench.lab.operator().remove_member("bridge7", CARD).unwrap();
        bench.must_mend(Mended::Membership, 1, SOON);
        assert_eq!(bench.lab.operator().members("bridge7").len(), 2);
        bench.must_ping();
        assert_eq!(bench.mended(), [0, 0, 1, 0]);
        assert_eq!(end(bench), (was_up, None));
    }
}

/// Whoever takes it out has it.
#[test]
fn one_that_was_taken_out_at_the_end_is_left_as_it_is() {
    let bench = bench_on(MacOs::V15, OWN, free(false));
    bench.lab.operator().remove_member("bridge7", CARD).unwrap();
    assert_eq!(end(bench), (true, None));
}

/// The second loan knows what the first one found.
#[test]
fn lent_to_a_bridge_that_was_made_again_it_is_as_it_was_at_the_end() {
    for version in MacOs::ALL {
        for was_up in [false, true] {
            let mut bench = bench_on(version, OWN, free(was_up));
            bench.lab.operator().destroy_interface("bridge7").unwrap();
            bench.must_mend(Mended::Bridge, 1, AT_THE_LATEST);
            bench.lab.run_for(1000 * MS);
            assert_eq!(bench.lab.operator().members("bridge7").len(), 2);
            bench.must_ping();
            assert_eq!(end(bench), (was_up, None), "{version:?}");
        }
    }
}

/// It was made a member, and could not be set up: neither is left half done.
#[test]
fn one_that_could_not_be_set_up_is_lent_again_and_given_back_at_the_end() {
    let mut bench = bench_on(MacOs::V15, OWN, free(false));
    fail(bench.lab.operator(), "SIOCSIFFLAGS", Some(CARD), 1, Errno::ENOMEM);
    bench.lab.operator().remove_member("bridge7", CARD).unwrap();
    bench.lab.operator().set_interface_up(CARD, false).unwrap();
    bench.lab.run_for(2 * AT_THE_LATEST);
    assert!(bench.is_up(CARD));
    bench.must_ping();
    assert_eq!(end(bench), (false, None));
}

/// Nor at the start.
#[test]
fn a_switch_that_does_not_start_gives_it_back() {
    for (was_up, call, object) in
        [(false, "SIOCSIFFLAGS", Some(CARD)), (false, "BIOCSETF", None), (true, "BIOCSETF", None)]
    {
        let mac = SimulatedMac::boot(MacOs::V15, 1).unwrap();
        let operator = mac.operator.clone();
        operator.spare();
        free(was_up)(&mac);
        fail(&operator, call, object, 1, Errno::ENOMEM);
        assert!(mac.start(OWN.parse().unwrap()).is_err(), "{call}");
        let card = Interfaces::open_on(operator).unwrap().find(CARD).unwrap();
        assert_eq!((card.is_up(), card.master), (was_up, None), "{call}");
    }
}
