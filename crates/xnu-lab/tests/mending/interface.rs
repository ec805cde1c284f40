//! An interface that is used as it is: a card that is pulled out and comes back.

use std::time::Duration;

use ifctl::xnu::FethOptions;
use vswitchd::xnu::Mended;
use xnu_lab::SimulatedMac;
use xnu_sim::MacOs;
use xnu_sys::Kernel;

use crate::support::{Bench, MS, SOON, bench_on, without_events};

/// What plays the card; its other end is nobody's.
const PAIR: [&str; 2] = ["feth30", "feth31"];

fn plug_in(interfaces: &ifctl::xnu::Interfaces<xnu_sim::SimKernel>) {
    let options = ifctl::PairOptions::default();
    interfaces.create_pair(PAIR[0], PAIR[1], options).unwrap();
    for end in PAIR {
        interfaces.set_up(end, true).unwrap();
    }
}

fn on_a_card(version: MacOs, also: impl FnOnce(&SimulatedMac)) -> Bench {
    bench_on(version, "iface:feth30", |mac| {
        plug_in(&ifctl::xnu::Interfaces::open_on(mac.operator.clone()).unwrap());
        also(mac);
    })
}

#[test]
fn it_is_told_as_the_hosts_with_its_mtu() {
    let bench = on_a_card(MacOs::V15, |mac| {
        let interfaces = ifctl::xnu::Interfaces::open_on(mac.operator.clone()).unwrap();
        interfaces.set_mtu(PAIR[0], 1800).unwrap();
    });
    let ready = bench.lab.ready();
    let told = &ready.networks[0].interfaces;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].name.as_str(), told[0].created, told[0].mtu), (PAIR[0], false, 1800));
    assert!(bench.is_promiscuous(PAIR[0]));
    let Bench { lab, interfaces } = bench;
    assert_eq!(lab.finish().leftovers, [] as [String; 0], "and it is no less there");
    assert!(interfaces.find(PAIR[0]).unwrap().is_up());
}

#[test]
fn it_is_let_go_of_when_it_goes_and_used_again_when_it_is_back() {
    for version in MacOs::ALL {
        let mut bench = on_a_card(version, |_| {});
        let open = bench.open_links().len();
        assert_eq!(open, 2);
        // It is told that it goes, and only later that it has gone.
        bench.until_just_before_a_look();
        bench.lab.operator().destroy_interface(PAIR[0]).unwrap();
        bench.lab.run_for(SOON);
        assert_eq!(bench.open_links(), [] as [String; 0], "{version:?}");
        // It is looked for once a second.
        bench.lab.operator().destroy_interface(PAIR[1]).unwrap();
        bench.lab.run_for(2000 * MS);
        let before = bench.lab.kernel().counters();
        bench.lab.run_for(4000 * MS);
        let calls = bench.lab.kernel().counters().since(&before);
        assert_eq!(calls.of("open"), 4, "{version:?}: {calls:?}");
        plug_in(&bench.interfaces);
        bench.must_mend(Mended::Link, 1, Duration::from_millis(1260));
        assert_eq!(bench.open_links().len(), 2);
        bench.lab.run_for(3000 * MS);
        assert_eq!(bench.mended(), [0, 1, 0, 0], "once");
    }
}

#[test]
fn without_events_it_is_let_go_of_when_it_is_used() {
    let mut bench = on_a_card(MacOs::V15, without_events);
    bench.lab.operator().destroy_interface(PAIR[0]).unwrap();
    bench.lab.run_for(500 * MS);
    let mut frame = [0xff; 60];
    frame[6..12].copy_from_slice(&bench.lab.guest(0).mac());
    bench.lab.guest(0).with_core(|core| core.send_frame(&frame));
    bench.lab.run_for(SOON);
    assert_eq!(bench.open_links(), [] as [String; 0]);
    bench.lab.operator().destroy_interface(PAIR[1]).unwrap();
    bench.lab.run_for(500 * MS);
    plug_in(&bench.interfaces);
    bench.must_mend(Mended::Link, 1, Duration::from_millis(1260));
}

/// What happens to others is no matter of its.
#[test]
fn others_that_go_do_not_concern_it() {
    let mut bench = on_a_card(MacOs::V15, |_| {});
    let other = bench.interfaces.create_feth(&FethOptions::default()).unwrap();
    bench.lab.run_for(SOON);
    let open = bench.lab.kernel().open_descriptors();
    bench.interfaces.destroy(&other).unwrap();
    bench.lab.operator().set_interface_up(PAIR[0], false).unwrap();
    bench.lab.operator().set_interface_up(PAIR[0], true).unwrap();
    bench.lab.run_for(1000 * MS);
    assert_eq!(bench.lab.kernel().open_descriptors(), open);
    assert_eq!(bench.mended(), [0; 4]);
    assert!(bench.lab.kernel().uptime_ns() > 0);
}
