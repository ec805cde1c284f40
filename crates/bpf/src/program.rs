//! A sequence of instructions.

use crate::insn::{Instruction, RawInsn};
use crate::verify::{Dialect, VerifyError, verify};

/// A filter program: plain words in order, not yet judged; [`Program::verify`] says whether a
/// kernel takes it.
///
/// A kernel interface takes the words as they are, e.g. as plain tuples:
///
/// ```
/// let program = bpf::stock::accept_all();
/// let words: Vec<(u16, u8, u8, u32)> = program.words().iter().map(|&word| word.into()).collect();
/// assert_eq!(words, [(0x06, 0, 0, u32::MAX)]);
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Program {
    words: Vec<RawInsn>,
}

impl Program {
    /// The words in order.
    #[must_use]
    pub fn words(&self) -> &[RawInsn] {
        &self.words
    }

    /// Number of instructions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no instruction at all (no kernel takes such a program).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The instructions in order, typed.
    pub fn instructions(&self) -> impl ExactSizeIterator<Item = Instruction> {
        self.words.iter().map(|&raw| Instruction::decode(raw))
    }

    /// Whether a kernel of `dialect` takes this program.
    ///
    /// # Errors
    /// The first reason why not, with the instruction's index.
    pub fn verify(&self, dialect: Dialect) -> Result<(), VerifyError> {
        verify(dialect, &self.words)
    }
}

impl From<Vec<RawInsn>> for Program {
    fn from(words: Vec<RawInsn>) -> Self {
        Self { words }
    }
}

impl From<Program> for Vec<RawInsn> {
    fn from(program: Program) -> Self {
        program.words
    }
}

impl FromIterator<RawInsn> for Program {
    fn from_iter<I: IntoIterator<Item = RawInsn>>(words: I) -> Self {
        Self { words: words.into_iter().collect() }
    }
}

impl FromIterator<Instruction> for Program {
    fn from_iter<I: IntoIterator<Item = Instruction>>(instructions: I) -> Self {
        instructions.into_iter().map(Instruction::encode).collect()
    }
}
