//! Filters that a switch needs, ready made.
//!
//! Each is a plain program that both kernels take. A frame too short for what a filter looks at is
//! rejected.

use std::collections::{BTreeMap, BTreeSet};

use crate::asm::{AssembleError, Assembler, Label, Target};
use crate::insn::{Condition, Instruction, Operand, Size};
use crate::program::Program;
use crate::verify::{Dialect, VerifyError};

/// A description of frames, compiled by [`FrameSelector::compile`].
///
/// A frame is accepted when its destination is wanted *and* its EtherType is wanted:
///
/// - the destination is wanted when it is one of `macs`, or `group` is set and it is a group
///   address (multicast or broadcast); with no `macs` and no `group` every destination is;
/// - the EtherType is wanted when it is one of `ethertypes`; with none every frame is. With `vlan`
///   set it may also stand behind one VLAN tag in the frame (0x8100, 0x88a8 or 0x9100).
///
/// The default, which wants nothing in particular, accepts every frame. As a `tcpdump` expression:
/// `(ether multicast or ether dst M …) and (ether proto T …)`, with `vlan` for the second part
/// `(ether proto T … or (vlan and (ether proto T …)))`.
///
/// Linux takes tags out of received frames before a socket's filter runs, so there the EtherType
/// stands at its usual place and `vlan` only matters to a second tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FrameSelector {
    /// Destination addresses, in any order; the same one twice counts once.
    pub macs: Vec<[u8; 6]>,
    /// Whether group addresses are wanted as destination.
    pub group: bool,
    /// EtherTypes, 0x600 or more.
    pub ethertypes: Vec<u16>,
    /// Whether the EtherType may stand behind a VLAN tag.
    pub vlan: bool,
    /// Most bytes taken of an accepted frame, at least 1; `u32::MAX` is the whole frame.
    pub snap_len: u32,
}

/// Why a description cannot be compiled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StockError {
    /// The lists need more instructions than the kernel takes.
    #[error("the lists need {instructions} instructions, {dialect:?} takes {max}")]
    TooLong {
        /// What they need.
        instructions: usize,
        /// What the kernel takes.
        max: usize,
        /// Which kernel.
        dialect: Dialect,
    },
    /// Below 0x600 the field is a length.
    #[error("{ethertype:#x} is a length, EtherTypes begin at 0x600")]
    NotAnEtherType {
        /// The number.
        ethertype: u16,
    },
    /// A snap length of 0 would accept nothing.
    #[error("a snap length of 0 bytes accepts nothing")]
    NothingTaken,
}

/// Accepts every frame whole.
#[must_use]
pub fn accept_all() -> Program {
    Program::from_iter([Instruction::Return { bytes: u32::MAX }])
}

/// Rejects every frame.
#[must_use]
pub fn drop_all() -> Program {
    Program::from_iter([Instruction::Return { bytes: 0 }])
}

/// Accepts frames to one of `macs` and to any group address (multicast, broadcast): what a switch
/// wants whose ports have declared all their addresses. With no addresses, group addresses alone.
///
/// How many fit depends on how many distinct first halves (the first two bytes) they have, since
/// addresses with the same one share its test: any 101 addresses fit XNU's 512 instructions and any
/// 818 fit Linux's 4096; of addresses that agree in their first two bytes, 486 and 3908 do. (A
/// Linux kernel with a small `net.core.optmem_max` may still answer ENOMEM to more than some 1500
/// instructions, see [`verify`](fn@crate::verify).)
///
/// ```
/// use bpf::{Dialect, Metadata, run, stock};
///
/// let filter = stock::to_macs(&[[0x52, 0x54, 0, 0, 0, 1]], Dialect::Linux)?;
/// let frame = [&[0x52, 0x54, 0, 0, 0, 2], [0; 54].as_slice()].concat();
/// let verdict = run(Dialect::Linux, filter.words(), &frame, &Metadata::default());
/// assert!(!verdict.expect("stock filters do not fault").accepts());
/// # Ok::<(), stock::StockError>(())
/// ```
///
/// # Errors
/// [`StockError::TooLong`] when the list does not fit.
pub fn to_macs(macs: &[[u8; 6]], dialect: Dialect) -> Result<Program, StockError> {
    FrameSelector { macs: macs.to_vec(), group: true, ..FrameSelector::default() }.compile(dialect)
}

/// Accepts frames of one of `ethertypes`.
///
/// # Errors
/// A number that is no EtherType; too many of them.
pub fn with_ethertypes(ethertypes: &[u16], dialect: Dialect) -> Result<Program, StockError> {
    FrameSelector { ethertypes: ethertypes.to_vec(), ..FrameSelector::default() }.compile(dialect)
}

impl Default for FrameSelector {
    fn default() -> Self {
        Self {
            macs: Vec::new(),
            group: false,
            ethertypes: Vec::new(),
            vlan: false,
            snap_len: u32::MAX,
        }
    }
}

impl FrameSelector {
    /// The program for this description, which a kernel of `dialect` takes.
    ///
    /// # Errors
    /// What is wrong with the description, or that it does not fit.
    pub fn compile(&self, dialect: Dialect) -> Result<Program, StockError> {
        if let Some(&ethertype) = self.ethertypes.iter().find(|&&t| t < MIN_ETHERTYPE) {
            return Err(StockError::NotAnEtherType { ethertype });
        }
        if self.snap_len == 0 {
            return Err(StockError::NothingTaken);
        }
        let max = dialect.max_instructions();
        let too_long = |instructions| StockError::TooLong { instructions, max, dialect };
        let program = self.assemble().map_err(|error| match error {
            AssembleError::TooLong { statements } => too_long(statements),
            defect => unreachable!("labels below are ahead, bound and bound once: {defect}"),
        })?;
        match program.verify(dialect) {
            Ok(()) => Ok(program),
            Err(VerifyError::TooLong { len, .. }) => Err(too_long(len)),
            Err(defect) => unreachable!("nothing below is refused by either kernel: {defect}"),
        }
    }

    fn assemble(&self) -> Result<Program, AssembleError> {
        let mut asm = Assembler::new();
        let accept = Instruction::Return { bytes: self.snap_len };
        if self.ethertypes.is_empty() {
            self.destinations(&mut asm, Hit::Return(accept));
        } else {
            let destination_wanted = asm.label();
            self.destinations(&mut asm, Hit::Jump(destination_wanted));
            asm.bind(destination_wanted);
            self.types(&mut asm, Hit::Return(accept));
        }
        asm.finish()
    }

    /// Ends in `hit` when the destination is wanted, else in a rejection.
    fn destinations(&self, asm: &mut Assembler, hit: Hit) {
        let mut by_first_half: BTreeMap<u16, BTreeSet<u32>> = BTreeMap::new();
        let is_group = |mac: &[u8; 6]| mac[0] & GROUP_BIT != 0;
        for &mac in self.macs.iter().filter(|mac| !(self.group && is_group(mac))) {
            let [a, b, c, d, e, f] = mac;
            let rest = u32::from_be_bytes([c, d, e, f]);
            by_first_half.entry(u16::from_be_bytes([a, b])).or_default().insert(rest);
        }
        if self.macs.is_empty() && !self.group {
            return hit.emit(asm);
        }
        if self.group {
            let individual = asm.label();
            asm.push(load(Size::Byte, DESTINATION));
            let bit = Operand::K(GROUP_BIT.into());
            asm.jump_if(Condition::AnySet, bit, Target::Next, individual.into());
            hit.emit(asm);
            asm.bind(individual);
        }
        if !by_first_half.is_empty() {
            asm.push(load(Size::Half, DESTINATION));
        }
        let last = by_first_half.len().saturating_sub(1);
        for (index, (first_half, rests)) in by_first_half.into_iter().enumerate() {
            let other = asm.label();
            let value = Operand::K(first_half.into());
            asm.jump_if(Condition::Equal, value, Target::Next, other.into());
            asm.push(load(Size::Word, DESTINATION + 2));
            one_of(asm, &rests, hit);
            // A miss must not be compared with other first halves; the last falls to the end.
            if index != last {
                asm.push(REJECT);
            }
            asm.bind(other);
        }
        asm.push(REJECT);
    }

    /// Ends in `hit` when the EtherType is wanted, else in a rejection.
    fn types(&self, asm: &mut Assembler, hit: Hit) {
        let wanted: BTreeSet<u32> = self.ethertypes.iter().map(|&t| t.into()).collect();
        asm.push(load(Size::Half, ETHERTYPE));
        one_of(asm, &wanted, hit);
        if self.vlan {
            let (tagged, untagged) = (asm.label(), asm.label());
            let [first @ .., last] = VLAN_TPIDS.map(Operand::K);
            for tpid in first {
                asm.jump_if(Condition::Equal, tpid, tagged.into(), Target::Next);
            }
            asm.jump_if(Condition::Equal, last, Target::Next, untagged.into());
            asm.bind(tagged);
            asm.push(load(Size::Half, ETHERTYPE + VLAN_TAG_BYTES));
            one_of(asm, &wanted, hit);
            asm.bind(untagged);
        }
        asm.push(REJECT);
    }
}

/// What to do with a frame that passed a test.
#[derive(Clone, Copy)]
enum Hit {
    Return(Instruction),
    Jump(Label),
}

impl Hit {
    fn emit(self, asm: &mut Assembler) {
        match self {
            Self::Return(instruction) => asm.push(instruction),
            Self::Jump(label) => asm.jump(label),
        }
    }
}

/// Does `hit` when A is one of `values`, else goes on behind with A as it was. The values are
/// tested in rows, and a row whose largest value is too small is skipped at once, so that long
/// lists are not gone through one by one.
fn one_of(asm: &mut Assembler, values: &BTreeSet<u32>, hit: Hit) {
    let values: Vec<u32> = values.iter().copied().collect();
    let done = asm.label();
    let rows = values.chunks(ROW);
    let last_row = rows.len().saturating_sub(1);
    for (index, row) in rows.enumerate() {
        let (found, next_row) = (asm.label(), asm.label());
        let Some((&largest, smaller)) = row.split_last() else { continue };
        if index != last_row {
            let value = Operand::K(largest);
            asm.jump_if(Condition::Greater, value, next_row.into(), Target::Next);
        }
        for &value in smaller {
            asm.jump_if(Condition::Equal, Operand::K(value), found.into(), Target::Next);
        }
        // A row that is not skipped is the only one that can hold A: a miss ends the search.
        asm.jump_if(Condition::Equal, Operand::K(largest), Target::Next, done.into());
        asm.bind(found);
        hit.emit(asm);
        asm.bind(next_row);
    }
    asm.bind(done);
}

fn load(size: Size, offset: u32) -> Instruction {
    Instruction::LoadAbsolute { size, offset }
}

const REJECT: Instruction = Instruction::Return { bytes: 0 };
const DESTINATION: u32 = 0;
const GROUP_BIT: u8 = 1;
const ETHERTYPE: u32 = 12;
const VLAN_TAG_BYTES: u32 = 4;
/// IEEE 802.1Q, IEEE 802.1ad, and what was in use before it.
const VLAN_TPIDS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
/// Smaller numbers are lengths (IEEE 802.3 clause 3.2.6).
const MIN_ETHERTYPE: u16 = 0x600;
/// Values tested one by one before the next row is looked at.
const ROW: usize = 64;

#[cfg(test)]
mod tests;
