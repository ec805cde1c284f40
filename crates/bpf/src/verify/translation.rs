//! How far Linux can jump in its own translation of a program.
//!
//! Linux runs a classic program as an extended one, whose jumps have offsets of 16 bits. One
//! classic instruction becomes up to 21, so a jump can be valid in the program and too far in its
//! translation (`bpf_convert_filter`, `BPF_EMIT_JMP` in `net/core/filter.c`). The lengths below are
//! those of kernels since 6.2 on processors with cheap unaligned loads; others differ by
//! little. It takes some 2,000 loads from the frame to come near the limit.

use crate::ancillary::Ancillary;
use crate::insn::{AluOp, Condition, Instruction, Operand, RawInsn, Size};

/// Index of the first jump that the translation cannot make. All words have a meaning.
pub(super) fn first_jump_too_far(words: &[RawInsn]) -> Option<usize> {
    let instructions: Vec<Instruction> =
        words.iter().filter_map(|&raw| Instruction::meaning(raw)).collect();
    let mut positions = Vec::with_capacity(instructions.len());
    let mut position = PROLOGUE;
    if instructions.iter().any(|instruction| loads_from_frame(*instruction)) {
        position += PROLOGUE_FOR_LOADS;
    }
    for &instruction in &instructions {
        positions.push(position);
        position += translated_len(instruction);
    }
    (0..instructions.len()).find(|&index| {
        // The distance is counted from the end of the translated jump. On the kernel's first pass
        // all targets are still at 0, so one that stands too far from the beginning fails too.
        let end = positions[index] + translated_len(instructions[index]);
        match instructions[index] {
            Instruction::Jump { skip } => {
                let target = index + 1 + skip as usize;
                end > MAX_BACKWARD || positions[target] - end > MAX_FORWARD
            }
            Instruction::JumpIf { .. } => end > MAX_BACKWARD,
            _ => false,
        }
    })
}

/// Instructions of the extended set that stand for one of the classic set.
fn translated_len(instruction: Instruction) -> usize {
    match instruction {
        Instruction::LoadAbsolute { size, offset } => absolute(size, offset),
        Instruction::LoadIndirect { offset, .. } => LOAD_CALL + usize::from(offset != 0),
        Instruction::LoadHeaderLength { offset } => 6 + absolute(Size::Byte, offset),
        Instruction::LoadAncillary { field, .. } => match field {
            Ancillary::Mark
            | Ancillary::ReceiveHash
            | Ancillary::Queue
            | Ancillary::VlanTag
            | Ancillary::XorX => 1,
            Ancillary::Protocol | Ancillary::PacketType | Ancillary::VlanProtocol => 2,
            Ancillary::VlanTagPresent => 3,
            Ancillary::InterfaceIndex
            | Ancillary::HardwareType
            | Ancillary::PayloadOffset
            | Ancillary::NetlinkAttribute
            | Ancillary::NestedNetlinkAttribute
            | Ancillary::Cpu
            | Ancillary::Random => 4,
        },
        Instruction::Alu { op: AluOp::Div | AluOp::Mod, operand: Operand::X } => 5,
        Instruction::JumpIf { condition, operand, skip_true, skip_false } => {
            let constant_is_copied = matches!(operand, Operand::K(k) if k > i32::MAX as u32);
            let has_opposite = condition != Condition::AnySet;
            let one = skip_false == 0 || (skip_true == 0 && has_opposite);
            usize::from(constant_is_copied) + if one { 1 } else { 2 }
        }
        Instruction::Return { .. } => 2,
        _ => 1,
    }
}

fn absolute(size: Size, offset: u32) -> usize {
    if offset > i32::MAX as u32 {
        return LOAD_CALL;
    }
    let short = offset <= i16::MAX as u32;
    let fast = 4 + usize::from(offset != 0) + if short { 0 } else { 2 };
    fast + usize::from(size != Size::Byte) + LOAD_CALL
}

fn loads_from_frame(instruction: Instruction) -> bool {
    matches!(
        instruction,
        Instruction::LoadAbsolute { .. }
            | Instruction::LoadIndirect { .. }
            | Instruction::LoadHeaderLength { .. }
    )
}

const PROLOGUE: usize = 3;
const PROLOGUE_FOR_LOADS: usize = 4;
/// A load through the kernel's helper: four arguments, the call, and what a failure does.
const LOAD_CALL: usize = 8;
const MAX_FORWARD: usize = i16::MAX as usize;
const MAX_BACKWARD: usize = MAX_FORWARD + 1;
