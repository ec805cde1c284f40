//! What each kernel takes and what it refuses, with the reason.

use crate::ancillary::Ancillary;
use crate::insn::{AluOp, Instruction, Operand, RawInsn};
use crate::opcode as op;

mod translation;

/// Whose rules: the two kernels take different programs and run some of them differently.
///
/// | | Linux | XNU |
/// |---|---|---|
/// | instructions | 4096 | 512 |
/// | codes | a fixed list | classes and modes; unknown codes may pass and then reject the frame |
/// | `mod`, `xor`, ancillary loads | yes | no |
/// | last instruction | `ret #k`, `ret a` | any of class `ret` |
/// | shift by a constant over 31 | refused | taken; shifts by the low 5 bits |
/// | load from a scratch word never stored | refused | 0 |
/// | offset of a packet load | below `SKF_AD_OFF`, or ancillary | below `debug.bpf_maxbufsize` |
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Dialect {
    /// `bpf_check_classic` and `bpf_convert_filter` (Linux `net/core/filter.c`).
    Linux,
    /// `bpf_validate` and `bpf_filter` (XNU `bsd/net/bpf_filter.c`).
    Xnu,
}

/// Why a kernel refuses a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No instruction at all.
    #[error("the program is empty")]
    Empty,
    /// More instructions than the kernel takes.
    #[error("{len} instructions are more than {max}")]
    TooLong {
        /// How many there are.
        len: usize,
        /// How many there may be.
        max: usize,
    },
    /// One instruction is refused.
    #[error("instruction {index}: {reason}")]
    Instruction {
        /// Its index, from 0.
        index: usize,
        /// Why.
        reason: Reason,
    },
}

/// Why one instruction is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The kernel does not know it.
    #[error("unknown code {code:#x}")]
    UnknownCode {
        /// The code.
        code: u16,
    },
    /// `div #0`, `mod #0`.
    #[error("division by the constant 0")]
    DivisionByZero,
    /// Linux: a shift by a constant that leaves nothing.
    #[error("shift by {k}, more than 31")]
    ShiftTooFar {
        /// The constant.
        k: u32,
    },
    /// Scratch memory has 16 words.
    #[error("scratch word {k} of 16")]
    ScratchRange {
        /// The word asked for.
        k: u32,
    },
    /// Linux: on some way here the scratch word was never stored.
    #[error("scratch word {slot} is loaded, but not stored on every way here")]
    ScratchUnset {
        /// The word.
        slot: u32,
    },
    /// A jump past the last instruction.
    #[error("jump to {target}, past the end")]
    JumpPastEnd {
        /// Index of the instruction that it would go to.
        target: u64,
    },
    /// Linux: a jump that its translation of the program is too long for.
    #[error("jump too far in the kernel's translation of the program")]
    TranslatedJump,
    /// A packet load from further on than the kernel allows.
    #[error("load from offset {k:#x}, the limit is {limit:#x}")]
    LoadOffset {
        /// The offset.
        k: u32,
        /// The first offset that is refused.
        limit: u32,
    },
    /// Linux: an offset in the ancillary area with nothing there.
    #[error("offset {k:#x} is in the ancillary area, but names nothing")]
    UnknownAncillary {
        /// The offset.
        k: u32,
    },
    /// The last instruction must end the program.
    #[error("the last instruction is no return")]
    LastNotReturn,
}

impl Dialect {
    /// Most instructions of one program (`BPF_MAXINSNS`).
    #[must_use]
    pub fn max_instructions(self) -> usize {
        match self {
            Self::Linux => LINUX_MAX_INSTRUCTIONS,
            Self::Xnu => xnu_sys::bpf::BPF_MAXINSNS,
        }
    }
}

/// Whether a kernel of `dialect` takes the program `words`: what Linux's `SO_ATTACH_FILTER` or
/// XNU's `BIOCSETF` answers with EINVAL is an error here, what they take is not.
///
/// Linux may refuse a valid program for other reasons: ENOMEM when its translation is larger than
/// `net.core.optmem_max` (128 KiB, in older kernels 20 KiB) with 8 bytes for each instruction of
/// the translation, which has 1 to 21 for one of these. While a filter is replaced both count.
/// For XNU `debug.bpf_maxbufsize` is taken to be what it is unless changed, 512 KiB.
///
/// # Errors
/// The first reason that the kernel would meet, with the instruction's index.
pub fn verify(dialect: Dialect, words: &[RawInsn]) -> Result<(), VerifyError> {
    let max = dialect.max_instructions();
    match words.len() {
        0 => return Err(VerifyError::Empty),
        len if len > max => return Err(VerifyError::TooLong { len, max }),
        _ => {}
    }
    let check = match dialect {
        Dialect::Linux => linux,
        Dialect::Xnu => xnu,
    };
    for index in 0..words.len() {
        check(words, index).map_err(|reason| VerifyError::Instruction { index, reason })?;
    }
    let last = words.len() - 1;
    let ends = match dialect {
        Dialect::Linux => matches!(words[last].code, LINUX_RET_K | LINUX_RET_A),
        Dialect::Xnu => words[last].code & op::CLASS_MASK == op::RET,
    };
    if !ends {
        let reason = Reason::LastNotReturn;
        return Err(VerifyError::Instruction { index: last, reason });
    }
    match dialect {
        Dialect::Linux => {
            scratch_is_set(words)?;
            match translation::first_jump_too_far(words) {
                Some(index) => {
                    Err(VerifyError::Instruction { index, reason: Reason::TranslatedJump })
                }
                None => Ok(()),
            }
        }
        Dialect::Xnu => Ok(()),
    }
}

/// `bpf_check_classic`, one instruction.
fn linux(words: &[RawInsn], index: usize) -> Result<(), Reason> {
    let raw = words[index];
    let Some(instruction) = Instruction::meaning(raw) else {
        return Err(Reason::UnknownCode { code: raw.code });
    };
    match instruction {
        Instruction::Alu { op, operand: Operand::K(k) } => match op {
            AluOp::Div | AluOp::Mod if k == 0 => Err(Reason::DivisionByZero),
            AluOp::Lsh | AluOp::Rsh if k >= 32 => Err(Reason::ShiftTooFar { k }),
            _ => Ok(()),
        },
        Instruction::LoadScratch { slot, .. } | Instruction::Store { slot, .. } => scratch(slot),
        Instruction::Jump { skip } => jump(words, index, skip),
        Instruction::JumpIf { skip_true, skip_false, .. } => {
            jump(words, index, skip_true.into())?;
            jump(words, index, skip_false.into())
        }
        Instruction::LoadAbsolute { offset: k, .. }
            if k >= op::ANCILLARY && Ancillary::at(k).is_none() =>
        {
            Err(Reason::UnknownAncillary { k })
        }
        _ => Ok(()),
    }
}

/// `check_load_and_stores`: no way through the program loads a scratch word before storing it. Like
/// the kernel it goes through the words once, in order, and takes what follows a jump to be reached
/// by jumps alone, and what follows a return to be reached from it.
fn scratch_is_set(words: &[RawInsn]) -> Result<(), VerifyError> {
    let mut set_by_jumps = vec![u16::MAX; words.len()];
    let mut set: u16 = 0;
    for (index, &raw) in words.iter().enumerate() {
        set &= set_by_jumps[index];
        match Instruction::meaning(raw) {
            Some(Instruction::Store { slot, .. }) => set |= 1 << slot,
            Some(Instruction::LoadScratch { slot, .. }) if set & (1 << slot) == 0 => {
                let reason = Reason::ScratchUnset { slot };
                return Err(VerifyError::Instruction { index, reason });
            }
            Some(Instruction::Jump { skip }) => {
                set_by_jumps[index + 1 + skip as usize] &= set;
                set = u16::MAX;
            }
            Some(Instruction::JumpIf { skip_true, skip_false, .. }) => {
                set_by_jumps[index + 1 + usize::from(skip_true)] &= set;
                set_by_jumps[index + 1 + usize::from(skip_false)] &= set;
                set = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `bpf_validate`, one instruction. It looks at the class, then at mode or operation; never at
/// sizes, and at bits above the eighth only when it runs.
fn xnu(words: &[RawInsn], index: usize) -> Result<(), Reason> {
    let raw = words[index];
    let unknown = Err(Reason::UnknownCode { code: raw.code });
    let limit = xnu_sys::bpf::BPF_MAXBUFSIZE;
    match raw.code & op::CLASS_MASK {
        op::LD | op::LDX => match raw.code & op::MODE_MASK {
            op::IMM | op::LEN => Ok(()),
            op::ABS | op::IND | op::MSH if raw.k < limit => Ok(()),
            op::ABS | op::IND | op::MSH => Err(Reason::LoadOffset { k: raw.k, limit }),
            op::MEM => scratch(raw.k),
            _ => unknown,
        },
        op::ST | op::STX => scratch(raw.k),
        op::ALU => match raw.code & op::OP_MASK {
            op::DIV if raw.code & op::SRC_MASK == op::K && raw.k == 0 => {
                Err(Reason::DivisionByZero)
            }
            op::ADD
            | op::SUB
            | op::MUL
            | op::DIV
            | op::OR
            | op::AND
            | op::LSH
            | op::RSH
            | op::NEG => Ok(()),
            _ => unknown,
        },
        op::JMP => match raw.code & op::OP_MASK {
            op::JA => jump(words, index, raw.k),
            op::JEQ | op::JGT | op::JGE | op::JSET => {
                jump(words, index, raw.jt.into())?;
                jump(words, index, raw.jf.into())
            }
            _ => unknown,
        },
        _ => Ok(()),
    }
}

fn scratch(k: u32) -> Result<(), Reason> {
    if k < xnu_sys::bpf::BPF_MEMWORDS { Ok(()) } else { Err(Reason::ScratchRange { k }) }
}

fn jump(words: &[RawInsn], index: usize, skip: u32) -> Result<(), Reason> {
    let target = index as u64 + 1 + u64::from(skip);
    if target < words.len() as u64 { Ok(()) } else { Err(Reason::JumpPastEnd { target }) }
}

/// Linux's `BPF_MAXINSNS` (`include/uapi/linux/bpf_common.h`).
const LINUX_MAX_INSTRUCTIONS: usize = 4096;
const LINUX_RET_K: u16 = op::RET | op::K;
const LINUX_RET_A: u16 = op::RET | op::RET_A;

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(dialect: Dialect, words: &[(u16, u8, u8, u32)]) -> Result<(), VerifyError> {
        let words: Vec<RawInsn> = words.iter().map(|&word| word.into()).collect();
        verify(dialect, &words)
    }

    fn reason(dialect: Dialect, words: &[(u16, u8, u8, u32)]) -> (usize, Reason) {
        match judge(dialect, words) {
            Err(VerifyError::Instruction { index, reason }) => (index, reason),
            other => panic!("{other:?}"),
        }
    }

    const RET: (u16, u8, u8, u32) = (0x06, 0, 0, 0);
    const BOTH: [Dialect; 2] = [Dialect::Linux, Dialect::Xnu];

    #[test]
    fn lengths() {
        for (dialect, max) in [(Dialect::Linux, 4096), (Dialect::Xnu, 512)] {
            assert_eq!(judge(dialect, &[]), Err(VerifyError::Empty));
            assert_eq!(judge(dialect, &vec![RET; max]), Ok(()));
            let len = max + 1;
            assert_eq!(judge(dialect, &vec![RET; len]), Err(VerifyError::TooLong { len, max }));
        }
    }

    #[test]
    fn both_refuse() {
        for dialect in BOTH {
            assert_eq!(reason(dialect, &[(0x34, 0, 0, 0), RET]), (0, Reason::DivisionByZero));
            let past = Reason::JumpPastEnd { target: 2 };
            assert_eq!(reason(dialect, &[(0x15, 1, 0, 0), RET]), (0, past));
            assert_eq!(reason(dialect, &[(0x15, 0, 1, 0), RET]), (0, past));
            assert_eq!(reason(dialect, &[(0x05, 0, 0, 1), RET]), (0, past));
            let wrapped = Reason::JumpPastEnd { target: 0x1_0000_0000 };
            assert_eq!(reason(dialect, &[(0x05, 0, 0, u32::MAX), RET]), (0, wrapped));
            assert_eq!(
                reason(dialect, &[(0x02, 0, 0, 16), RET]),
                (0, Reason::ScratchRange { k: 16 })
            );
            assert_eq!(reason(dialect, &[RET, (0x00, 0, 0, 0)]), (1, Reason::LastNotReturn));
            let unknown = Reason::UnknownCode { code: 0xc0 };
            assert_eq!(reason(dialect, &[(0xc0, 0, 0, 0), RET]), (0, unknown));
        }
    }

    #[test]
    fn linux_alone_refuses() {
        let cases = [
            ([(0x64, 0, 0, 32), RET], Reason::ShiftTooFar { k: 32 }),
            ([(0x60, 0, 0, 3), RET], Reason::ScratchUnset { slot: 3 }),
            ([(0x05, 0, 0, 0), (0x0e, 0, 0, 0)], Reason::UnknownCode { code: 0x0e }),
            ([(0x120, 0, 0, 0), RET], Reason::UnknownCode { code: 0x120 }),
            ([(0x8c, 0, 0, 0), RET], Reason::UnknownCode { code: 0x8c }),
            ([(0x47, 0, 0, 0), RET], Reason::UnknownCode { code: 0x47 }),
        ];
        for (words, why) in cases {
            assert_eq!(reason(Dialect::Linux, &words).1, why);
            assert_eq!(judge(Dialect::Xnu, &words), Ok(()), "{words:x?}");
        }
    }

    #[test]
    fn xnu_alone_refuses() {
        let limit = 0x80000;
        let cases = [
            ([(0x94, 0, 0, 1), RET], Reason::UnknownCode { code: 0x94 }),
            ([(0xac, 0, 0, 0), RET], Reason::UnknownCode { code: 0xac }),
            ([(0x20, 0, 0, limit), RET], Reason::LoadOffset { k: limit, limit }),
            ([(0xb1, 0, 0, limit), RET], Reason::LoadOffset { k: limit, limit }),
            ([(0x20, 0, 0, op::ANCILLARY), RET], Reason::LoadOffset { k: op::ANCILLARY, limit }),
        ];
        for (words, why) in cases {
            assert_eq!(reason(Dialect::Xnu, &words), (0, why));
            assert_eq!(judge(Dialect::Linux, &words), Ok(()), "{words:x?}");
        }
        assert_eq!(judge(Dialect::Xnu, &[(0x20, 0, 0, limit - 1), RET]), Ok(()));
    }

    #[test]
    fn the_ancillary_area_has_gaps() {
        let load = |k| judge(Dialect::Linux, &[(0x30, 0, 0, k), RET]);
        assert_eq!(load(op::ANCILLARY - 1), Ok(()));
        assert_eq!(load(op::ANCILLARY), Ok(()));
        assert_eq!(load(op::ANCILLARY + 60), Ok(()));
        for k in [op::ANCILLARY + 1, op::ANCILLARY + 64, u32::MAX] {
            let reason = Reason::UnknownAncillary { k };
            assert_eq!(load(k), Err(VerifyError::Instruction { index: 0, reason }));
        }
    }

    #[test]
    fn scratch_must_be_set_on_every_way() {
        // jeq #0, store, skip; store: st M[1]; skip: ld M[1]
        let one_way = [(0x15, 0, 1, 0), (0x02, 0, 0, 1), (0x60, 0, 0, 1), RET];
        assert_eq!(reason(Dialect::Linux, &one_way), (2, Reason::ScratchUnset { slot: 1 }));
        let both_ways = [(0x02, 0, 0, 1), (0x15, 0, 1, 0), (0x02, 0, 0, 1), (0x60, 0, 0, 1), RET];
        assert_eq!(judge(Dialect::Linux, &both_ways), Ok(()));
    }
}
