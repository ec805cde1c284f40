//! What `<net/bpf.h>` has that the SDK does not (XNU `bsd/net/bpf.h`; in macOS 26
//! `bsd/net/bpf_private.h`). A kernel that does not know a request answers `EINVAL`, so that each
//! can be tried.

use crate::BpfDevice;
use crate::net_if::ifreq;
use crate::sys_ioccom::{ior, iow, iowr};
use crate::sys_time::timeval32;

header! {
    header "net/bpf_private.h", private;

    /// Captured: nothing.
    const BPF_D_NONE: i32 = 0;
    /// Captured: what the interface receives.
    const BPF_D_IN: i32 = 1;
    /// Captured: what the interface sends.
    const BPF_D_OUT: i32 = 2;
    /// Captured: both.
    const BPF_D_INOUT: i32 = 3;

    /// The extended header of a record, as it is since macOS 15; it was shorter before.
    struct bpf_hdr_ext: 64, 4, () {
        /// When it was captured.
        bh_tstamp: timeval32 = 0,
        /// How many bytes were captured.
        bh_caplen: u32 = 8,
        /// How long the packet was.
        bh_datalen: u32 = 12,
        /// Where the packet begins, from the record's begin: 66 for Ethernet.
        bh_hdrlen: u16 = 16,
        /// How many bytes of a compressed header are not there.
        bh_complen: u8 = 18,
        /// 1: was sent.
        bh_flags: u8 = 19,
        /// The process that sent it.
        bh_pid: i32 = 20,
        /// Its name.
        bh_comm: [u8; 17] = 24,
        /// Flags of the packet.
        bh_pktflags: u8 = 41,
        /// A tag for tracing.
        bh_trace_tag: u16 = 42,
        /// Service class.
        bh_svc: u32 = 44,
        /// The flow.
        bh_flowid: u32 = 48,
        /// Bytes not sent yet, at the interface.
        bh_unsent_bytes: u32 = 52,
        /// Bytes not sent yet, in the socket.
        bh_unsent_snd: u32 = 56,
        /// Generation of compression.
        bh_comp_gencnt: u32 = 60,
    }

    /// A descriptor as `debug.bpf_stats` shows it since macOS 14.
    struct xbpf_d: 136, 8, () {
        /// This structure's size.
        bd_structsize: u32 = 0,
        /// `N` of `/dev/bpfN`.
        bd_dev_minor: i32 = 4,
        /// The signal.
        bd_sig: i32 = 8,
        /// Bytes in the store buffer.
        bd_slen: u32 = 12,
        /// Bytes in the hold buffer.
        bd_hlen: u32 = 16,
        /// A buffer's length in bytes.
        bd_bufsize: u32 = 20,
        /// The process that opened it.
        bd_pid: i32 = 24,
        /// Asked for every frame.
        bd_promisc: u8 = 28,
        /// Immediate.
        bd_immediate: u8 = 29,
        /// Frames are written with their own source.
        bd_hdrcmplt: u8 = 30,
        /// Raises a signal.
        bd_async: u8 = 31,
        /// Drops the oldest.
        bd_headdrop: u8 = 32,
        /// Which directions.
        bd_direction: u8 = 33,
        /// Compression is asked for.
        bh_compreq: u8 = 34,
        /// Compression is on.
        bh_compenabled: u8 = 35,
        /// Extended headers.
        bd_exthdr: u8 = 36,
        /// Cuts packets.
        bd_trunc: u8 = 37,
        /// Headers of version 2.
        bd_pkthdrv2: u8 = 38,
        /// Bits: batch write, divert input. Bit fields in C, whose place C cannot tell.
        bd_pad0: u8 = 39,
        /// Packets offered.
        bd_rcount: u64 = 40,
        /// Packets dropped.
        bd_dcount: u64 = 48,
        /// Packets that the filter took.
        bd_fcount: u64 = 56,
        /// Frames written.
        bd_wcount: u64 = 64,
        /// Frames whose write failed.
        bd_wdcount: u64 = 72,
        /// The interface.
        bd_ifname: [u8; 16] = 80,
        /// Compressed packets.
        bd_comp_count: u64 = 96,
        /// Bytes saved by it.
        bd_comp_size: u64 = 104,
        /// Packets in the store buffer.
        bd_scnt: u32 = 112,
        /// Packets in the hold buffer.
        bd_hcnt: u32 = 116,
        /// Reads.
        bd_read_count: u64 = 120,
        /// Bytes that the filter took.
        bd_fsize: u64 = 128,
    }

    /// Which descriptor's buffers, and the interface.
    struct bpf_setup_args: 32, 1, () {
        /// The other descriptor's identifier.
        bsa_uuid: [u8; 16] = 0,
        /// The interface.
        bsa_ifname: [u8; 16] = 16,
    }

    /// Counters of compressed headers.
    struct bpf_comp_stats: 56, 8, () {
        /// Packets read.
        bcs_total_read: u64 = 0,
        /// Their bytes.
        bcs_total_size: u64 = 8,
        /// Their headers' bytes.
        bcs_total_hdr_size: u64 = 16,
        /// Packets that could not be compressed.
        bcs_count_no_common_prefix: u64 = 24,
        /// Packets that were.
        bcs_count_compressed_prefix: u64 = 32,
        /// Bytes saved.
        bcs_total_compressed_prefix_size: u64 = 40,
        /// Most bytes saved of one.
        bcs_max_compressed_prefix_size: u64 = 48,
    }

    /// Gets the traffic class of what is written.
    request BIOCGETTC(i32) on BpfDevice = ior::<i32>(b'B', 122), 0x4004_427a;
    /// Sets the traffic class of what is written.
    request BIOCSETTC(i32) on BpfDevice = iow::<i32>(b'B', 123), 0x8004_427b;
    /// Not 0: records begin with a [`bpf_hdr_ext`].
    request BIOCSEXTHDR(u32) on BpfDevice = iow::<u32>(b'B', 124), 0x8004_427c;
    /// Gets how many devices tap the interface named (word 0).
    request BIOCGIFATTACHCOUNT(ifreq) on BpfDevice = iowr::<ifreq>(b'B', 125), 0xc020_427d;
    /// Gets whether records begin with a header of `pktap`.
    request BIOCGWANTPKTAP(u32) on BpfDevice = ior::<u32>(b'B', 127), 0x4004_427f;
    /// Not 0: records begin with a header of `pktap`.
    request BIOCSWANTPKTAP(u32) on BpfDevice = iowr::<u32>(b'B', 127), 0xc004_427f;
    /// Not 0: when the buffers are full, the oldest records are dropped, not the newest.
    request BIOCSHEADDROP(i32) on BpfDevice = iow::<i32>(b'B', 128), 0x8004_4280;
    /// Gets which records are dropped.
    request BIOCGHEADDROP(i32) on BpfDevice = ior::<i32>(b'B', 128), 0x4004_4280;
    /// Not 0: packets are cut to their headers (`pktap` alone).
    request BIOCSTRUNCATE(u32) on BpfDevice = iow::<u32>(b'B', 129), 0x8004_4281;
    /// Gets the descriptor's identifier.
    request BIOCGETUUID([u8; 16]) on BpfDevice = ior::<[u8; 16]>(b'B', 130), 0x4010_4282;
    /// Takes over another descriptor's buffers, of the same process.
    request BIOCSETUP(bpf_setup_args) on BpfDevice = iow::<bpf_setup_args>(b'B', 131), 0x8020_4283;
    /// Not 0: headers of `pktap` are of version 2.
    request BIOCSPKTHDRV2(i32) on BpfDevice = iow::<i32>(b'B', 132), 0x8004_4284;
    /// Is meant to get the version of headers of `pktap`; its number says that it sets it.
    request BIOCGPKTHDRV2(i32) on BpfDevice = iow::<i32>(b'B', 133), 0x8004_4285;
    /// Gets whether headers are compressed; since macOS 13.
    request BIOCGHDRCOMP(i32) on BpfDevice = ior::<i32>(b'B', 134), 0x4004_4286;
    /// Compresses headers; since macOS 13. Not to be used: with an argument other than 0 and 1 the
    /// kernel (11417) never gives BPF's lock back.
    request BIOCSHDRCOMP(i32) on BpfDevice = iow::<i32>(b'B', 135), 0x8004_4287;
    /// Gets counters of compressed headers.
    request BIOCGHDRCOMPSTATS(bpf_comp_stats) on BpfDevice =
        ior::<bpf_comp_stats>(b'B', 136), 0x4038_4288;
    /// Gets whether the next read gives compressed headers.
    request BIOCGHDRCOMPON(i32) on BpfDevice = ior::<i32>(b'B', 137), 0x4004_4289;
    /// Gets which directions are captured; since macOS 14.
    request BIOCGDIRECTION(i32) on BpfDevice = ior::<i32>(b'B', 138), 0x4004_428a;
    /// Sets which directions are captured ([`BPF_D_IN`] and the like); since macOS 14.
    request BIOCSDIRECTION(i32) on BpfDevice = iow::<i32>(b'B', 139), 0x8004_428b;
    /// Not 0: the MTU no longer bounds what is written; at most 16 MiB (`EINVAL`). Since macOS
    /// 14.1.
    request BIOCSWRITEMAX(u32) on BpfDevice = iow::<u32>(b'B', 140), 0x8004_428c;
    /// Gets what [`BIOCSWRITEMAX`] set.
    request BIOCGWRITEMAX(u32) on BpfDevice = ior::<u32>(b'B', 141), 0x4004_428d;
    /// Gets whether one write carries many records.
    request BIOCGBATCHWRITE(i32) on BpfDevice = ior::<i32>(b'B', 142), 0x4004_428e;
    /// Not 0: one write carries many records, each with its header; since macOS 14.1. `EINVAL`
    /// without [`BIOCSHDRCMPLT`](crate::bpf::BIOCSHDRCMPLT).
    request BIOCSBATCHWRITE(i32) on BpfDevice = iow::<i32>(b'B', 143), 0x8004_428f;
    /// Gets whether packets are stamped with the time.
    request BIOCGNOTSTAMP(i32) on BpfDevice = ior::<i32>(b'B', 144), 0x4004_4290;
    /// Not 0: packets are not stamped with the time; since macOS 15.
    request BIOCSNOTSTAMP(i32) on BpfDevice = iow::<i32>(b'B', 145), 0x8004_4291;
    /// Gets whether what is received is kept from the host.
    request BIOCGDVRTIN(i32) on BpfDevice = ior::<i32>(b'B', 146), 0x4004_4292;
    /// Not 0: what the interface receives goes to taps and no further; since macOS 15, after
    /// `BIOCSETIF`. `EALREADY`: it does so already.
    request BIOCSDVRTIN(i32) on BpfDevice = iow::<i32>(b'B', 146), 0x8004_4292;
}
