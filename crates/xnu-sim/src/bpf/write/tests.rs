use proptest::prelude::*;

use super::*;
use crate::version::MacOs;

/// Records of a batch as they should be, a tail, and perhaps a wrong byte.
fn batch() -> impl Strategy<Value = Vec<u8>> {
    let records = prop::collection::vec((0..40_usize, 18..24_usize), 0..8);
    let tail = prop::collection::vec(any::<u8>(), 0..24);
    let damage = prop::option::weighted(0.4, (any::<prop::sample::Index>(), any::<u8>()));
    (records, tail, damage).prop_map(|(records, tail, damage)| {
        let mut bytes = Vec::new();
        for (len, header_len) in records {
            let start = bytes.len();
            bytes.resize(start + (header_len + len).next_multiple_of(4), 0x11);
            bytes[start + 8..start + 18].fill(0);
            for (at, value) in [(8, len), (12, len), (16, header_len)] {
                bytes[start + at] = u8::try_from(value).unwrap_or(0);
            }
        }
        bytes.extend(tail);
        if let (Some((at, byte)), false) = (damage, bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

fn moved_in(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize)> {
    let mut device = Device::new(0, [0; 16], 4096);
    device.settings.is_header_complete = true;
    device.move_in_batch(bytes, 1500, &MacOs::V15.capabilities())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any bytes as a batch: the frames come from within them, and no more is taken than is given;
    /// what is left is too short for a record (contract C17).
    #[test]
    fn any_bytes_as_a_batch(bytes in batch()) {
        if let Ok((frames, taken_len)) = moved_in(&bytes) {
            let frames_len: usize = frames.iter().map(Vec::len).sum();
            prop_assert!(taken_len <= bytes.len() && bytes.len() - taken_len < 20);
            prop_assert!(frames_len + 18 * frames.len() <= taken_len);
            prop_assert!(frames.iter().all(|frame| !frame.is_empty()));
        }
    }
}

/// The batches above are of both kinds.
#[test]
fn batches_are_taken_and_refused() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let tried = 400;
    let taken = (0..tried)
        .filter(|_| moved_in(&batch().new_tree(&mut runner).expect("no filter").current()).is_ok())
        .count();
    assert!((tried / 5..tried * 4 / 5).contains(&taken), "{taken} of {tried} are taken");
}
