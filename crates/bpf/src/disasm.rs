//! Programs as text.

use std::collections::BTreeSet;
use std::fmt;

use crate::insn::{AluOp, Condition, Instruction, Operand, RawInsn, Register, Size};
use crate::program::Program;

/// Shows a program as assembler text, one instruction a line, with a label where a jump arrives.
///
/// Every program has a listing, and [`parse`](fn@crate::parse) makes the same words of it. Words
/// that are no instruction, and jumps that leave the program, are shown as `.raw`. The rest is what
/// the Linux kernel's `bpf_asm` reads.
///
/// ```
/// let program = bpf::stock::to_macs(&[], bpf::Dialect::Linux)?;
/// let text = "        ldb [0]
///         jset #0x1, l2, l3
/// l2:     ret #0xffffffff
/// l3:     ret #0
/// ";
/// assert_eq!(program.to_string(), text);
/// # Ok::<(), bpf::stock::StockError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a>(pub &'a [RawInsn]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrivals = self.arrivals();
        for index in 0..self.0.len() {
            let label =
                if arrivals.contains(&index) { format!("l{index}:") } else { String::new() };
            write!(f, "{label:<LABEL_COLUMNS$}")?;
            self.instruction(f, index)?;
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Listing(self.words()).fmt(f)
    }
}

impl Listing<'_> {
    /// Indices of the instructions that a listed jump names.
    fn arrivals(&self) -> BTreeSet<usize> {
        let mut arrivals = BTreeSet::new();
        for (index, &raw) in self.0.iter().enumerate() {
            match Instruction::decode(raw) {
                Instruction::Jump { skip } => arrivals.extend(self.target(index, skip)),
                Instruction::JumpIf { condition, skip_true, skip_false, .. } => {
                    let ways = (
                        self.target(index, skip_true.into()),
                        self.target(index, skip_false.into()),
                    );
                    if let (Some(if_true), Some(if_false)) = ways {
                        match Branches::of(condition, skip_true, skip_false) {
                            Branches::True => arrivals.extend([if_true]),
                            Branches::False(_) => arrivals.extend([if_false]),
                            Branches::Both => arrivals.extend([if_true, if_false]),
                        }
                    }
                }
                _ => {}
            }
        }
        arrivals
    }

    fn target(&self, index: usize, skip: u32) -> Option<usize> {
        let target = index.checked_add(1)?.checked_add(usize::try_from(skip).ok()?)?;
        (target < self.0.len()).then_some(target)
    }

    fn instruction(&self, f: &mut fmt::Formatter<'_>, index: usize) -> fmt::Result {
        let word = self.0[index];
        match Instruction::decode(word) {
            Instruction::LoadImmediate { dst, value } => write!(f, "{} #{value:#x}", load(dst)),
            Instruction::LoadAbsolute { size, offset } => {
                write!(f, "{} [{}]", load_bytes(size), Offset(offset))
            }
            Instruction::LoadIndirect { size, offset } => {
                write!(f, "{} [x + {}]", load_bytes(size), Offset(offset))
            }
            Instruction::LoadAncillary { size, field } => match field.name() {
                Some(name) => write!(f, "{} #{name}", load_bytes(size)),
                None => write!(f, "{} [{}]", load_bytes(size), Offset(field.offset())),
            },
            Instruction::LoadScratch { dst, slot } => write!(f, "{} M[{slot}]", load(dst)),
            Instruction::LoadLength { dst } => write!(f, "{} #len", load(dst)),
            Instruction::LoadHeaderLength { offset } => {
                write!(f, "ldxb 4*([{}]&0xf)", Offset(offset))
            }
            Instruction::Store { src: Register::A, slot } => write!(f, "st M[{slot}]"),
            Instruction::Store { src: Register::X, slot } => write!(f, "stx M[{slot}]"),
            Instruction::Alu { op, operand } => write!(f, "{} {}", alu(op), Shown(operand)),
            Instruction::Negate => f.write_str("neg"),
            Instruction::Jump { skip } => match self.target(index, skip) {
                Some(target) => write!(f, "ja l{target}"),
                None => raw(f, word),
            },
            Instruction::JumpIf { condition, operand, skip_true, skip_false } => {
                let if_true = self.target(index, skip_true.into());
                let if_false = self.target(index, skip_false.into());
                let (Some(if_true), Some(if_false)) = (if_true, if_false) else {
                    return raw(f, word);
                };
                let (name, operand) = (jump(condition), Shown(operand));
                match Branches::of(condition, skip_true, skip_false) {
                    Branches::True => write!(f, "{name} {operand}, l{if_true}"),
                    Branches::False(opposite) => write!(f, "{opposite} {operand}, l{if_false}"),
                    Branches::Both => write!(f, "{name} {operand}, l{if_true}, l{if_false}"),
                }
            }
            Instruction::Return { bytes: 0 } => f.write_str("ret #0"),
            Instruction::Return { bytes } => write!(f, "ret #{bytes:#x}"),
            Instruction::ReturnA => f.write_str("ret a"),
            Instruction::CopyAToX => f.write_str("tax"),
            Instruction::CopyXToA => f.write_str("txa"),
            Instruction::Raw(word) => raw(f, word),
        }
    }
}

/// Which branches of a conditional jump need to be named; the others go to the next instruction.
enum Branches {
    True,
    /// With the name of the opposite condition.
    False(&'static str),
    Both,
}

impl Branches {
    fn of(condition: Condition, skip_true: u8, skip_false: u8) -> Self {
        let opposite = match condition {
            Condition::Equal => Some("jneq"),
            Condition::Greater => Some("jle"),
            Condition::GreaterOrEqual => Some("jlt"),
            Condition::AnySet => None,
        };
        match (skip_true, skip_false, opposite) {
            (0, 1.., Some(opposite)) => Self::False(opposite),
            (1.., 0, _) => Self::True,
            _ => Self::Both,
        }
    }
}

struct Shown(Operand);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Operand::K(k) => write!(f, "#{k:#x}"),
            Operand::X => f.write_str("x"),
        }
    }
}

/// An offset: decimal as one counts bytes, hexadecimal where it stands for something else.
struct Offset(u32);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1 << 31 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

fn raw(f: &mut fmt::Formatter<'_>, RawInsn { code, jt, jf, k }: RawInsn) -> fmt::Result {
    write!(f, ".raw {code:#x}, {jt}, {jf}, {k:#x}")
}

fn load(dst: Register) -> &'static str {
    match dst {
        Register::A => "ld",
        Register::X => "ldx",
    }
}

fn load_bytes(size: Size) -> &'static str {
    match size {
        Size::Byte => "ldb",
        Size::Half => "ldh",
        Size::Word => "ld",
    }
}

fn alu(op: AluOp) -> &'static str {
    match op {
        AluOp::Add => "add",
        AluOp::Sub => "sub",
        AluOp::Mul => "mul",
        AluOp::Div => "div",
        AluOp::Mod => "mod",
        AluOp::Or => "or",
        AluOp::And => "and",
        AluOp::Xor => "xor",
        AluOp::Lsh => "lsh",
        AluOp::Rsh => "rsh",
    }
}

fn jump(condition: Condition) -> &'static str {
    match condition {
        Condition::Equal => "jeq",
        Condition::Greater => "jgt",
        Condition::GreaterOrEqual => "jge",
        Condition::AnySet => "jset",
    }
}

const LABEL_COLUMNS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_listing() {
        let words = [
            (0x28, 0, 0, 12),
            (0x15, 0, 2, 0x806),
            (0x45, 0, 1, 1),
            (0x16, 0, 0, 0),
            (0x20, 0, 0, 0xffff_f028),
            (0x25, 3, 9, 7),
            (0x05, 0, 0, u32::MAX),
            (0x07, 0, 0, 1),
            (0x06, 0, 0, 0),
        ];
        let words: Vec<RawInsn> = words.into_iter().map(RawInsn::from).collect();
        let text = "        ldh [12]
        jneq #0x806, l4
        jset #0x1, l3, l4
l3:     ret a
l4:     ld [0xfffff028]
        .raw 0x25, 3, 9, 0x7
        .raw 0x5, 0, 0, 0xffffffff
        .raw 0x7, 0, 0, 0x1
        ret #0
";
        assert_eq!(Listing(&words).to_string(), text);
        assert_eq!(crate::parse(text).map(|program| program.words().to_vec()), Ok(words));
    }
}
