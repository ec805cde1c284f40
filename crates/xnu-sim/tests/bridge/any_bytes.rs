//! Whatever bytes a guest or the LAN sends, a bridge goes on.

use proptest::prelude::*;
use xnu_sim::{EthernetOptions, MacOs};

use crate::support::bridge::*;
use crate::support::frames::*;
use crate::support::lan::Lan;
use crate::support::*;

/// Frames that look like what bridges look into.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = prop_oneof![
        Just([0x08, 0x06]),
        Just([0x08, 0x00]),
        Just([0x86, 0xdd]),
        Just([0x81, 0x00]),
        any::<[u8; 2]>(),
    ];
    let address = prop_oneof![Just(BROADCAST), Just(GUEST), Just(OTHER_GUEST), any::<[u8; 6]>()];
    let first = prop_oneof![Just(0x45), Just(0x60), Just(0x4f), any::<u8>()];
    let protocol = prop_oneof![Just(6), Just(17), Just(58), any::<u8>()];
    let rest = proptest::collection::vec(any::<u8>(), 0..2000);
    (address.clone(), address, ethertype, first, protocol, rest).prop_map(
        |(to, from, ethertype, first, protocol, mut rest)| {
            if let Some(byte) = rest.first_mut() {
                *byte = first;
            }
            let protocol_at = if first == 0x60 { 6 } else { 9 };
            if let Some(byte) = rest.get_mut(protocol_at) {
                *byte = protocol;
            }
            [&to[..], &from, &ethertype, &rest].concat()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_frame_stops_a_bridge(
        version in prop_oneof![Just(MacOs::V13), Just(MacOs::V15)],
        is_wifi in any::<bool>(),
        flags in prop_oneof![Just(LEARNING | DISCOVER), Just(LEARNING | CHECKSUM_OFFLOAD)],
        sent in proptest::collection::vec((0..3_usize, frames()), 1..20),
    ) {
        let card = EthernetOptions { is_wifi, has_tso: false, ..EthernetOptions::default() };
        let lan = Lan::with(machine(version), card, 2);
        lan.control.set_member_flags("bridge0", "feth10", flags).unwrap();
        let mut filter = [0; 32];
        put(&mut filter, 0, &[7]);
        put(&mut filter, 4, b"feth11");
        put(&mut filter, 20, &GUEST);
        put(&mut filter, 28, &[192, 168, 64, 2]);
        lan.control.driver_set("bridge0", 35, &mut filter).unwrap();
        for (from, frame) in &sent {
            match from {
                0 | 1 => lan.send(*from, frame),
                _ => lan.send_from_lan(frame),
            }
        }
        lan.send_from_lan(&frame(BROADCAST, LAN_HOST, "still here"));
        prop_assert!(!lan.seen_by(1).is_empty());
    }
}
