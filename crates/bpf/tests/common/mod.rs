//! Random programs and frames, from a seed.

use bpf::RawInsn;

/// Numbers from a seed (SplitMix64), so that a failure can be run again.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("below a u32")
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.below(u32::MAX)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).expect("below 256")
    }

    /// With a chance of `percent` in a hundred.
    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(u32::try_from(from.len()).expect("short")) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

/// The seed of case `number` of a test: the test's own, or what `BPF_SEED` says.
pub(crate) fn seed(first: u64, number: u64) -> u64 {
    match std::env::var("BPF_SEED") {
        Ok(seed) => seed.parse().expect("BPF_SEED is a number"),
        Err(_) => first.wrapping_add(number),
    }
}

/// How many cases to run: `default`, or what `BPF_CASES` says; one when `BPF_SEED` names it.
pub(crate) fn cases(default: u64) -> u64 {
    if std::env::var_os("BPF_SEED").is_some() {
        return 1;
    }
    std::env::var("BPF_CASES").map_or(default, |cases| cases.parse().expect("a number"))
}

/// A program that makes sense on Linux, often valid: jumps mostly stay inside, scratch words are
/// mostly stored before they are loaded, and the end shows some of the accumulator.
pub(crate) fn sensible_program(random: &mut Random) -> Vec<RawInsn> {
    let len = match random.below(20) {
        0 => 1 + random.below(400),
        1..=5 => 1 + random.below(60),
        _ => 1 + random.below(16),
    };
    let mut words = Vec::new();
    if random.chance(70) {
        for slot in 0..16 {
            if random.chance(60) {
                words.push(RawInsn { code: random.pick(&[0x02, 0x03]), jt: 0, jf: 0, k: slot });
            }
        }
    }
    for left in (0..len).rev() {
        words.push(sensible_word(random, left + SHOW_LEN));
    }
    let shift = random.below(32);
    words.push(RawInsn { code: 0x74, jt: 0, jf: 0, k: shift });
    words.push(RawInsn { code: 0x54, jt: 0, jf: 0, k: random.pick(&[0x7f, 0x7ff, 0xffff]) });
    words.push(RawInsn { code: random.pick(&[0x16, 0x16, 0x16, 0x06]), jt: 0, jf: 0, k: 33 });
    words
}

/// `words` with a few fields overwritten.
pub(crate) fn damaged(random: &mut Random, mut words: Vec<RawInsn>) -> Vec<RawInsn> {
    for _ in 0..=random.below(3) {
        let index = random.below(u32::try_from(words.len()).expect("short")) as usize;
        let word = &mut words[index];
        match random.below(6) {
            0 => word.code = u16::try_from(random.below(0x10000)).expect("16 bits"),
            1 => word.code = u16::try_from(random.below(0x100)).expect("8 bits"),
            2 => word.jt = random.byte(),
            3 => word.jf = random.byte(),
            4 => word.k = interesting(random),
            _ => {
                words.truncate(index + 1);
            }
        }
    }
    words
}

/// A number near a limit of some rule, or any.
pub(crate) fn interesting(random: &mut Random) -> u32 {
    let near = random.pick(&[
        0,
        1,
        15,
        16,
        31,
        32,
        255,
        4096,
        0x80000,
        0x7fff_ffff,
        0x8000_0000,
        0xffe0_0000,
        0xfff0_0000,
        0xffff_f000,
        0xffff_f03c,
        0xffff_ffff,
    ]);
    match random.below(3) {
        0 => random.word(),
        1 => near,
        _ => near.wrapping_add(random.below(9)).wrapping_sub(4),
    }
}

/// A word that Linux knows; jumps stay within the `behind` instructions that follow.
fn sensible_word(random: &mut Random, behind: u32) -> RawInsn {
    let skip = |random: &mut Random| {
        let far = random.below(behind.min(256));
        u8::try_from(if random.chance(70) { far.min(3) } else { far }).expect("below 256")
    };
    let junk = random.chance(3);
    let mut word = RawInsn {
        jt: if junk { random.byte() } else { 0 },
        jf: if junk { random.byte() } else { 0 },
        ..RawInsn::default()
    };
    match random.below(100) {
        0..=24 => {
            word.code = random.pick(&[0x20, 0x28, 0x30, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1]);
            word.k = offset(random);
        }
        25..=29 => {
            word.code = random.pick(&[0x20, 0x28, 0x30]);
            word.k = 0xffff_f000 + 4 * random.below(16);
        }
        30..=37 => {
            word.code = random.pick(&[0x00, 0x01]);
            word.k = if random.chance(50) { random.below(24) } else { interesting(random) };
        }
        38..=40 => word.code = random.pick(&[0x80, 0x81]),
        41..=52 => {
            word.code = random.pick(&[0x02, 0x03, 0x02, 0x03, 0x60, 0x61]);
            word.k = random.below(16);
        }
        53..=74 => {
            word.code = random.pick(&[
                0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xa4, 0x84, 0x0c, 0x1c, 0x2c,
                0x3c, 0x4c, 0x5c, 0x6c, 0x7c, 0x9c, 0xac,
            ]);
            let shift = matches!(word.code, 0x64 | 0x74);
            word.k = if shift { random.below(32) } else { interesting(random).max(1) };
        }
        75..=80 => word.code = random.pick(&[0x07, 0x87]),
        81..=83 => {
            word.code = 0x05;
            word.k = random.below(behind).min(random.pick(&[1, 2, 400]));
        }
        84..=97 => {
            word.code = random.pick(&[0x15, 0x25, 0x35, 0x45, 0x1d, 0x2d, 0x3d, 0x4d]);
            word.k = interesting(random);
            word.jt = skip(random);
            word.jf = skip(random);
        }
        _ => {
            word.code = random.pick(&[0x06, 0x16]);
            word.k = interesting(random);
        }
    }
    word
}

/// Mostly inside of a frame.
fn offset(random: &mut Random) -> u32 {
    match random.below(20) {
        0..=16 => random.below(20),
        17 => random.below(2100),
        18 => 0xfff0_0000 + random.below(40),
        _ => interesting(random),
    }
}

/// Instructions that [`sensible_program`] puts at the end.
const SHOW_LEN: u32 = 3;
