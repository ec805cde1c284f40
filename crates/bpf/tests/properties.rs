//! What holds of every program and of every text. The seeds are fixed: a failure is found again by
//! running the test again.

use bpf::RawInsn;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

#[allow(dead_code, reason = "shared by tests that each need a part of it")]
mod common;
mod entries;
use common::{Random, damaged, sensible_program};

/// A program and a frame as [`entries::program`] reads them.
fn bytes_of(words: &[RawInsn], frame: &[u8]) -> Vec<u8> {
    let words = &words[..words.len().min(255)];
    let mut bytes = vec![u8::try_from(words.len()).expect("at most 255")];
    for &RawInsn { code, jt, jf, k } in words {
        bytes.extend_from_slice(&code.to_le_bytes());
        bytes.extend_from_slice(&[jt, jf]);
        bytes.extend_from_slice(&k.to_le_bytes());
    }
    bytes.extend_from_slice(frame);
    bytes
}

/// Text of the words that the syntax knows, in any order.
fn jumbled_text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "ld",
        "ldh",
        "ldb",
        "ldx",
        "ldxb",
        "ldi",
        "st",
        "stx",
        "ret",
        "jeq",
        "jneq",
        "jset",
        "ja",
        "add",
        "xor",
        "neg",
        "tax",
        ".raw",
        "a",
        "x",
        "%x",
        "M[",
        "[",
        "]",
        "(",
        ")",
        "4*([",
        "]&0xf)",
        "#",
        "#1",
        "#-1",
        "#0xffffffff",
        "0",
        "7",
        "-1",
        "4096",
        "99999999999",
        "0x",
        "l1",
        "l2",
        "l1:",
        "l2:",
        ",",
        ":",
        "+",
        "jt",
        "jf",
        "len",
        "#proto",
        ";",
        "/*",
        "*/",
        "{",
        "}",
        "é",
        "\n",
        "\n",
        "ret #0\n",
        "ld [12]\n",
        "jeq #1, l1, l2\n",
        "1,6 0 0 0,",
        "{ 0x06, 0, 0, 0 },",
    ]);
    let separator = prop::sample::select(vec![" ", "", "\t"]);
    prop::collection::vec((word, separator), 0..60)
        .prop_map(|words| words.into_iter().flat_map(|(word, space)| [word, space]).collect())
}

proptest! {
    #![proptest_config(Config {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(0x6270_6600),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_bytes_as_a_program(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        entries::program(&bytes);
    }

    #[test]
    fn sensible_programs(seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let mut words = sensible_program(&mut random);
        if random.chance(50) {
            words = damaged(&mut random, words);
        }
        let frame_len = random.below(100) as usize;
        entries::program(&bytes_of(&words, &random.bytes(frame_len)));
    }

    #[test]
    fn any_bytes_as_text(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        entries::text(&bytes);
    }

    #[test]
    fn jumbled_words_as_text(text in jumbled_text()) {
        entries::text(text.as_bytes());
    }

    #[test]
    fn damaged_listings_as_text(seed in any::<u64>(), at in any::<prop::sample::Index>()) {
        let mut random = Random::new(seed);
        let words = sensible_program(&mut random);
        let mut text = match random.below(3) {
            0 => bpf::words::to_c(&words),
            1 => bpf::words::to_decimal(&words),
            _ => bpf::Listing(&words).to_string(),
        };
        let at = at.index(text.len());
        match random.below(3) {
            0 => { text.remove(at); }
            1 => text.insert(at, random.pick(&['0', 'x', ',', '\n', '#', ':', ']', '}'])),
            _ => text.truncate(at),
        }
        entries::text(text.as_bytes());
    }
}

#[test]
fn kept_seeds() {
    testkit::fuzz_seeds("bpf_program").for_each(|(_, seed)| entries::program(&seed));
    testkit::fuzz_seeds("bpf_text").for_each(|(_, seed)| entries::text(&seed));
}
