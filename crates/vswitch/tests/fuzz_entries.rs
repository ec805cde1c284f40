//! The fuzz targets' entries, on arbitrary bytes.

mod entries;

use proptest::prelude::*;

proptest! {
    #[test]
    fn streams(bytes in prop::collection::vec(prop_oneof![Just(0u8), any::<u8>()], 0..3000)) {
        entries::stream(&bytes);
    }

    #[cfg(unix)]
    #[test]
    fn vde_requests(
        good_bytes in 0_usize..140,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let good = [
            &[0xfeed_face_u32, 3, 7 << 8].map(u32::to_ne_bytes).concat()[..],
            if cfg!(target_os = "macos") { &[106, 1] } else { &[1, 0] },
            b"/tmp/vde.01234-00000\0",
            &[0; 120],
        ];
        let good_bytes = good_bytes.min(bytes.len());
        let (good, rest) = (&good.concat()[..good_bytes], &bytes[good_bytes..]);
        entries::vde_request(&[good, rest].concat());
    }

    #[test]
    fn fabrics(bytes in prop::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..1500)) {
        entries::fabric(&bytes);
    }
}

#[test]
fn kept_seeds() {
    testkit::fuzz_seeds("fabric").for_each(|(_, seed)| entries::fabric(&seed));
    #[cfg(unix)]
    testkit::fuzz_seeds("stream").for_each(|(_, seed)| entries::stream(&seed));
    #[cfg(unix)]
    testkit::fuzz_seeds("vde_request").for_each(|(_, seed)| entries::vde_request(&seed));
}
