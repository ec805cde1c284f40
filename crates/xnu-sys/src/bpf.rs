//! `<net/bpf.h>`: the Berkeley packet filter's instruction and limits (XNU `bsd/net/bpf.h`).

/// One instruction of a classic BPF program (`struct bpf_insn`): 8 bytes, aligned to 4.
///
/// Linux's `struct sock_filter` has the same layout.
#[allow(non_camel_case_types, reason = "named as the C header names it")]
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct bpf_insn {
    /// Operation code.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when a condition does not hold.
    pub jf: u8,
    /// Generic operand.
    pub k: u32,
}

/// Most instructions of one program; `bpf_validate` refuses more (`bsd/net/bpf_filter.c`).
pub const BPF_MAXINSNS: usize = 512;

/// 32-bit words of scratch memory that a program has.
pub const BPF_MEMWORDS: u32 = 16;

/// What `debug.bpf_maxbufsize` is unless changed, in bytes. It bounds the offsets of packet loads
/// in `bpf_validate`; since macOS 13 the size of a device's buffer no longer depends on it.
pub const BPF_MAXBUFSIZE: u32 = 0x80000;

/// Smallest buffer of a BPF device, in bytes.
pub const BPF_MINBUFSIZE: u32 = 32;

const _: () = {
    use std::mem::{align_of, offset_of, size_of};
    assert!(size_of::<bpf_insn>() == 8);
    assert!(align_of::<bpf_insn>() == 4);
    assert!(offset_of!(bpf_insn, code) == 0);
    assert!(offset_of!(bpf_insn, jt) == 2);
    assert!(offset_of!(bpf_insn, jf) == 3);
    assert!(offset_of!(bpf_insn, k) == 4);
    assert!(BPF_MAXBUFSIZE == 512 * 1024);
};
