//! What holds of every capture buffer and of every batch. The seeds are fixed: a failure is found
//! again by running the test again.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

#[path = "entries/capture.rs"]
mod entries;

/// What `catchpacket` may put into a buffer: header length, how much longer the frame was than what
/// was captured, the frame, and the stale bytes that pad it.
#[derive(Clone, Debug)]
struct Captured {
    hdrlen: u16,
    cut_bytes: u32,
    frame: Vec<u8>,
    stale: u8,
}

fn captured() -> impl Strategy<Value = Captured> {
    let hdrlen = prop_oneof![4 => Just(18), 1 => 18_u16..70];
    let cut_bytes = prop_oneof![3 => Just(0), 1 => 1_u32..9000];
    // Its bytes do not matter to a walk.
    let frame = (0_usize..200, any::<u8>()).prop_map(|(len, fill)| vec![fill; len]);
    (hdrlen, cut_bytes, frame, any::<u8>()).prop_map(|(hdrlen, cut_bytes, frame, stale)| Captured {
        hdrlen,
        cut_bytes,
        frame,
        stale,
    })
}

/// The records one behind the other, as XNU lays them out: the last one without padding.
fn buffer_of(records: &[Captured]) -> Vec<u8> {
    let mut buffer = Vec::new();
    for record in records {
        buffer.resize(buffer.len().next_multiple_of(4), record.stale);
        let header = buffer.len();
        let caplen = u32::try_from(record.frame.len()).expect("short");
        buffer.extend_from_slice(&[record.stale; 8]);
        buffer.extend_from_slice(&caplen.to_ne_bytes());
        buffer.extend_from_slice(&(caplen + record.cut_bytes).to_ne_bytes());
        buffer.extend_from_slice(&record.hdrlen.to_ne_bytes());
        buffer.resize(header + usize::from(record.hdrlen), record.stale);
        buffer.extend_from_slice(&record.frame);
    }
    buffer
}

proptest! {
    #![proptest_config(Config {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(0x6270_6601),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        entries::capture(&bytes);
    }

    /// Small numbers, so that headers often make sense.
    #[test]
    fn small_bytes(
        bytes in prop::collection::vec(prop_oneof![3 => Just(0), 1 => 0_u8..40], 0..400),
    ) {
        entries::capture(&bytes);
    }

    #[test]
    fn every_record_is_found(records in prop::collection::vec(captured(), 0..20)) {
        let buffer = buffer_of(&records);
        let mut walker = bpf::capture::Walker::new(&buffer);
        for record in &records {
            let found = walker.next().expect("a record");
            prop_assert_eq!(found.frame, &record.frame[..]);
            prop_assert_eq!(found.is_truncated(), record.cut_bytes > 0);
        }
        prop_assert_eq!(walker.next(), None);
        prop_assert_eq!(walker.fault(), None);
        entries::capture(&buffer);
    }

    /// A buffer that is cut, or of which some bytes are others.
    #[test]
    fn damaged(
        records in prop::collection::vec(captured(), 1..20),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut buffer = buffer_of(&records);
        for (at, byte) in changes {
            let at = at.index(buffer.len());
            buffer[at] = byte;
        }
        entries::capture(&buffer);
        buffer.truncate(cut.index(buffer.len() + 1));
        entries::capture(&buffer);
    }

    #[test]
    fn batches(
        frames in prop::collection::vec((1_usize..300, any::<u8>()), 0..30),
        limit_bytes in 0_usize..2000,
    ) {
        let frames: Vec<Vec<u8>> = frames.iter().map(|&(len, fill)| vec![fill; len]).collect();
        let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        entries::batch(&frames, limit_bytes);
    }
}

#[test]
fn kept_seeds() {
    testkit::fuzz_seeds("capture").for_each(|(_, seed)| entries::capture(&seed));
}
