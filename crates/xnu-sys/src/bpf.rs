//! `<net/bpf.h>`: the Berkeley packet filter (XNU `bsd/net/bpf.h`).

use crate::BpfDevice;
use crate::sys_ioccom::iow;

header! {
    header "net/bpf.h", public;

    /// One instruction of a classic BPF program: 8 bytes, aligned to 4. Linux's `struct sock_filter`
    /// has the same layout.
    struct bpf_insn: 8, 4, () {
        /// Operation code.
        code: u16 = 0,
        /// Instructions to skip when a condition holds.
        jt: u8 = 2,
        /// Instructions to skip when a condition does not hold.
        jf: u8 = 3,
        /// Generic operand.
        k: u32 = 4,
    }

    /// A filter as `BIOCSETF` takes it.
    struct bpf_program: 16, 8, () {
        /// How many instructions.
        bf_len: u32 = 0,
        /// Nothing.
        bf_pad: u32 = 4,
        /// Pointer to the first.
        bf_insns: u64 = 8,
    }

    /// Most instructions of one program; `bpf_validate` refuses more (`bsd/net/bpf_filter.c`).
    const BPF_MAXINSNS: usize = 512;

    /// 32-bit words of scratch memory that a program has.
    const BPF_MEMWORDS: u32 = 16;

    /// What `debug.bpf_maxbufsize` is unless changed, in bytes. It bounds the offsets of packet loads
    /// in `bpf_validate`; since macOS 13 the size of a device's buffer no longer depends on it.
    const BPF_MAXBUFSIZE: u32 = 0x80000;

    /// Smallest buffer of a BPF device, in bytes.
    const BPF_MINBUFSIZE: u32 = 32;

    /// Sets the filter; throws away what was captured.
    pointer request BIOCSETF(bpf_program) on BpfDevice = iow::<bpf_program>(b'B', 103), 0x8010_4267;

    /// Sets the filter, and keeps what was captured.
    pointer request BIOCSETFNR(bpf_program) on BpfDevice = iow::<bpf_program>(b'B', 126), 0x8010_427e;
}
