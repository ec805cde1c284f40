//! The numbers of classic BPF: XNU `bsd/net/bpf.h`, Linux `include/uapi/linux/bpf_common.h` and
//! `filter.h`.

pub(crate) const CLASS_MASK: u16 = 0x07;
pub(crate) const LD: u16 = 0x00;
pub(crate) const LDX: u16 = 0x01;
pub(crate) const ST: u16 = 0x02;
pub(crate) const STX: u16 = 0x03;
pub(crate) const ALU: u16 = 0x04;
pub(crate) const JMP: u16 = 0x05;
pub(crate) const RET: u16 = 0x06;
pub(crate) const MISC: u16 = 0x07;

pub(crate) const W: u16 = 0x00;
pub(crate) const H: u16 = 0x08;
pub(crate) const B: u16 = 0x10;

pub(crate) const MODE_MASK: u16 = 0xe0;
pub(crate) const IMM: u16 = 0x00;
pub(crate) const ABS: u16 = 0x20;
pub(crate) const IND: u16 = 0x40;
pub(crate) const MEM: u16 = 0x60;
pub(crate) const LEN: u16 = 0x80;
pub(crate) const MSH: u16 = 0xa0;

pub(crate) const OP_MASK: u16 = 0xf0;
pub(crate) const ADD: u16 = 0x00;
pub(crate) const SUB: u16 = 0x10;
pub(crate) const MUL: u16 = 0x20;
pub(crate) const DIV: u16 = 0x30;
pub(crate) const OR: u16 = 0x40;
pub(crate) const AND: u16 = 0x50;
pub(crate) const LSH: u16 = 0x60;
pub(crate) const RSH: u16 = 0x70;
pub(crate) const NEG: u16 = 0x80;
/// Linux only.
pub(crate) const MOD: u16 = 0x90;
/// Linux only.
pub(crate) const XOR: u16 = 0xa0;

pub(crate) const JA: u16 = 0x00;
pub(crate) const JEQ: u16 = 0x10;
pub(crate) const JGT: u16 = 0x20;
pub(crate) const JGE: u16 = 0x30;
pub(crate) const JSET: u16 = 0x40;

pub(crate) const SRC_MASK: u16 = 0x08;
pub(crate) const K: u16 = 0x00;
pub(crate) const X: u16 = 0x08;
/// The accumulator as what RET returns.
pub(crate) const RET_A: u16 = 0x10;

pub(crate) const TAX: u16 = 0x00;
pub(crate) const TXA: u16 = 0x80;

/// Where Linux's ancillary "offsets" begin (`SKF_AD_OFF`, -0x1000).
pub(crate) const ANCILLARY: u32 = 0xffff_f000;
/// Where Linux's offsets relative to the network header begin (`SKF_NET_OFF`, -0x100000).
pub(crate) const NETWORK: u32 = 0xfff0_0000;
/// Where Linux's offsets relative to the link header begin (`SKF_LL_OFF`, -0x200000).
pub(crate) const LINK: u32 = 0xffe0_0000;
