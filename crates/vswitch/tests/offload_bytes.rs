//! Any bytes where an unfinished frame is expected; the fuzz target `offload` does the same longer.

use proptest::prelude::*;

#[path = "entries/offload.rs"]
mod entries;

proptest! {
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        entries::finish(&bytes);
    }

    /// Bytes that get past the first checks: a header that asks for work, and an Ethernet, an IP
    /// and a transport header that may be right.
    #[test]
    fn bytes_that_look_right(
        gso in prop_oneof![Just(0_u8), Just(1), Just(4), Just(5)],
        size in prop_oneof![Just(0_u16), 1..50_u16, any::<u16>()],
        tags in 0..4_usize,
        six: bool,
        next in prop_oneof![Just(6_u8), Just(17), Just(0), Just(43), Just(60)],
        flags in 0..4_u8,
        start in 0..90_u16,
        rest in proptest::collection::vec(prop_oneof![Just(0_u8), Just(0x50), any::<u8>()], 0..200),
    ) {
        let mut bytes = vec![flags, gso, 0, 0];
        for word in [size, start, if next == 6 { 16 } else { 6 }] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend([2; 12]);
        bytes.extend([0x81, 0, 0, 1].repeat(tags));
        if six {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64]);
            bytes.extend([1; 32]);
        } else {
            bytes.extend([8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, next, 0, 0]);
            bytes.extend([1; 8]);
        }
        bytes.extend(rest);
        entries::finish(&bytes);
    }
}

#[test]
fn kept_seeds() {
    testkit::fuzz_seeds("offload").for_each(|(_, seed)| entries::finish(&seed));
}
