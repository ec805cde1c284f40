//! Instructions, typed and as the kernels' 8-byte words.

use crate::ancillary::Ancillary;
use crate::opcode as op;

/// One word of a program as the kernels take it: XNU's `struct bpf_insn`, Linux's
/// `struct sock_filter`.
///
/// Any value is a `RawInsn`; whether a kernel takes it is what [`verify`](fn@crate::verify) says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RawInsn {
    /// Operation code.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when a condition does not hold.
    pub jf: u8,
    /// Generic operand.
    pub k: u32,
}

/// The accumulator or the index register, both 32 bits wide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Register {
    /// The accumulator.
    A,
    /// The index register.
    X,
}

/// How many bytes a load takes from the frame, most significant first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Size {
    /// One byte.
    Byte,
    /// Two bytes.
    Half,
    /// Four bytes.
    Word,
}

/// The second operand of arithmetic and of conditions; the first is the accumulator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operand {
    /// A constant.
    K(u32),
    /// The index register.
    X,
}

/// Arithmetic on the accumulator, modulo 2³².
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AluOp {
    /// `A += operand`
    Add,
    /// `A -= operand`
    Sub,
    /// `A *= operand`
    Mul,
    /// `A /= operand`; by an X of 0 the program ends and rejects.
    Div,
    /// `A %= operand`; by an X of 0 the program ends and rejects. Linux only.
    Mod,
    /// `A |= operand`
    Or,
    /// `A &= operand`
    And,
    /// `A ^= operand`. Linux only.
    Xor,
    /// `A <<= operand`
    Lsh,
    /// `A >>= operand`, filling with zeros.
    Rsh,
}

/// What a conditional jump tests, unsigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// `A == operand`
    Equal,
    /// `A > operand`
    Greater,
    /// `A >= operand`
    GreaterOrEqual,
    /// `A & operand != 0`
    AnySet,
}

/// One instruction with its meaning.
///
/// [`Instruction::decode`] gives one for every word, [`Instruction::encode`] gives the same word
/// back. A word with an unknown code, or with something in a field that its code does not use, is
/// [`Instruction::Raw`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Instruction {
    /// `dst = value`
    LoadImmediate {
        /// Where to.
        dst: Register,
        /// The constant.
        value: u32,
    },
    /// `A = frame[offset..]`
    LoadAbsolute {
        /// Bytes taken.
        size: Size,
        /// Offset from the frame's first byte.
        offset: u32,
    },
    /// `A = frame[X + offset..]`, the sum modulo 2³².
    LoadIndirect {
        /// Bytes taken.
        size: Size,
        /// Added to X.
        offset: u32,
    },
    /// `A = ` something that Linux knows about the frame. XNU has no such loads.
    LoadAncillary {
        /// The load's size, which has no effect.
        size: Size,
        /// What is loaded.
        field: Ancillary,
    },
    /// `dst = scratch[slot]`
    LoadScratch {
        /// Where to.
        dst: Register,
        /// 0 to 15.
        slot: u32,
    },
    /// `dst = ` the frame's length in bytes.
    LoadLength {
        /// Where to.
        dst: Register,
    },
    /// `X = 4 * (frame[offset] & 0xf)`, the length of an IPv4 header in bytes.
    LoadHeaderLength {
        /// Offset of the byte.
        offset: u32,
    },
    /// `scratch[slot] = src`
    Store {
        /// Where from.
        src: Register,
        /// 0 to 15.
        slot: u32,
    },
    /// `A = A op operand`
    Alu {
        /// The operation.
        op: AluOp,
        /// Its second operand.
        operand: Operand,
    },
    /// `A = -A`
    Negate,
    /// Goes on after the next `skip` instructions.
    Jump {
        /// Instructions skipped.
        skip: u32,
    },
    /// Goes on after the next `skip_true` or `skip_false` instructions.
    JumpIf {
        /// What is tested.
        condition: Condition,
        /// What A is compared with.
        operand: Operand,
        /// Instructions skipped when it holds.
        skip_true: u8,
        /// Instructions skipped when it does not.
        skip_false: u8,
    },
    /// Ends: accept up to `bytes` bytes of the frame; 0 rejects.
    Return {
        /// The verdict.
        bytes: u32,
    },
    /// Ends with the accumulator as the verdict.
    ReturnA,
    /// `X = A`
    CopyAToX,
    /// `A = X`
    CopyXToA,
    /// Anything else, as it is.
    Raw(RawInsn),
}

impl Instruction {
    /// The instruction that `raw` is. Total: see [`Instruction::Raw`].
    #[must_use]
    pub fn decode(raw: RawInsn) -> Self {
        match Self::meaning(raw) {
            Some(instruction) if instruction.encode() == raw => instruction,
            _ => Self::Raw(raw),
        }
    }

    /// What a kernel does with `raw`: as [`Instruction::decode`], but fields that the code does not
    /// use are ignored, as kernels ignore them. `None` when no kernel knows the code.
    #[must_use]
    pub fn meaning(raw: RawInsn) -> Option<Self> {
        match raw.code & op::CLASS_MASK {
            op::LD | op::LDX => load(raw),
            op::ST if raw.code == op::ST => Some(Self::Store { src: Register::A, slot: raw.k }),
            op::STX if raw.code == op::STX => Some(Self::Store { src: Register::X, slot: raw.k }),
            op::ALU => arithmetic(raw),
            op::JMP => jump(raw),
            _ => match raw.code {
                RET_K => Some(Self::Return { bytes: raw.k }),
                RET_A => Some(Self::ReturnA),
                MISC_TAX => Some(Self::CopyAToX),
                MISC_TXA => Some(Self::CopyXToA),
                _ => None,
            },
        }
    }

    /// The word for this instruction; fields that it does not use are 0.
    #[must_use]
    pub fn encode(self) -> RawInsn {
        let plain = |code, k| RawInsn { code, jt: 0, jf: 0, k };
        match self {
            Self::LoadImmediate { dst, value } => plain(dst.load_class() | op::IMM, value),
            Self::LoadAbsolute { size, offset } => plain(op::LD | size.bits() | op::ABS, offset),
            Self::LoadIndirect { size, offset } => plain(op::LD | size.bits() | op::IND, offset),
            Self::LoadAncillary { size, field } => {
                plain(op::LD | size.bits() | op::ABS, field.offset())
            }
            Self::LoadScratch { dst, slot } => plain(dst.load_class() | op::MEM, slot),
            Self::LoadLength { dst } => plain(dst.load_class() | op::LEN, 0),
            Self::LoadHeaderLength { offset } => plain(LDX_MSH, offset),
            Self::Store { src: Register::A, slot } => plain(op::ST, slot),
            Self::Store { src: Register::X, slot } => plain(op::STX, slot),
            Self::Alu { op, operand } => plain(op::ALU | op.bits() | operand.bits(), operand.k()),
            Self::Negate => plain(op::ALU | op::NEG, 0),
            Self::Jump { skip } => plain(op::JMP | op::JA, skip),
            Self::JumpIf { condition, operand, skip_true, skip_false } => RawInsn {
                code: op::JMP | condition.bits() | operand.bits(),
                jt: skip_true,
                jf: skip_false,
                k: operand.k(),
            },
            Self::Return { bytes } => plain(RET_K, bytes),
            Self::ReturnA => plain(RET_A, 0),
            Self::CopyAToX => plain(MISC_TAX, 0),
            Self::CopyXToA => plain(MISC_TXA, 0),
            Self::Raw(raw) => raw,
        }
    }
}

impl From<Instruction> for RawInsn {
    fn from(instruction: Instruction) -> Self {
        instruction.encode()
    }
}

impl From<(u16, u8, u8, u32)> for RawInsn {
    fn from((code, jt, jf, k): (u16, u8, u8, u32)) -> Self {
        Self { code, jt, jf, k }
    }
}

impl From<RawInsn> for (u16, u8, u8, u32) {
    fn from(raw: RawInsn) -> Self {
        (raw.code, raw.jt, raw.jf, raw.k)
    }
}

impl From<RawInsn> for xnu_sys::bpf::bpf_insn {
    fn from(RawInsn { code, jt, jf, k }: RawInsn) -> Self {
        Self { code, jt, jf, k }
    }
}

impl From<xnu_sys::bpf::bpf_insn> for RawInsn {
    fn from(xnu_sys::bpf::bpf_insn { code, jt, jf, k }: xnu_sys::bpf::bpf_insn) -> Self {
        Self { code, jt, jf, k }
    }
}

impl Size {
    /// 1, 2 or 4.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Half => 2,
            Self::Word => 4,
        }
    }

    fn bits(self) -> u16 {
        match self {
            Self::Byte => op::B,
            Self::Half => op::H,
            Self::Word => op::W,
        }
    }
}

impl Register {
    fn load_class(self) -> u16 {
        match self {
            Self::A => op::LD,
            Self::X => op::LDX,
        }
    }
}

impl Operand {
    fn bits(self) -> u16 {
        match self {
            Self::K(_) => op::K,
            Self::X => op::X,
        }
    }

    fn k(self) -> u32 {
        match self {
            Self::K(k) => k,
            Self::X => 0,
        }
    }

    fn of(raw: RawInsn) -> Self {
        if raw.code & op::SRC_MASK == op::X { Self::X } else { Self::K(raw.k) }
    }
}

impl AluOp {
    fn bits(self) -> u16 {
        match self {
            Self::Add => op::ADD,
            Self::Sub => op::SUB,
            Self::Mul => op::MUL,
            Self::Div => op::DIV,
            Self::Mod => op::MOD,
            Self::Or => op::OR,
            Self::And => op::AND,
            Self::Xor => op::XOR,
            Self::Lsh => op::LSH,
            Self::Rsh => op::RSH,
        }
    }
}

impl Condition {
    fn bits(self) -> u16 {
        match self {
            Self::Equal => op::JEQ,
            Self::Greater => op::JGT,
            Self::GreaterOrEqual => op::JGE,
            Self::AnySet => op::JSET,
        }
    }
}

fn load(raw: RawInsn) -> Option<Instruction> {
    let from_frame = |size| {
        let absolute = raw.code & op::MODE_MASK == op::ABS;
        match Ancillary::at(raw.k) {
            Some(field) if absolute => Instruction::LoadAncillary { size, field },
            _ if absolute => Instruction::LoadAbsolute { size, offset: raw.k },
            _ => Instruction::LoadIndirect { size, offset: raw.k },
        }
    };
    Some(match raw.code {
        LD_IMM => Instruction::LoadImmediate { dst: Register::A, value: raw.k },
        LDX_IMM => Instruction::LoadImmediate { dst: Register::X, value: raw.k },
        LD_W_ABS | LD_W_IND => from_frame(Size::Word),
        LD_H_ABS | LD_H_IND => from_frame(Size::Half),
        LD_B_ABS | LD_B_IND => from_frame(Size::Byte),
        LD_MEM => Instruction::LoadScratch { dst: Register::A, slot: raw.k },
        LDX_MEM => Instruction::LoadScratch { dst: Register::X, slot: raw.k },
        LD_LEN => Instruction::LoadLength { dst: Register::A },
        LDX_LEN => Instruction::LoadLength { dst: Register::X },
        LDX_MSH => Instruction::LoadHeaderLength { offset: raw.k },
        _ => return None,
    })
}

fn arithmetic(raw: RawInsn) -> Option<Instruction> {
    let alu = |op| Some(Instruction::Alu { op, operand: Operand::of(raw) });
    if raw.code == op::ALU | op::NEG {
        return Some(Instruction::Negate);
    }
    match raw.code & !(op::CLASS_MASK | op::SRC_MASK) {
        op::ADD => alu(AluOp::Add),
        op::SUB => alu(AluOp::Sub),
        op::MUL => alu(AluOp::Mul),
        op::DIV => alu(AluOp::Div),
        op::MOD => alu(AluOp::Mod),
        op::OR => alu(AluOp::Or),
        op::AND => alu(AluOp::And),
        op::XOR => alu(AluOp::Xor),
        op::LSH => alu(AluOp::Lsh),
        op::RSH => alu(AluOp::Rsh),
        _ => None,
    }
}

fn jump(raw: RawInsn) -> Option<Instruction> {
    if raw.code == op::JMP | op::JA {
        return Some(Instruction::Jump { skip: raw.k });
    }
    let condition = match raw.code & !(op::CLASS_MASK | op::SRC_MASK) {
        op::JEQ => Condition::Equal,
        op::JGT => Condition::Greater,
        op::JGE => Condition::GreaterOrEqual,
        op::JSET => Condition::AnySet,
        _ => return None,
    };
    Some(Instruction::JumpIf {
        condition,
        operand: Operand::of(raw),
        skip_true: raw.jt,
        skip_false: raw.jf,
    })
}

const LD_IMM: u16 = op::LD | op::IMM;
const LDX_IMM: u16 = op::LDX | op::IMM;
const LD_W_ABS: u16 = op::LD | op::W | op::ABS;
const LD_H_ABS: u16 = op::LD | op::H | op::ABS;
const LD_B_ABS: u16 = op::LD | op::B | op::ABS;
const LD_W_IND: u16 = op::LD | op::W | op::IND;
const LD_H_IND: u16 = op::LD | op::H | op::IND;
const LD_B_IND: u16 = op::LD | op::B | op::IND;
const LD_MEM: u16 = op::LD | op::MEM;
const LDX_MEM: u16 = op::LDX | op::MEM;
const LD_LEN: u16 = op::LD | op::LEN;
const LDX_LEN: u16 = op::LDX | op::LEN;
const LDX_MSH: u16 = op::LDX | op::B | op::MSH;
const RET_K: u16 = op::RET | op::K;
const RET_A: u16 = op::RET | op::RET_A;
const MISC_TAX: u16 = op::MISC | op::TAX;
const MISC_TXA: u16 = op::MISC | op::TXA;

#[cfg(test)]
mod tests {
    use super::*;

    /// Operation codes that Linux's `chk_code_allowed` lists, written out from its source.
    const KNOWN: [u16; 49] = [
        0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x94, 0x9c, 0x54, 0x5c, 0x44, 0x4c, 0xa4,
        0xac, 0x64, 0x6c, 0x74, 0x7c, 0x84, 0x20, 0x28, 0x30, 0x80, 0x40, 0x48, 0x50, 0x00, 0x60,
        0x81, 0xb1, 0x01, 0x61, 0x02, 0x03, 0x07, 0x87, 0x06, 0x16, 0x05, 0x15, 0x1d, 0x35, 0x3d,
        0x25, 0x2d, 0x45, 0x4d,
    ];

    #[test]
    fn the_known_codes_are_linux_s_list() {
        for code in 0..=u16::MAX {
            let known = Instruction::meaning(RawInsn { code, ..RawInsn::default() }).is_some();
            assert_eq!(known, KNOWN.contains(&code), "code {code:#x}");
        }
    }

    #[test]
    fn unused_fields_make_a_raw_instruction_with_the_same_meaning() {
        let odd = RawInsn { code: MISC_TAX, jt: 0, jf: 1, k: 7 };
        assert_eq!(Instruction::decode(odd), Instruction::Raw(odd));
        assert_eq!(Instruction::meaning(odd), Some(Instruction::CopyAToX));
    }

    #[test]
    fn golden_words() {
        let word = |instruction: Instruction| <(u16, u8, u8, u32)>::from(instruction.encode());
        let load = Instruction::LoadAbsolute { size: Size::Half, offset: 12 };
        assert_eq!(word(load), (0x28, 0, 0, 12));
        let protocol = Instruction::LoadAncillary { size: Size::Word, field: Ancillary::Protocol };
        assert_eq!(word(protocol), (0x20, 0, 0, 0xffff_f000));
        let is_arp = Instruction::JumpIf {
            condition: Condition::Equal,
            operand: Operand::K(0x806),
            skip_true: 1,
            skip_false: 3,
        };
        assert_eq!(word(is_arp), (0x15, 1, 3, 0x806));
        let shift = Instruction::Alu { op: AluOp::Rsh, operand: Operand::X };
        assert_eq!(word(shift), (0x7c, 0, 0, 0));
        assert_eq!(word(Instruction::LoadHeaderLength { offset: 14 }), (0xb1, 0, 0, 14));
    }

    #[test]
    fn an_indirect_load_is_never_ancillary() {
        let raw = RawInsn { code: LD_W_IND, jt: 0, jf: 0, k: op::ANCILLARY };
        let expected = Instruction::LoadIndirect { size: Size::Word, offset: op::ANCILLARY };
        assert_eq!(Instruction::decode(raw), expected);
    }
}
