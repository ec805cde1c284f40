//! Classic BPF, the instruction set of kernel packet filters, in the dialects of Linux and XNU.
//!
//! - [`Instruction`] and [`RawInsn`]: typed instructions and the kernels' words, each way;
//! - [`Assembler`] and [`parse`]: programs from labels, or from text as the Linux kernel's
//!   `bpf_asm` and `tcpdump -d` write it;
//! - [`Listing`]: any program as text that assembles to the same words; [`words`]: as C and as the
//!   decimal row that `iptables`, `tc` and `bpf_asm` share;
//! - [`verify`](fn@verify): what each kernel takes, with the reason when it does not;
//! - [`run`]: what each kernel answers for a frame;
//! - [`stock`]: the filters that a switch needs.
//!
//! None of these talks to a kernel: [`Program::words`] gives the plain words that
//! `SO_ATTACH_FILTER` and `BIOCSETF` take. For macOS there are, above them:
//!
//! - [`capture`]: the records of a capture buffer, and batches of frames to write;
//! - [`Device`]: `/dev/bpfN` bound to an interface, on the real kernel or a simulated one.
#![forbid(unsafe_code)]

mod ancillary;
mod asm;
pub mod capture;
pub mod device;
mod disasm;
mod insn;
mod interp;
mod metadata;
mod opcode;
mod parse;
mod program;
pub mod stock;
mod verify;
pub mod words;

pub use ancillary::Ancillary;
pub use asm::{AssembleError, Assembler, Label, MAX_STATEMENTS, Target};
pub use device::Device;
pub use disasm::Listing;
pub use insn::{AluOp, Condition, Instruction, Operand, RawInsn, Register, Size};
pub use interp::{Fault, FaultKind, Verdict, run};
pub use metadata::{Interface, Metadata, VlanTag};
pub use parse::{ParseError, ParseReason, parse};
pub use program::Program;
pub use verify::{Dialect, Reason, VerifyError, verify};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
