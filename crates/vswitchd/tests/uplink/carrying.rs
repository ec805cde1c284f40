//! Frames through uplinks, and that they pass again after something was lost.

use ifctl::xnu::{FethOptions, FethUnits, OwnedInterface};
use vswitchd::config::UplinkSpec;
use vswitchd::report::InterfaceRole;
use vswitchd::xnu::Mended;
use xnu_sys::Kernel;

use super::{Side, interface, interfaces, mended, new_bridge, run_until, to_bridge, wait_until};

/// Two switches with an uplink each.
fn sides<K: Kernel>(kernel: &K, uplinks: [UplinkSpec; 2]) -> [Side<K>; 2] {
    let mut numbers = 1..;
    uplinks.map(|uplink| {
        let number = numbers.next().expect("a number");
        Side::start(kernel, number, uplink).expect("a switch")
    })
}

/// Frames from the guest of each switch to that of the other, of every size that fits and in order:
/// to everybody, to a group, and to the guest alone.
fn frames_pass<K: Kernel>(sides: &mut [Side<K>; 2]) {
    let group = [0x33, 0x33, 0, 0, 0, 1];
    for (from, to) in [(0, 1), (1, 0)] {
        let guest = sides[to].mac;
        let mut got = Vec::new();
        let mut sent = Vec::new();
        for (number, len) in (0..).zip([60, 61, 1000, 1513, 1514].repeat(20)) {
            let target = [[0xff; 6], group, guest, guest][number as usize % 4];
            sides[from].send(target, number, len);
            sent.push((number, len));
            // No more at a time than any queue on the way holds.
            if number % 10 == 9 {
                run_until(sides, |sides| {
                    got.extend(sides[to].received());
                    got.len() >= sent.len()
                });
                assert_eq!(got, sent);
            }
        }
    }
}

pub(crate) fn frames_cross_two_switches<K: Kernel>(kernel: &K) {
    let bridge = new_bridge(kernel);
    let mut sides = sides(kernel, [to_bridge(bridge.name()), to_bridge(bridge.name())]);
    frames_pass(&mut sides);
}

pub(crate) fn frames_cross_interfaces_used_as_they_are<K: Kernel>(kernel: &K) {
    let units = FethUnits::new(20_800, 100).expect("a range");
    let options = FethOptions { units, up: true, ..FethOptions::default() };
    let pair = OwnedInterface::feth_pair(kernel.clone(), &options).expect("a pair");
    let ends = [pair.name(), pair.peer().expect("the other end")];
    let mut sides = sides(kernel, ends.map(interface));
    frames_pass(&mut sides);
    for side in sides {
        drop(side.service.finish());
    }
    for end in ends {
        assert!(interfaces(kernel).find(end).expect("it stays").is_up());
    }
}

pub(crate) fn a_lost_membership_is_mended<K: Kernel>(kernel: &K) {
    let bridge = new_bridge(kernel);
    let mut sides = sides(kernel, [to_bridge(bridge.name()), to_bridge(bridge.name())]);
    let end = sides[0].made(InterfaceRole::Member);
    interfaces(kernel).remove_member(bridge.name(), &end).expect("it was a member");
    assert!(run_until(&mut sides, |sides| mended(&sides[0], Mended::Membership) == 1));
    frames_pass(&mut sides);
    assert_eq!(mended(&sides[1], Mended::Membership), 0, "the other had lost nothing");
}

pub(crate) fn a_destroyed_pair_is_built_again<K: Kernel>(kernel: &K) {
    let bridge = new_bridge(kernel);
    let mut sides = sides(kernel, [to_bridge(bridge.name()), to_bridge(bridge.name())]);
    let end = sides[0].made(InterfaceRole::SwitchEnd);
    interfaces(kernel).destroy(&end).expect("it was there");
    assert!(run_until(&mut sides, |sides| mended(&sides[0], Mended::Link) >= 1));
    frames_pass(&mut sides);
    let members = || interfaces(kernel).members(bridge.name()).expect("a bridge").len();
    assert!(wait_until(kernel, || members() == 2), "two ends, and none that is gone");
}
