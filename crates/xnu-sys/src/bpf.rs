//! `<net/bpf.h>`: the Berkeley packet filter (XNU `bsd/net/bpf.h`). What the SDK does not have is
//! in [`bpf_private`](crate::bpf_private).

use crate::BpfDevice;
use crate::net_if::ifreq;
use crate::sys_ioccom::{io, ior, iow, iowr};
use crate::sys_time::{timeval, timeval32};

header! {
    header "net/bpf.h", public;

    /// One instruction of a classic BPF program: 8 bytes, aligned to 4. Linux's `struct
    /// sock_filter` has the same layout.
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
        bf_pad0: u32 = 4,
        /// Pointer to the first.
        bf_insns: u64 = 8,
    }

    /// The header of a record. In a buffer it has 18 bytes for Ethernet (`bh_hdrlen`), so that the
    /// packet's IP header is aligned to 4.
    struct bpf_hdr: 20, 4, () {
        /// When it was captured.
        bh_tstamp: timeval32 = 0,
        /// How many bytes were captured.
        bh_caplen: u32 = 8,
        /// How long the packet was.
        bh_datalen: u32 = 12,
        /// Where the packet begins, from the record's begin.
        bh_hdrlen: u16 = 16,
        /// Nothing; the packet in a buffer.
        bh_pad0: [u8; 2] = 18,
    }

    /// A descriptor's counters.
    struct bpf_stat: 8, 4, () {
        /// Packets offered to the filter.
        bs_recv: u32 = 0,
        /// Packets that the filter took and that found both buffers full.
        bs_drop: u32 = 4,
    }

    /// The version of the filter machine.
    struct bpf_version: 4, 2, () {
        /// Must be [`BPF_MAJOR_VERSION`].
        bv_major: u16 = 0,
        /// Must be at least [`BPF_MINOR_VERSION`].
        bv_minor: u16 = 2,
    }

    /// Link types of an interface.
    struct bpf_dltlist: 12, 4, (, packed(4)) {
        /// In: the list's room. Out: how many there are.
        bfl_len: u32 = 0,
        /// Pointer to room for `u32`s; 0 to ask how many there are.
        bfl_u: u64 = 4,
    }

    /// Version of the filter machine.
    const BPF_MAJOR_VERSION: u16 = 1;
    /// Version of the filter machine.
    const BPF_MINOR_VERSION: u16 = 1;

    /// Records in a buffer begin at multiples of this, in bytes.
    const BPF_ALIGNMENT: usize = 4;

    /// Link type: none, a 4-byte family before each packet.
    const DLT_NULL: u32 = 0;
    /// Link type: Ethernet.
    const DLT_EN10MB: u32 = 1;
    /// Link type: none.
    const DLT_RAW: u32 = 12;

    /// Most instructions of one program; `bpf_validate` refuses more (`bsd/net/bpf_filter.c`).
    const BPF_MAXINSNS: usize = 512;

    /// 32-bit words of scratch memory that a program has.
    const BPF_MEMWORDS: u32 = 16;

    /// What `debug.bpf_maxbufsize` is unless changed, in bytes. It bounds the offsets of packet
    /// loads in `bpf_validate`; since macOS 13 the size of a device's buffer no longer depends on
    /// it.
    const BPF_MAXBUFSIZE: u32 = 0x80000;

    /// Smallest buffer of a BPF device, in bytes.
    const BPF_MINBUFSIZE: u32 = 32;

    /// Gets the buffer's length in bytes: reads must ask for exactly this.
    request BIOCGBLEN(u32) on BpfDevice = ior::<u32>(b'B', 102), 0x4004_4266;
    /// Sets the buffer's length in bytes, before [`BIOCSETIF`]; what was granted is written back.
    request BIOCSBLEN(u32) on BpfDevice = iowr::<u32>(b'B', 102), 0xc004_4266;
    /// Sets the filter; throws away what was captured and zeroes the counters:
    /// [`Descriptor::set_filter`](crate::Descriptor).
    pointer request BIOCSETF(bpf_program) on BpfDevice = iow::<bpf_program>(b'B', 103), 0x8010_4267;
    /// Throws away what was captured and zeroes the counters.
    request BIOCFLUSH(()) on BpfDevice = io(b'B', 104), 0x2000_4268;
    /// Has the interface receive every frame, after [`BIOCSETIF`]; until the descriptor is closed.
    request BIOCPROMISC(()) on BpfDevice = io(b'B', 105), 0x2000_4269;
    /// Gets the link type: [`DLT_EN10MB`].
    request BIOCGDLT(u32) on BpfDevice = ior::<u32>(b'B', 106), 0x4004_426a;
    /// Gets the interface. `EINVAL`: none.
    request BIOCGETIF(ifreq) on BpfDevice = ior::<ifreq>(b'B', 107), 0x4020_426b;
    /// Sets the interface. `ENXIO`: there is no such; `ENOMEM`: no memory for the buffers.
    request BIOCSETIF(ifreq) on BpfDevice = iow::<ifreq>(b'B', 108), 0x8020_426c;
    /// Sets how long a read waits; in steps of 10 ms.
    request BIOCSRTIMEOUT(timeval) on BpfDevice = iow::<timeval>(b'B', 109), 0x8010_426d;
    /// Gets how long a read waits.
    request BIOCGRTIMEOUT(timeval) on BpfDevice = ior::<timeval>(b'B', 110), 0x4010_426e;
    /// Gets the counters.
    request BIOCGSTATS(bpf_stat) on BpfDevice = ior::<bpf_stat>(b'B', 111), 0x4008_426f;
    /// Not 0: a read returns as soon as there is a packet. The kernel looks at the lowest byte
    /// alone.
    request BIOCIMMEDIATE(u32) on BpfDevice = iow::<u32>(b'B', 112), 0x8004_4270;
    /// Gets the version of the filter machine.
    request BIOCVERSION(bpf_version) on BpfDevice = ior::<bpf_version>(b'B', 113), 0x4004_4271;
    /// Gets the signal that packets raise.
    request BIOCGRSIG(u32) on BpfDevice = ior::<u32>(b'B', 114), 0x4004_4272;
    /// Sets the signal that packets raise.
    request BIOCSRSIG(u32) on BpfDevice = iow::<u32>(b'B', 115), 0x8004_4273;
    /// Gets whether frames are written with their own source address.
    request BIOCGHDRCMPLT(u32) on BpfDevice = ior::<u32>(b'B', 116), 0x4004_4274;
    /// Not 0: frames are written with their own source address, not the interface's.
    request BIOCSHDRCMPLT(u32) on BpfDevice = iow::<u32>(b'B', 117), 0x8004_4275;
    /// Gets whether what the interface sends is captured too.
    request BIOCGSEESENT(u32) on BpfDevice = ior::<u32>(b'B', 118), 0x4004_4276;
    /// 0: only what the interface receives is captured.
    request BIOCSSEESENT(u32) on BpfDevice = iow::<u32>(b'B', 119), 0x8004_4277;
    /// Sets the link type.
    request BIOCSDLT(u32) on BpfDevice = iow::<u32>(b'B', 120), 0x8004_4278;
    /// Lists the link types: [`Descriptor::link_types`](crate::Descriptor).
    pointer request BIOCGDLTLIST(bpf_dltlist) on BpfDevice =
        iowr::<bpf_dltlist>(b'B', 121), 0xc00c_4279;
    /// Sets the filter and keeps what was captured; an empty one throws it away all the same:
    /// [`Descriptor::set_filter`](crate::Descriptor).
    pointer request BIOCSETFNR(bpf_program) on BpfDevice =
        iow::<bpf_program>(b'B', 126), 0x8010_427e;
}
