//! The fabric by example, and against a model.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const A: PortIndex = PortIndex(0);
const B: PortIndex = PortIndex(1);
const C: PortIndex = PortIndex(2);

fn station(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn frame(to: MacAddr, from: MacAddr) -> Vec<u8> {
    [&to.0[..], &from.0, &[0x88, 0xb5], &[0; 46]].concat()
}

fn fabric_of_three() -> Fabric {
    let mut fabric = Fabric::new(Settings::default());
    for port in [A, B, C] {
        fabric.add_port(port, PortPolicy::default()).unwrap();
    }
    fabric
}

#[test]
fn learns_forwards_and_follows_a_move() {
    let mut fabric = fabric_of_three();
    let now = Nanos(5);
    assert_eq!(fabric.ingress(A, &frame(station(2), station(1)), now), Verdict::Flood);
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), now), Verdict::Forward(A));
    assert_eq!(fabric.ingress(A, &frame(station(2), station(1)), now), Verdict::Forward(B));
    assert_eq!(fabric.ingress(C, &frame(MacAddr::BROADCAST, station(1)), now), Verdict::Flood);
    assert_eq!(fabric.moves(), 1);
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), now), Verdict::Forward(C));
}

#[test]
fn never_back_to_where_it_came_from() {
    let mut fabric = fabric_of_three();
    fabric.ingress(A, &frame(station(9), station(1)), Nanos(0));
    let verdict = fabric.ingress(A, &frame(station(1), station(7)), Nanos(0));
    assert_eq!(verdict, Verdict::Drop(DropReason::Hairpin));
}

#[test]
fn multicast_and_broadcast_flood_untouched() {
    let mut fabric = fabric_of_three();
    for group in [[0x33, 0x33, 0, 0, 0, 1], [1, 0, 0x5e, 0, 0, 0xfb], [1, 0x80, 0xc2, 0, 0, 0]] {
        let verdict = fabric.ingress(A, &frame(MacAddr(group), station(1)), Nanos(0));
        assert_eq!(verdict, Verdict::Flood);
    }
}

#[test]
fn an_address_ages() {
    let mut fabric = fabric_of_three();
    let age_max = Settings::default().age_max;
    fabric.ingress(A, &frame(station(9), station(1)), Nanos(0));
    let limit = Nanos(0) + age_max;
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), limit), Verdict::Forward(A));
    let after = Nanos(limit.0 + 1);
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), after), Verdict::Flood);
    assert_eq!(fabric.entry_count(), 2);
    fabric.expire(after);
    assert_eq!(fabric.entry_count(), 1, "only the one seen just now");
    assert_eq!((fabric.learnt_count(), fabric.aged()), (1, 1));
}

#[test]
fn bad_frames_are_dropped_and_teach_nothing() {
    let mut fabric = fabric_of_three();
    for len in 0..14 {
        let verdict = fabric.ingress(A, &[2; 14][..len], Nanos(0));
        assert_eq!(verdict, Verdict::Drop(DropReason::Runt));
    }
    for source in [MacAddr::BROADCAST, MacAddr([0; 6]), MacAddr([0x33, 0x33, 0, 0, 0, 1])] {
        let verdict = fabric.ingress(A, &frame(station(2), source), Nanos(0));
        assert_eq!(verdict, Verdict::Drop(DropReason::BadSource));
    }
    assert_eq!(fabric.entry_count(), 0);
}

#[test]
fn a_named_address_is_enforced_and_cannot_be_taken() {
    let mut fabric = Fabric::new(Settings::default());
    let named = |mac| PortPolicy { mac: Some(mac), ..PortPolicy::default() };
    fabric.add_port(A, named(station(1))).unwrap();
    fabric.add_port(B, PortPolicy::default()).unwrap();
    let to_all = |from| frame(MacAddr::BROADCAST, from);
    let foreign = Verdict::Drop(DropReason::ForeignSource);
    let owned = Verdict::Drop(DropReason::OwnedSource);
    assert_eq!(fabric.ingress(A, &to_all(station(1)), Nanos(0)), Verdict::Flood);
    assert_eq!(fabric.ingress(A, &to_all(station(5)), Nanos(0)), foreign);
    assert_eq!(fabric.ingress(B, &to_all(station(1)), Nanos(0)), owned);
    // Reached from the first frame on, and after any time: it does not age.
    let late = Nanos(u64::MAX);
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), late), Verdict::Forward(A));
    let again = fabric.add_port(C, named(station(1)));
    assert_eq!(again, Err(AddressError::Taken { mac: station(1) }));
    assert_eq!(fabric.ports(), [A, B]);
    let group = fabric.add_port(C, named(MacAddr::BROADCAST));
    assert_eq!(group, Err(AddressError::NoStation { mac: MacAddr::BROADCAST }));
    fabric.remove_port(A);
    fabric.add_port(C, named(station(1))).unwrap();
}

#[test]
fn a_static_entry_takes_over_a_learnt_one() {
    let mut fabric = fabric_of_three();
    fabric.ingress(A, &frame(station(9), station(1)), Nanos(0));
    assert_eq!((fabric.learnt_count(), fabric.entry_count()), (1, 1));
    fabric.add_static(B, station(1)).unwrap();
    assert_eq!((fabric.learnt_count(), fabric.entry_count()), (0, 1));
    assert_eq!(fabric.ingress(C, &frame(station(1), station(3)), Nanos(0)), Verdict::Forward(B));
}

#[test]
fn a_flood_of_addresses_is_bounded_and_harms_no_other_port() {
    let mut fabric = Fabric::new(Settings::default());
    fabric.add_port(A, PortPolicy { addresses_max: 100, ..PortPolicy::default() }).unwrap();
    fabric.add_port(B, PortPolicy::default()).unwrap();
    fabric.ingress(B, &frame(station(9), station(2)), Nanos(0));
    for n in 0..10_000_u64 {
        let spoofed = MacAddr::from_bits(0x0600_0000_0000 | n);
        let verdict = fabric.ingress(A, &frame(station(2), spoofed), Nanos(0));
        assert_eq!(verdict, Verdict::Forward(B));
    }
    assert_eq!(fabric.entry_count(), 101);
    assert_eq!(fabric.not_learnt(), 9_900);
    assert_eq!(fabric.learnt_max(), 100 + PortPolicy::default().addresses_max);
    // Nor may it grow by taking over the addresses of others: the moved one is flooded instead.
    fabric.ingress(A, &frame(MacAddr::BROADCAST, station(2)), Nanos(0));
    assert_eq!(fabric.entry_count(), 100);
    // Once its addresses have aged, the port learns again.
    let later = Nanos(0) + Duration::from_secs(301);
    fabric.expire(later);
    assert_eq!(fabric.entry_count(), 0);
    fabric.ingress(A, &frame(station(2), station(1)), later);
    assert_eq!(fabric.ingress(B, &frame(station(1), station(2)), later), Verdict::Forward(A));
}

proptest! {
    /// The whole fabric against a plain map of (address → port, last seen).
    #[test]
    fn agrees_with_a_plain_model(
        steps in prop::collection::vec((0u16..4, 0u8..12, 0u8..12, 0u64..40), 1..400),
        named in prop::option::of(0u8..12),
    ) {
        let age_max = Duration::from_secs(100);
        let mut fabric = Fabric::new(Settings { age_max, ..Settings::default() });
        for port in 0..4 {
            let mac = named.filter(|_| port == 0).map(station);
            fabric.add_port(PortIndex(port), PortPolicy { mac, ..PortPolicy::default() }).unwrap();
        }
        let mut model: HashMap<u8, (u16, u64)> = HashMap::new();
        let mut now_s = 0;
        for (port, from, to, wait_s) in steps {
            now_s += wait_s;
            let now = Nanos(0) + Duration::from_secs(now_s);
            let verdict = fabric.ingress(PortIndex(port), &frame(station(to), station(from)), now);
            let expected = if named.is_some_and(|own| port == 0 && own != from) {
                Verdict::Drop(DropReason::ForeignSource)
            } else if named.is_some_and(|own| port != 0 && own == from) {
                Verdict::Drop(DropReason::OwnedSource)
            } else {
                if named != Some(from) {
                    model.insert(from, (port, now_s));
                }
                let behind = match model.get(&to) {
                    _ if named == Some(to) => Some(0),
                    Some(&(behind, seen_s)) if now_s - seen_s <= 100 => Some(behind),
                    _ => None,
                };
                match behind {
                    None => Verdict::Flood,
                    Some(behind) if behind == port => Verdict::Drop(DropReason::Hairpin),
                    Some(behind) => Verdict::Forward(PortIndex(behind)),
                }
            };
            prop_assert_eq!(verdict, expected);
            let learnt = fabric.entries().filter(|entry| !entry.is_static).count();
            prop_assert_eq!(fabric.learnt_count(), learnt);
        }
    }
}
