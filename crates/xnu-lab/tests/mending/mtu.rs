//! The bridge's MTU, which the pair has too, and a frame's length on its way out.

use ifctl::xnu::Interfaces;
use vswitch::counters::{DropReason, PortCounters};
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, CARD};
use xnu_sim::{MacOs, SimKernel};

use crate::support::{AT_THE_LATEST, Bench, MS, bench_on};

/// A bridge takes over the MTU of its first member.
fn set_mtu(interfaces: &Interfaces<SimKernel>, mtu: u32) {
    for member in interfaces.members(BRIDGE).unwrap() {
        interfaces.remove_member(BRIDGE, &member.name).unwrap();
    }
    interfaces.set_mtu(CARD, mtu).unwrap();
    interfaces.add_member(BRIDGE, CARD).unwrap();
    assert_eq!(interfaces.find(BRIDGE).unwrap().mtu, mtu);
}

fn uplink(bench: &mut Bench) -> PortCounters {
    let ports = bench.lab.report().ports;
    ports.into_iter().find(|port| port.name == "uplink").unwrap().counters
}

/// The longest frame of this MTU goes out, and none that is longer.
fn frames_have_the_mtu(bench: &mut Bench, mtu: usize) {
    let before = uplink(bench).egress;
    for len in [mtu + 14, mtu + 19] {
        let mut frame = vec![0xff; len];
        frame[6..12].copy_from_slice(&bench.lab.guest(0).mac());
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        bench.lab.guest(0).with_core(|core| core.send_frame(&frame));
        bench.lab.run_for(10 * MS);
    }
    let after = uplink(bench).egress;
    assert_eq!(after.sent_frames - before.sent_frames, 1, "{after:?}");
    let too_long = |of: &vswitch::counters::Egress| of.dropped.of(DropReason::Mtu);
    assert_eq!(too_long(&after) - too_long(&before), 1, "{after:?}");
}

#[test]
fn the_pair_has_the_bridges() {
    for version in MacOs::ALL {
        for mtu in [1400, 1500, 2000] {
            let mut bench = bench_on(version, "bridge:bridge0", |mac| {
                set_mtu(&Interfaces::open_on(mac.operator.clone()).unwrap(), mtu);
            });
            let told: Vec<_> =
                bench.lab.ready().networks[0].interfaces.iter().map(|of| of.mtu).collect();
            assert_eq!(told, [mtu; 3]);
            frames_have_the_mtu(&mut bench, mtu as usize);
            assert_eq!(bench.mended(), [0; 4], "nothing had to be put right");
            bench.must_leave_nothing();
        }
    }
}

/// The descriptors on the pair know of an MTU what they found when they were opened.
#[test]
fn the_pair_and_what_is_sent_by_it_follow_the_bridges() {
    for version in MacOs::ALL {
        let mut bench = bench_on(version, "bridge:bridge0", |_| {});
        for (count, mtu) in [(1, 2000), (2, 1500)] {
            set_mtu(&bench.interfaces, mtu);
            bench.must_mend(Mended::Link, count, 2 * AT_THE_LATEST);
            bench.lab.run_for(1000 * MS);
            for end in bench.pair() {
                assert_eq!(bench.find(&end).mtu, mtu);
            }
            frames_have_the_mtu(&mut bench, mtu as usize);
            assert_eq!(bench.mended(), [0, count, count, 0], "{version:?}");
        }
        bench.must_ping();
        bench.must_leave_nothing();
    }
}
