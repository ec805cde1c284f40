//! The assembler: instructions with labels in, a program out.

use crate::insn::{Condition, Instruction, Operand, RawInsn};
use crate::program::Program;

/// Most statements of one assembly: twice what the most generous kernel takes.
pub const MAX_STATEMENTS: usize = 8192;

/// Builds a program of instructions whose jumps name labels.
///
/// A conditional jump reaches 255 instructions. Where its target is further away, the assembler
/// puts a `ja` to that target behind it (one for each far branch), so any label can be named; the
/// program grows by those instructions. Programs without far jumps come out word for word.
///
/// ```
/// use bpf::{Assembler, Condition, Instruction, Operand, Size, Target};
///
/// let mut asm = Assembler::new();
/// let drop = asm.label();
/// asm.push(Instruction::LoadAbsolute { size: Size::Half, offset: 12 });
/// asm.jump_if(Condition::Equal, Operand::K(0x0806), Target::Next, drop.into());
/// asm.push(Instruction::Return { bytes: u32::MAX });
/// asm.bind(drop);
/// asm.push(Instruction::Return { bytes: 0 });
/// let only_arp = asm.finish()?;
/// assert_eq!(only_arp.len(), 4);
/// # Ok::<(), bpf::AssembleError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Assembler {
    statements: Vec<Statement>,
    /// For each label the statement that it stands before.
    bindings: Vec<Option<usize>>,
    bound_twice: Option<Label>,
}

/// A place in the program, made by [`Assembler::label`] and put there by [`Assembler::bind`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Label(usize);

/// Where a branch of a conditional jump goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The next instruction.
    Next,
    /// A label further on.
    To(Label),
}

/// Why a program cannot be assembled. `statement` counts what was pushed, from 0.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// More than [`MAX_STATEMENTS`].
    #[error("{statements} instructions are more than {MAX_STATEMENTS}")]
    TooLong {
        /// How many were pushed.
        statements: usize,
    },
    /// A jump names a label that was never bound.
    #[error("statement {statement} jumps to a label that is nowhere")]
    Unbound {
        /// The jump.
        statement: usize,
        /// Its label.
        label: Label,
    },
    /// A jump names a label that is not behind it; filters cannot loop.
    #[error("statement {statement} jumps backwards")]
    Backward {
        /// The jump.
        statement: usize,
        /// Its label.
        label: Label,
    },
    /// A jump names a label with no instruction behind it.
    #[error("statement {statement} jumps past the end")]
    PastEnd {
        /// The jump.
        statement: usize,
        /// Its label.
        label: Label,
    },
    /// A label was bound at two places.
    #[error("a label stands at two places")]
    BoundTwice {
        /// The label.
        label: Label,
    },
}

impl Assembler {
    /// An empty assembly.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new label, not yet at any place.
    pub fn label(&mut self) -> Label {
        self.bindings.push(None);
        Label(self.bindings.len() - 1)
    }

    /// Puts `label` before the statement that is pushed next.
    pub fn bind(&mut self, label: Label) {
        self.bind_at(label, self.statements.len());
    }

    /// Adds an instruction as it is. Skips of a jump given this way count instructions of the
    /// finished program.
    pub fn push(&mut self, instruction: Instruction) {
        self.statements.push(Statement::Plain(instruction));
    }

    /// Adds an unconditional jump.
    pub fn jump(&mut self, label: Label) {
        self.statements.push(Statement::Jump(label));
    }

    /// Adds a conditional jump.
    pub fn jump_if(
        &mut self,
        condition: Condition,
        operand: Operand,
        if_true: Target,
        if_false: Target,
    ) {
        self.statements.push(Statement::JumpIf { condition, operand, if_true, if_false });
    }

    /// Number of statements so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Resolves the labels.
    ///
    /// # Errors
    /// A label that is nowhere, twice, not behind its jump, or at the very end; too many
    /// statements.
    pub fn finish(self) -> Result<Program, AssembleError> {
        if self.statements.len() > MAX_STATEMENTS {
            return Err(AssembleError::TooLong { statements: self.statements.len() });
        }
        if let Some(label) = self.bound_twice {
            return Err(AssembleError::BoundTwice { label });
        }
        for (statement, body) in self.statements.iter().enumerate() {
            for label in body.labels() {
                self.check(statement, label)?;
            }
        }
        let layout = self.lay_out();
        let emit = |(index, statement): (usize, &Statement)| self.emit(&layout, index, *statement);
        Ok(self.statements.iter().enumerate().flat_map(emit).collect())
    }

    /// Puts `label` before the statement with that number, which may be yet to come.
    pub(crate) fn bind_at(&mut self, label: Label, statement: usize) {
        match &mut self.bindings[label.0] {
            binding @ None => *binding = Some(statement),
            Some(_) => self.bound_twice = Some(label),
        }
    }

    fn check(&self, statement: usize, label: Label) -> Result<(), AssembleError> {
        match self.bindings.get(label.0).copied().flatten() {
            None => Err(AssembleError::Unbound { statement, label }),
            Some(at) if at <= statement => Err(AssembleError::Backward { statement, label }),
            Some(at) if at >= self.statements.len() => {
                Err(AssembleError::PastEnd { statement, label })
            }
            Some(_) => Ok(()),
        }
    }

    /// Starts with short jumps only, then lengthens those that do not reach, until all do. A jump
    /// is never shortened again, so this ends.
    fn lay_out(&self) -> Layout {
        let mut far = vec![Far::default(); self.statements.len()];
        loop {
            let mut positions = Vec::with_capacity(far.len());
            let mut position = 0;
            for far in &far {
                positions.push(position);
                position += 1 + far.count();
            }
            let layout = Layout { positions, far };
            let mut grown = layout.far.clone();
            for (index, statement) in self.statements.iter().enumerate() {
                if let Statement::JumpIf { if_true, if_false, .. } = *statement {
                    grown[index].if_true |= !self.reaches(&layout, index, if_true);
                    grown[index].if_false |= !self.reaches(&layout, index, if_false);
                }
            }
            if grown == layout.far {
                return layout;
            }
            far = grown;
        }
    }

    fn reaches(&self, layout: &Layout, index: usize, target: Target) -> bool {
        u8::try_from(self.skip(layout, layout.positions[index], index, target)).is_ok()
    }

    /// Instructions between the one at `position`, which is of statement `index`, and `target`.
    fn skip(&self, layout: &Layout, position: usize, index: usize, target: Target) -> usize {
        let to = match target {
            Target::Next => layout.positions[index] + 1 + layout.far[index].count(),
            Target::To(label) => {
                let statement = self.bindings[label.0].unwrap_or_default();
                layout.positions[statement]
            }
        };
        to - position - 1
    }

    fn emit(&self, layout: &Layout, index: usize, statement: Statement) -> Vec<RawInsn> {
        let position = layout.positions[index];
        let short = |target| self.skip(layout, position, index, target);
        let far_jump = |position, target| Instruction::Jump {
            // Positions are bounded by three times MAX_STATEMENTS.
            skip: u32::try_from(self.skip(layout, position, index, target)).unwrap_or(u32::MAX),
        };
        let (condition, operand, if_true, if_false) = match statement {
            Statement::Plain(instruction) => return vec![instruction.encode()],
            Statement::Jump(label) => return vec![far_jump(position, label.into()).encode()],
            Statement::JumpIf { condition, operand, if_true, if_false } => {
                (condition, operand, if_true, if_false)
            }
        };
        let far = layout.far[index];
        let skip_true = if far.if_true { 0 } else { short(if_true) };
        let skip_false = if far.if_false { usize::from(far.if_true) } else { short(if_false) };
        let skip = |skip| u8::try_from(skip).expect("the layout made every near branch reach");
        let mut words = vec![
            Instruction::JumpIf {
                condition,
                operand,
                skip_true: skip(skip_true),
                skip_false: skip(skip_false),
            }
            .encode(),
        ];
        for (_, target) in [(far.if_true, if_true), (far.if_false, if_false)].iter().filter(|f| f.0)
        {
            words.push(far_jump(position + words.len(), *target).encode());
        }
        words
    }
}

impl From<Label> for Target {
    fn from(label: Label) -> Self {
        Self::To(label)
    }
}

#[derive(Clone, Copy, Debug)]
enum Statement {
    Plain(Instruction),
    Jump(Label),
    JumpIf { condition: Condition, operand: Operand, if_true: Target, if_false: Target },
}

impl Statement {
    fn labels(&self) -> impl Iterator<Item = Label> {
        let targets = match *self {
            Self::Plain(_) => [Target::Next; 2],
            Self::Jump(label) => [label.into(), Target::Next],
            Self::JumpIf { if_true, if_false, .. } => [if_true, if_false],
        };
        targets.into_iter().filter_map(|target| match target {
            Target::Next => None,
            Target::To(label) => Some(label),
        })
    }
}

/// Where each statement begins in the program, and which branches need a `ja`.
struct Layout {
    positions: Vec<usize>,
    far: Vec<Far>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Far {
    if_true: bool,
    if_false: bool,
}

impl Far {
    fn count(self) -> usize {
        usize::from(self.if_true) + usize::from(self.if_false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Metadata, run};

    const IS_ONE: (Condition, Operand) = (Condition::Equal, Operand::K(1));

    /// `if A == 1 return 1 else return 2`, with `distance` instructions between.
    fn far_apart(distance: usize, a: u32) -> Program {
        let mut asm = Assembler::new();
        let (yes, no) = (asm.label(), asm.label());
        asm.push(Instruction::LoadImmediate { dst: crate::Register::A, value: a });
        asm.jump_if(IS_ONE.0, IS_ONE.1, yes.into(), no.into());
        for _ in 0..distance {
            asm.push(Instruction::Return { bytes: 99 });
        }
        asm.bind(yes);
        asm.push(Instruction::Return { bytes: 1 });
        asm.bind(no);
        asm.push(Instruction::Return { bytes: 2 });
        asm.finish().expect("assembles")
    }

    #[test]
    fn jumps_of_any_length_arrive() {
        for distance in [0, 1, 253, 254, 255, 256, 257, 1000, 4000] {
            for a in [0, 1] {
                let program = far_apart(distance, a);
                program.verify(Dialect::Linux).expect("valid");
                let verdict = run(Dialect::Linux, program.words(), &[], &Metadata::default());
                assert_eq!(verdict.map(|v| v.0), Ok(2 - a), "distance {distance}");
            }
        }
    }

    #[test]
    fn a_jump_grows_only_when_it_must() {
        assert_eq!(far_apart(254, 0).len(), 4 + 254);
        // The `ja` that the second branch needs puts the first out of reach as well.
        assert_eq!(far_apart(255, 0).len(), 4 + 255 + 2);

        let one_branch = |distance| {
            let mut asm = Assembler::new();
            let no = asm.label();
            asm.jump_if(IS_ONE.0, IS_ONE.1, Target::Next, no.into());
            for _ in 0..distance {
                asm.push(Instruction::ReturnA);
            }
            asm.bind(no);
            asm.push(Instruction::ReturnA);
            let program = asm.finish().expect("assembles");
            (program.len(), program.instructions().next())
        };
        let jump = |skip_true, skip_false| {
            let (condition, operand) = IS_ONE;
            Some(Instruction::JumpIf { condition, operand, skip_true, skip_false })
        };
        assert_eq!(one_branch(255), (257, jump(0, 255)));
        assert_eq!(one_branch(256), (259, jump(1, 0)));
    }

    #[test]
    fn labels_must_be_ahead_and_once() {
        let mut asm = Assembler::new();
        let label = asm.label();
        asm.jump(label);
        assert_eq!(asm.clone().finish(), Err(AssembleError::Unbound { statement: 0, label }));
        asm.bind(label);
        assert_eq!(asm.clone().finish(), Err(AssembleError::PastEnd { statement: 0, label }));
        asm.push(Instruction::ReturnA);
        assert_eq!(asm.clone().finish().map(|program| program.len()), Ok(2));
        asm.jump(label);
        assert_eq!(asm.clone().finish(), Err(AssembleError::Backward { statement: 2, label }));
        asm.bind(label);
        assert_eq!(asm.finish(), Err(AssembleError::BoundTwice { label }));
    }

    #[test]
    fn too_many_statements_are_refused() {
        let mut asm = Assembler::new();
        for _ in 0..=MAX_STATEMENTS {
            asm.push(Instruction::ReturnA);
        }
        let statements = MAX_STATEMENTS + 1;
        assert_eq!(asm.finish(), Err(AssembleError::TooLong { statements }));
    }
}
