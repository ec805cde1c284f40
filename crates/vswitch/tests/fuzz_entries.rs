//! The fuzz targets' entries, on arbitrary bytes.

mod entries;

use proptest::prelude::*;

proptest! {
    #[test]
    fn streams(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..3000)) {
        entries::stream(&bytes);
    }

    #[test]
    fn fabrics(bytes in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..1500)) {
        entries::fabric(&bytes);
    }
}
