//! Programs from text: the syntax of the Linux kernel's `bpf_asm`, and the listings of
//! `tcpdump -d`.

use std::collections::HashMap;

use crate::ancillary::Ancillary;
use crate::asm::{AssembleError, Assembler, Label, Target};
use crate::insn::{AluOp, Condition, Instruction, Operand, RawInsn, Register, Size};
use crate::program::Program;

mod line;
use line::{Argument, Line};

/// Why text is no program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub reason: ParseReason,
}

/// Why a line is no instruction.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseReason {
    /// A character that the syntax has no use for.
    #[error("unexpected {0:?}")]
    Character(char),
    /// A number that is none, or does not fit 32 bits (signed or unsigned).
    #[error("{0:?} is no number of 32 bits")]
    Number(String),
    /// A number too large for its field.
    #[error("{value} is more than {max}")]
    Range {
        /// The number.
        value: u32,
        /// The field's largest.
        max: u32,
    },
    /// No instruction of that name.
    #[error("unknown instruction {0:?}")]
    Mnemonic(String),
    /// Something else should stand here.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What should stand here.
        expected: &'static str,
        /// What stands here.
        found: String,
    },
    /// The instruction has no such operand.
    #[error("{mnemonic} does not take this operand")]
    Operand {
        /// The instruction.
        mnemonic: String,
    },
    /// A label at two places.
    #[error("label {0:?} stands twice")]
    LabelTwice(String),
    /// A label that is nowhere.
    #[error("label {0:?} is nowhere")]
    LabelNowhere(String),
    /// A jump that is not forward.
    #[error("jump to {0:?} goes backwards, filters cannot loop")]
    LabelBackward(String),
    /// A label with no instruction behind it.
    #[error("no instruction follows label {0:?}")]
    LabelAtEnd(String),
    /// The number before an instruction of a `tcpdump -d` listing is not its own.
    #[error("instruction {expected} is numbered {found}")]
    Index {
        /// The number it should have.
        expected: usize,
        /// The number it has.
        found: u32,
    },
    /// More instructions than an assembly takes.
    #[error("more than {} instructions", crate::asm::MAX_STATEMENTS)]
    TooLong,
}

/// Assembles text, one instruction a line.
///
/// The syntax is that of the kernel's `bpf_asm` (`Documentation/networking/filter.rst`,
/// `tools/bpf/bpf_exp.y`): `ldh [12]`, `ldb [x + 14]`, `ld #5`, `ld M[3]`, `ld #len`,
/// `ld #vlan_tci`, `ldxb 4*([14]&0xf)`, `st M[3]`, `add #1`, `jeq #0x806, there, elsewhere`,
/// `jneq x, there`, `ja there`, `ret #-1`, `ret a`; labels are `there:`, comments `; …` and
/// `/* … */`, numbers decimal, `0x` hexadecimal, `0b` binary and `0` octal. A conditional jump
/// without second label goes on with the next instruction when its condition does not hold.
///
/// Two additions: `.raw CODE, JT, JF, K` is any word as it is, and a line may begin with its number
/// in parentheses and name jump targets by number, as `tcpdump -d` prints them:
/// `(001) jeq #0x806 jt 2 jf 5`.
///
/// A conditional jump to a label further than 255 instructions away is made of two, see
/// [`Assembler`].
///
/// ```
/// let program = bpf::parse(
///     "        ldh [12]
///              jneq #0x0806, drop   ; ARP only
///              ret #-1
///      drop:   ret #0",
/// )?;
/// assert_eq!(program.len(), 4);
/// # Ok::<(), bpf::ParseError>(())
/// ```
///
/// # Errors
/// The first line that is wrong, and why.
pub fn parse(text: &str) -> Result<Program, ParseError> {
    let mut parser = Parser::default();
    for (index, text) in line::without_comments(text).lines().enumerate() {
        let line = index + 1;
        parser.line(line, text).map_err(|reason| ParseError { line, reason })?;
    }
    parser.finish()
}

#[derive(Default)]
struct Parser {
    asm: Assembler,
    /// The line of each statement.
    lines: Vec<usize>,
    labels: HashMap<String, Label>,
    /// For each label its name, where it stands, and the line where it was first seen.
    names: Vec<(Label, String)>,
    bound: HashMap<Label, usize>,
    /// Labels for instructions named by number.
    numbers: HashMap<u32, Label>,
}

impl Parser {
    fn line(&mut self, number: usize, text: &str) -> Result<(), ParseReason> {
        let mut line = Line::new(text)?;
        if let Some(index) = line.index {
            let expected = self.asm.len();
            if usize::try_from(index) != Ok(expected) {
                return Err(ParseReason::Index { expected, found: index });
            }
        }
        while let Some(name) = line.label() {
            let label = self.label(name);
            if self.bound.insert(label, number).is_some() {
                return Err(ParseReason::LabelTwice(name.to_owned()));
            }
            self.asm.bind(label);
        }
        let Some(mnemonic) = line.mnemonic()? else { return Ok(()) };
        if self.asm.len() == crate::asm::MAX_STATEMENTS {
            return Err(ParseReason::TooLong);
        }
        self.lines.push(number);
        self.instruction(mnemonic, &mut line)?;
        line.end()
    }

    fn finish(mut self) -> Result<Program, ParseError> {
        for (&number, &label) in &self.numbers {
            // One that is past the end is found by the assembler.
            self.asm.bind_at(label, usize::try_from(number).unwrap_or(usize::MAX));
        }
        let Self { asm, lines, names, .. } = self;
        asm.finish().map_err(|error| {
            let name = |label: Label| {
                let found = names.iter().find(|(of, _)| *of == label);
                found.map(|(_, name)| name.clone()).unwrap_or_default()
            };
            let (statement, reason) = match error {
                AssembleError::Unbound { statement, label } => {
                    (statement, ParseReason::LabelNowhere(name(label)))
                }
                AssembleError::Backward { statement, label } => {
                    (statement, ParseReason::LabelBackward(name(label)))
                }
                AssembleError::PastEnd { statement, label } => {
                    (statement, ParseReason::LabelAtEnd(name(label)))
                }
                AssembleError::BoundTwice { label } => (0, ParseReason::LabelTwice(name(label))),
                AssembleError::TooLong { .. } => (0, ParseReason::TooLong),
            };
            ParseError { line: lines.get(statement).copied().unwrap_or_default(), reason }
        })
    }

    fn instruction(&mut self, mnemonic: &str, line: &mut Line<'_>) -> Result<(), ParseReason> {
        if let Some(condition) = conditional(mnemonic) {
            return self.conditional(mnemonic, condition, line);
        }
        let instruction = match mnemonic {
            "ja" | "jmp" => {
                let label = self.target(line)?;
                self.asm.jump(label);
                return Ok(());
            }
            "neg" => Instruction::Negate,
            "tax" => Instruction::CopyAToX,
            "txa" => Instruction::CopyXToA,
            ".raw" => Instruction::Raw(raw(line)?),
            _ => with_argument(mnemonic, line)?,
        };
        self.asm.push(instruction);
        Ok(())
    }

    fn conditional(
        &mut self,
        mnemonic: &str,
        (condition, negated): (Condition, bool),
        line: &mut Line<'_>,
    ) -> Result<(), ParseReason> {
        let operand = operand(mnemonic, line.argument()?)?;
        let (first, second) = if line.word("jt") {
            let if_true = self.numbered(line.number()?);
            line.expect_word("jf")?;
            (if_true.into(), self.numbered(line.number()?).into())
        } else {
            line.expect(',')?;
            let first = self.target(line)?.into();
            let second = if line.symbol(',') { self.target(line)?.into() } else { Target::Next };
            (first, second)
        };
        let (if_true, if_false) = if negated { (second, first) } else { (first, second) };
        self.asm.jump_if(condition, operand, if_true, if_false);
        Ok(())
    }

    fn target(&mut self, line: &mut Line<'_>) -> Result<Label, ParseReason> {
        match line.name() {
            Some(name) => Ok(self.label(name)),
            None => Ok(self.numbered(line.number_or("a label")?)),
        }
    }

    fn label(&mut self, name: &str) -> Label {
        if let Some(&label) = self.labels.get(name) {
            return label;
        }
        let label = self.asm.label();
        self.labels.insert(name.to_owned(), label);
        self.names.push((label, name.to_owned()));
        label
    }

    fn numbered(&mut self, number: u32) -> Label {
        if let Some(&label) = self.numbers.get(&number) {
            return label;
        }
        let label = self.asm.label();
        self.numbers.insert(number, label);
        self.names.push((label, number.to_string()));
        label
    }
}

/// What a conditional jump tests, and whether the name stands for the opposite.
fn conditional(mnemonic: &str) -> Option<(Condition, bool)> {
    Some(match mnemonic {
        "jeq" => (Condition::Equal, false),
        "jneq" | "jne" => (Condition::Equal, true),
        "jgt" => (Condition::Greater, false),
        "jle" => (Condition::Greater, true),
        "jge" => (Condition::GreaterOrEqual, false),
        "jlt" => (Condition::GreaterOrEqual, true),
        "jset" => (Condition::AnySet, false),
        _ => return None,
    })
}

fn arithmetic(mnemonic: &str) -> Option<AluOp> {
    Some(match mnemonic {
        "add" => AluOp::Add,
        "sub" => AluOp::Sub,
        "mul" => AluOp::Mul,
        "div" => AluOp::Div,
        "mod" => AluOp::Mod,
        "or" => AluOp::Or,
        "and" => AluOp::And,
        "xor" => AluOp::Xor,
        "lsh" => AluOp::Lsh,
        "rsh" => AluOp::Rsh,
        _ => return None,
    })
}

fn with_argument(mnemonic: &str, line: &mut Line<'_>) -> Result<Instruction, ParseReason> {
    use {Argument as Arg, Register as R};
    if let Some(op) = arithmetic(mnemonic) {
        return Ok(Instruction::Alu { op, operand: operand(mnemonic, line.argument()?)? });
    }
    let size = match mnemonic {
        "ld" => Size::Word,
        "ldh" => Size::Half,
        "ldb" => Size::Byte,
        "ldi" | "ldx" | "ldxi" | "ldxb" | "st" | "stx" | "ret" => Size::Word,
        _ => return Err(ParseReason::Mnemonic(mnemonic.to_owned())),
    };
    Ok(match (mnemonic, line.argument()?) {
        ("ld" | "ldh" | "ldb", Arg::Absolute(offset)) => Instruction::LoadAbsolute { size, offset },
        ("ld" | "ldh" | "ldb", Arg::Indirect(offset)) => Instruction::LoadIndirect { size, offset },
        ("ld" | "ldh" | "ldb", Arg::Ancillary(field)) => Instruction::LoadAncillary { size, field },
        ("ld" | "ldi", Arg::Immediate(value)) | ("ldi", Arg::Number(value)) => {
            Instruction::LoadImmediate { dst: R::A, value }
        }
        ("ldx" | "ldxi", Arg::Immediate(value)) | ("ldxi", Arg::Number(value)) => {
            Instruction::LoadImmediate { dst: R::X, value }
        }
        ("ld", Arg::Scratch(slot)) => Instruction::LoadScratch { dst: R::A, slot },
        ("ldx", Arg::Scratch(slot)) => Instruction::LoadScratch { dst: R::X, slot },
        ("ld", Arg::Length) => Instruction::LoadLength { dst: R::A },
        ("ldx", Arg::Length) => Instruction::LoadLength { dst: R::X },
        ("ldx" | "ldxb", Arg::HeaderLength(offset)) => Instruction::LoadHeaderLength { offset },
        ("st", Arg::Scratch(slot)) => Instruction::Store { src: R::A, slot },
        ("stx", Arg::Scratch(slot)) => Instruction::Store { src: R::X, slot },
        ("ret", Arg::Immediate(bytes)) => Instruction::Return { bytes },
        ("ret", Arg::A) => Instruction::ReturnA,
        _ => return Err(ParseReason::Operand { mnemonic: mnemonic.to_owned() }),
    })
}

fn operand(mnemonic: &str, argument: Argument) -> Result<Operand, ParseReason> {
    match argument {
        Argument::Immediate(k) => Ok(Operand::K(k)),
        Argument::X => Ok(Operand::X),
        _ => Err(ParseReason::Operand { mnemonic: mnemonic.to_owned() }),
    }
}

fn raw(line: &mut Line<'_>) -> Result<RawInsn, ParseReason> {
    let byte = |value: u32| {
        let range = ParseReason::Range { value, max: u8::MAX.into() };
        u8::try_from(value).map_err(|_| range)
    };
    let code = line.number()?;
    let range = ParseReason::Range { value: code, max: u16::MAX.into() };
    let code = u16::try_from(code).map_err(|_| range)?;
    line.expect(',')?;
    let jt = byte(line.number()?)?;
    line.expect(',')?;
    let jf = byte(line.number()?)?;
    line.expect(',')?;
    Ok(RawInsn { code, jt, jf, k: line.number()? })
}

/// The field that `name` stands for in an operand.
fn ancillary(name: &str) -> Option<Argument> {
    match name {
        "len" | "pktlen" => Some(Argument::Length),
        _ => Ancillary::named(name).map(Argument::Ancillary),
    }
}

#[cfg(test)]
mod tests;
