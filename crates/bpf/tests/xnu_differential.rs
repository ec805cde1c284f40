//! XNU's dialect beside the filter machine of the simulated XNU, which was written apart from it:
//! on any program and any frame both take the program or both refuse it, and both say the same of
//! the frame.

use bpf::{Dialect, Metadata, RawInsn};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

#[allow(dead_code, reason = "shared by tests that each need a part of it")]
mod common;
use common::Random;

/// Instructions as XNU's `struct bpf_insn` has them.
fn bytes_of(words: &[RawInsn]) -> Vec<u8> {
    let bytes = |&RawInsn { code, jt, jf, k }: &RawInsn| {
        let ([low, high], [a, b, c, d]) = (code.to_le_bytes(), k.to_le_bytes());
        [low, high, jt, jf, a, b, c, d]
    };
    words.iter().flat_map(bytes).collect()
}

/// What a loaded program is given to, and `debug.bpf_maxbufsize`.
const LOAD_LIMIT: u32 = 0x80000;

/// Every code of the language, as `bpf_filter` runs them.
const KNOWN_CODES: &[u16] = &[
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0c, 0x14, 0x15, 0x16, 0x1c, 0x1d, 0x20, 0x24,
    0x25, 0x28, 0x2c, 0x2d, 0x30, 0x34, 0x35, 0x3c, 0x3d, 0x40, 0x44, 0x45, 0x48, 0x4c, 0x4d, 0x50,
    0x54, 0x5c, 0x60, 0x61, 0x64, 0x6c, 0x74, 0x7c, 0x80, 0x81, 0x84, 0x87, 0xb1,
];

/// Codes that Linux knows and XNU does not, and those that XNU's check lets pass.
const ODD_CODES: &[u16] = &[
    0x94, 0x9c, 0xa4, 0xac, 0x0e, 0x1e, 0x26, 0x8c, 0x0f, 0x97, 0x08, 0x09, 0x21, 0x22, 0x31, 0x41,
    0x62, 0x68, 0x70, 0x71, 0x88, 0x90, 0xa0, 0xa1, 0xb0, 0xb9, 0x0d, 0x8d, 0x55, 0xc0, 0xe0,
    0x120, 0x106, 0x116, 0x134, 0xff06, 0xff84, 0x10b1, 0x18, 0x38,
];

/// Operands at bounds.
const BOUNDS: &[u32] = &[
    0,
    15,
    16,
    31,
    32,
    33,
    LOAD_LIMIT - 1,
    LOAD_LIMIT,
    1 << 31,
    u32::MAX - 1,
    u32::MAX,
    0xffff_f000,
    0xffff_f034,
];

/// A code: in most cases one of the language.
fn code(random: &mut Random) -> u16 {
    match random.below(84) {
        0 => u16::from(random.byte()),
        1 => u16::from_le_bytes([random.byte(), random.byte()]),
        2 | 3 => random.pick(ODD_CODES),
        _ => random.pick(KNOWN_CODES),
    }
}

/// An operand: small numbers more than others, and those at bounds.
fn operand(random: &mut Random) -> u32 {
    match random.below(10) {
        0 => random.pick(BOUNDS),
        1 => random.word(),
        2 => random.below(2048),
        3..6 => random.below(64),
        _ => random.below(16),
    }
}

fn skip(random: &mut Random) -> u8 {
    match random.below(20) {
        0 => random.byte(),
        1..6 => random.byte() % 4,
        _ => 0,
    }
}

fn word() -> impl Strategy<Value = RawInsn> {
    any::<u64>().prop_map(|seed| {
        let random = &mut Random::new(seed);
        RawInsn { code: code(random), jt: skip(random), jf: skip(random), k: operand(random) }
    })
}

/// A program in which most of what could be refused has been made good, so that most are taken.
fn mostly_valid(words: Vec<RawInsn>) -> Vec<RawInsn> {
    let count = words.len();
    let mend = |(at, mut word): (usize, RawInsn)| {
        let left = u8::try_from(count - at - 1).unwrap_or(u8::MAX).saturating_sub(1);
        word.jt = word.jt.min(left);
        word.jf = word.jf.min(left);
        match word.code {
            0x05 => word.k = word.k.min(left.into()),
            0x02 | 0x03 | 0x60 | 0x61 => word.k %= 16,
            0x34 if word.k == 0 => word.k = 3,
            code if code & 0x06 == 0 && code & 0xe0 != 0 => word.k %= LOAD_LIMIT,
            _ => {}
        }
        word
    };
    words.into_iter().enumerate().map(mend).collect()
}

/// Any words, or such as are mostly taken; in most cases with a last one that ends them by showing
/// the accumulator.
fn program() -> impl Strategy<Value = Vec<RawInsn>> {
    let len = prop_oneof![
        60 => 0..12_usize,
        35 => 0..64_usize,
        4 => 0..400_usize,
        1 => 505..516_usize,
    ];
    let words = len.prop_flat_map(|len| prop::collection::vec(word(), len));
    let end = prop_oneof![
        80 => Just(Some(RawInsn { code: 0x16, jt: 0, jf: 0, k: 0 })),
        10 => any::<u32>().prop_map(|k| Some(RawInsn { code: 0x06, jt: 0, jf: 0, k })),
        10 => Just(None),
    ];
    (words, end, prop::bool::weighted(0.85)).prop_map(|(mut words, end, is_mended)| {
        words.extend(end);
        if is_mended { mostly_valid(words) } else { words }
    })
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![
        10 => 0..14_usize,
        60 => 14..80_usize,
        28 => 0..1600_usize,
        2 => 1600..9100_usize,
    ];
    (len, any::<u64>(), any::<bool>()).prop_map(|(len, seed, is_plain)| {
        let mut bytes = Random::new(seed).bytes(len);
        if is_plain {
            bytes.iter_mut().for_each(|byte| *byte %= 3);
        }
        bytes
    })
}

/// What both say of a program and a frame: refused, or so much taken. Of one that is refused they
/// also say the same if it is run nevertheless; where that ends in what XNU could not do (a
/// constant 0 divides, no end) nothing is taken.
fn both(words: &[RawInsn], frame: &[u8]) -> (Option<u32>, Option<u32>) {
    let bytes = bytes_of(words);
    let run = bpf::run(Dialect::Xnu, words, frame, &Metadata::default());
    assert_eq!(run.map_or(0, |verdict| verdict.0), xnu_sim::filter::run(&bytes, frame));
    let simulated =
        xnu_sim::filter::validate(&bytes, LOAD_LIMIT).then(|| xnu_sim::filter::run(&bytes, frame));
    let ours = bpf::verify(Dialect::Xnu, words).ok().map(|()| {
        bpf::run(Dialect::Xnu, words, frame, &Metadata::default())
            .expect("what is verified has no fault")
            .0
    });
    (ours, simulated)
}

proptest! {
    #![proptest_config(Config {
        cases: 30_000,
        rng_seed: RngSeed::Fixed(0x6270_665f_786e_7521),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_program_on_any_frame(words in program(), frame in frame()) {
        let (ours, simulated) = both(&words, &frame);
        prop_assert_eq!(ours, simulated);
    }
}

/// One instruction of each of the 65,536 codes, in a program whose other instructions show what it
/// did to both registers and to the scratch memory.
#[test]
fn every_code() {
    let frame: Vec<u8> = (0..64).map(|byte| byte ^ 0xa5).collect();
    for code in 0..=u16::MAX {
        // Above the eighth bit no code has a meaning.
        let count = if code < 0x200 { BOUNDARIES.len() } else { 2 };
        for &k in &BOUNDARIES[..count] {
            let word = |code, k| RawInsn { code, jt: 0, jf: 0, k };
            let words = [
                word(0x01, 3),
                word(0x00, 0x1234_5678),
                word(0x02, 15),
                RawInsn { code, jt: 1, jf: 0, k },
                word(0x04, 5),
                word(0x0c, 0),
                word(0x02, 2),
                word(0x61, 15),
                word(0x60, 2),
                word(0x0c, 0),
                word(0x16, 0),
            ];
            let (ours, simulated) = both(&words, &frame);
            assert_eq!(ours, simulated, "code {code:#x}, k {k:#x}");
            let last = [word(0x00, 9), word(code, k)];
            let (ours, simulated) = both(&last, &frame);
            assert_eq!(ours, simulated, "code {code:#x}, k {k:#x}, as the last");
        }
    }
}

/// Around the scratch words, the shifts, the frame's end, the limit of loads.
const BOUNDARIES: [u32; 11] = [1, LOAD_LIMIT, 0, 15, 16, 31, 33, 62, 64, LOAD_LIMIT - 1, u32::MAX];

/// The generator's programs are worth running: many are taken, many are refused, and of those taken
/// many say something else than 0.
#[test]
fn the_programs_are_of_all_kinds() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut refused, mut rejects, mut accepts) = (0, 0, 0);
    for _ in 0..2000 {
        let made = (program(), frame()).new_tree(&mut runner).expect("no filter").current();
        match both(&made.0, &made.1).0 {
            None => refused += 1,
            Some(0) => rejects += 1,
            Some(_) => accepts += 1,
        }
    }
    assert!(refused > 200 && rejects > 200 && accepts > 300, "{refused} {rejects} {accepts}");
}
