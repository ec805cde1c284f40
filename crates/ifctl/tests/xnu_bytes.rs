//! Bytes from the kernel and from other programs, whatever they are.

mod entries;

use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        entries::kernel_bytes(&bytes);
    }

    #[test]
    fn a_true_head_and_any_data(
        total: u32,
        unit: u32,
        code: u32,
        name in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let words = [total, 1, 1, 2, 0, code, 2, unit].into_iter().flat_map(u32::to_ne_bytes);
        let bytes: Vec<u8> = words.chain(name).collect();
        entries::kernel_bytes(&bytes);
    }

    #[test]
    fn nearly_a_tag(text in "vswitch:[0-9]{0,3}:[0-9]{0,3}:?.{0,9}") {
        entries::kernel_bytes(text.as_bytes());
    }
}

#[test]
fn kept_seeds() {
    testkit::fuzz_seeds("kernel_bytes").for_each(|(_, seed)| entries::kernel_bytes(&seed));
}
