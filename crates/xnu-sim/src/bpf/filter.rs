//! The filter machine of XNU: `bpf_validate` and `bpf_filter` (XNU `bsd/net/bpf_filter.c`, the same
//! code in all modelled versions).
//!
//! A program is raw bytes, 8 for each instruction as `struct bpf_insn` has them: code (16 bits),
//! how far to jump when true and when false (8 each), operand (32).
//!
//! ```
//! // ret #-1
//! let program = [0x06, 0x00, 0, 0, 0xff, 0xff, 0xff, 0xff];
//! assert!(xnu_sim::filter::validate(&program, 0x80000));
//! assert_eq!(xnu_sim::filter::run(&program, &[0; 60]), u32::MAX);
//! ```

use crate::copyio::Raw;

/// Bytes of an instruction.
pub(crate) const INSTRUCTION_LEN: usize = 8;
/// Most instructions of a program (`BPF_MAXINSNS`).
pub(crate) const INSTRUCTIONS_MAX: usize = 512;
/// Words of scratch memory (`BPF_MEMWORDS`).
const MEMORY_WORDS: usize = 16;

/// Whether `BIOCSETF` takes `program`: 1 to 512 instructions, the last of class `ret`, jumps within
/// it, no division by a constant 0, scratch words below 16, offsets of packet loads below
/// `load_limit` (`debug.bpf_maxbufsize`).
///
/// Of a load only the mode is looked at, of `ret` and of the register transfers only the class, and
/// of no code more than its low 8 bits: what passes so and has no meaning rejects the frame when it
/// is run.
#[must_use]
pub fn validate(program: &[u8], load_limit: u32) -> bool {
    program.len().is_multiple_of(INSTRUCTION_LEN) && Program::decode(program).is_valid(load_limit)
}

/// What `program` says of `frame`: how many bytes of it are taken, 0 for none. Going on past the
/// last instruction, which no valid program does, is 0 too.
#[must_use]
pub fn run(program: &[u8], frame: &[u8]) -> u32 {
    Program::decode(program).run(frame)
}

/// A program, taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    instructions: Vec<Instruction>,
}

#[derive(Clone, Copy, Debug)]
struct Instruction {
    code: u16,
    when_true: u8,
    when_false: u8,
    k: u32,
}

impl Program {
    pub(crate) fn decode(bytes: &[u8]) -> Self {
        let instruction = |raw: &[u8]| Instruction {
            code: raw.u16_at(0),
            when_true: raw.u8_at(2),
            when_false: raw.u8_at(3),
            k: raw.u32_at(4),
        };
        Self { instructions: bytes.chunks_exact(INSTRUCTION_LEN).map(instruction).collect() }
    }

    pub(crate) fn is_valid(&self, load_limit: u32) -> bool {
        let count = self.instructions.len();
        let Some(last) = self.instructions.last() else { return false };
        let is_taken =
            |(at, instruction): (usize, &Instruction)| instruction.is_taken(at, count, load_limit);
        count <= INSTRUCTIONS_MAX
            && self.instructions.iter().enumerate().all(is_taken)
            && last.code & 7 == 6
    }

    pub(crate) fn run(&self, frame: &[u8]) -> u32 {
        let mut machine = Machine { frame, a: 0, x: 0, memory: [0; MEMORY_WORDS] };
        let mut at = 0_u64;
        loop {
            let place = usize::try_from(at).ok();
            let Some(instruction) = place.and_then(|place| self.instructions.get(place)) else {
                return 0;
            };
            match machine.step(*instruction) {
                Step::Over(skip) => at += 1 + u64::from(skip),
                Step::Taken(bytes) => return bytes,
            }
        }
    }
}

impl Instruction {
    /// The check that `bpf_validate` makes of the instruction at place `at` of `count`.
    fn is_taken(self, at: usize, count: usize, load_limit: u32) -> bool {
        let stays_within = |skip: u32| at as u64 + 1 + u64::from(skip) < count as u64;
        let is_word = (self.k as usize) < MEMORY_WORDS;
        match self.code & 0x07 {
            // ld, ldx: by mode, whatever the size.
            0 | 1 => match self.code & 0xe0 {
                // A constant, the frame's length.
                0x00 | 0x80 => true,
                // From the frame: absolute, by X, the IP header's length.
                0x20 | 0x40 | 0xa0 => self.k < load_limit,
                0x60 => is_word,
                _ => false,
            },
            // st, stx.
            2 | 3 => is_word,
            // alu: add, sub, mul, div, or, and, lsh, rsh, neg; neither mod nor xor.
            4 => match self.code & 0xf0 {
                0x30 => self.code & 0x08 != 0 || self.k != 0,
                operation => operation <= 0x80,
            },
            // jmp: ja by 32 bits, jeq, jgt, jge, jset.
            5 => match self.code & 0xf0 {
                0x00 => stays_within(self.k),
                0x10..=0x40 => {
                    stays_within(self.when_true.into()) && stays_within(self.when_false.into())
                }
                _ => false,
            },
            // ret, and the transfers between A and X.
            _ => true,
        }
    }
}

/// Where a program goes on.
enum Step {
    /// Over so many instructions.
    Over(u32),
    /// Nowhere.
    Taken(u32),
}

struct Machine<'a> {
    frame: &'a [u8],
    a: u32,
    x: u32,
    memory: [u32; MEMORY_WORDS],
}

impl Machine<'_> {
    /// One instruction; what has no meaning, and a load from outside of the frame, reject it.
    fn step(&mut self, instruction: Instruction) -> Step {
        let Instruction { code, when_true, when_false, k } = instruction;
        let next = match code {
            0x06 => return Step::Taken(k),
            0x16 => return Step::Taken(self.a),
            0x05 => return Step::Over(k),
            0x15 | 0x1d | 0x25 | 0x2d | 0x35 | 0x3d | 0x45 | 0x4d => {
                let holds = self.holds(code, k);
                return Step::Over(u32::from(if holds { when_true } else { when_false }));
            }
            0x04..=0x7c if code & 0x07 == 4 => self.arithmetic(code, k),
            0x02 => self.store(k, self.a),
            0x03 => self.store(k, self.x),
            0x07 => self.load_x(Some(self.a)),
            0x01 | 0x61 | 0x81 | 0xb1 => self.load_x(self.value(code, k)),
            0x84 => self.load_a(Some(self.a.wrapping_neg())),
            0x87 => self.load_a(Some(self.x)),
            _ => self.load_a(self.value(code, k)),
        };
        match next {
            Some(()) => Step::Over(0),
            None => Step::Taken(0),
        }
    }

    /// What a load loads.
    fn value(&self, code: u16, k: u32) -> Option<u32> {
        match code {
            // A constant; the length of the frame.
            0x00 | 0x01 => Some(k),
            0x80 | 0x81 => u32::try_from(self.frame.len()).ok(),
            // A scratch word.
            0x60 | 0x61 => self.memory.get(k as usize).copied(),
            // A word, half a word, a byte of the frame, at k; at X and k, modulo 2^32.
            0x20 => self.frame_bytes::<4>(k).map(u32::from_be_bytes),
            0x28 => self.frame_bytes::<2>(k).map(|half| u16::from_be_bytes(half).into()),
            0x30 => self.frame_bytes::<1>(k).map(|[byte]| byte.into()),
            0x40 => self.value(0x20, self.x.wrapping_add(k)),
            0x48 => self.value(0x28, self.x.wrapping_add(k)),
            0x50 => self.value(0x30, self.x.wrapping_add(k)),
            // The length of the IP header at k.
            0xb1 => self.value(0x30, k).map(|byte| (byte & 0x0f) * 4),
            _ => None,
        }
    }

    fn frame_bytes<const N: usize>(&self, k: u32) -> Option<[u8; N]> {
        self.frame.get(usize::try_from(k).ok()?..)?.first_chunk().copied()
    }

    fn load_a(&mut self, value: Option<u32>) -> Option<()> {
        self.a = value?;
        Some(())
    }

    fn load_x(&mut self, value: Option<u32>) -> Option<()> {
        self.x = value?;
        Some(())
    }

    fn store(&mut self, k: u32, value: u32) -> Option<()> {
        *self.memory.get_mut(k as usize)? = value;
        Some(())
    }

    /// The operand: X where bit 3 is set, else k.
    const fn operand(&self, code: u16, k: u32) -> u32 {
        if code & 0x08 == 0 { k } else { self.x }
    }

    fn holds(&self, code: u16, k: u32) -> bool {
        let operand = self.operand(code, k);
        match code & 0xf0 {
            0x10 => self.a == operand,
            0x20 => self.a > operand,
            0x30 => self.a >= operand,
            _ => self.a & operand != 0,
        }
    }

    /// Shifts take the low 5 bits of the operand, as the processors of all Macs do.
    fn arithmetic(&mut self, code: u16, k: u32) -> Option<()> {
        let operand = self.operand(code, k);
        self.a = match code & 0xf0 {
            0x00 => self.a.wrapping_add(operand),
            0x10 => self.a.wrapping_sub(operand),
            0x20 => self.a.wrapping_mul(operand),
            0x30 => self.a.checked_div(operand)?,
            0x40 => self.a | operand,
            0x50 => self.a & operand,
            0x60 => self.a.wrapping_shl(operand),
            _ => self.a.wrapping_shr(operand),
        };
        Some(())
    }
}

#[cfg(test)]
mod tests;
