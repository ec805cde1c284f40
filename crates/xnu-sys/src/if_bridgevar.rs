//! `<net/if_bridgevar.h>`: bridges (XNU `bsd/net/if_bridgevar.h`, `bsd/net/if_bridge.c`).
//!
//! A bridge looks at a command's number, at its direction, at the caller's privilege (`EPERM`) and
//! at the argument's exact length (`EINVAL`), in this order. `ENXIO`: there is no such bridge.

use crate::sys_time::timeval;

header! {
    header "net/if_bridgevar.h", private;

    /// A member.
    struct ifbreq: 80, 4, () {
        /// The member's name.
        ifbr_ifsname: [u8; 16] = 0,
        /// [`IFBIF_LEARNING`] and the like.
        ifbr_ifsflags: u32 = 16,
        /// Flags of the spanning tree.
        ifbr_stpflags: u32 = 20,
        /// Path cost in the spanning tree.
        ifbr_path_cost: u32 = 24,
        /// Number of the port: the lowest 8 bits of the interface's index.
        ifbr_portno: u8 = 28,
        /// Priority in the spanning tree.
        ifbr_priority: u8 = 29,
        /// Protocol of the spanning tree.
        ifbr_proto: u8 = 30,
        /// Role in the spanning tree.
        ifbr_role: u8 = 31,
        /// State in the spanning tree.
        ifbr_state: u8 = 32,
        /// Nothing.
        ifbr_pad0: [u8; 3] = 33,
        /// How many addresses it has.
        ifbr_addrcnt: u32 = 36,
        /// How many it may have; 0: as many as it likes.
        ifbr_addrmax: u32 = 40,
        /// How often there were more.
        ifbr_addrexceeded: u32 = 44,
        /// Nothing.
        pad: [u8; 32] = 48,
    }

    /// The list of members.
    struct ifbifconf: 12, 4, (, packed(4)) {
        /// In: the room's length in bytes; 0 to ask how much is needed. Out: bytes written or
        /// needed.
        ifbic_len: u32 = 0,
        /// Pointer to room for [`ifbreq`]s.
        ifbic_ifbicu: u64 = 4,
    }

    /// An address of the bridge's table; lists of it have a stride of 36 bytes.
    struct ifbareq: 36, 4, (, packed(4)) {
        /// The member.
        ifba_ifsname: [u8; 16] = 0,
        /// In how many seconds it is forgotten; ignored when set.
        ifba_expire: u64 = 16,
        /// [`IFBAF_STATIC`] and the like.
        ifba_flags: u8 = 24,
        /// The MAC.
        ifba_dst: [u8; 6] = 25,
        /// Nothing.
        ifba_pad0: u8 = 31,
        /// The VLAN; 0 and 1 are the same, others are never looked up.
        ifba_vlan: u16 = 32,
        /// Nothing.
        ifba_pad1: u16 = 34,
    }

    /// The list of addresses.
    struct ifbaconf: 12, 4, (, packed(4)) {
        /// In: the room's length in bytes (with 0 nothing is said of what is needed). Out: bytes
        /// written.
        ifbac_len: u32 = 0,
        /// Pointer to room for [`ifbareq`]s.
        ifbac_ifbacu: u64 = 4,
    }

    /// One number about a bridge: a `u32`, or its first byte, or its first two.
    struct ifbrparam: 4, 4, () {
        /// The number; [`Self::u16`] and [`Self::u8`] for shorter ones.
        ifbrp_ifbrpu: u32 = 0,
    }

    /// How the spanning tree does.
    struct ifbropreq: 56, 4, (, packed(4)) {
        /// Hold count.
        ifbop_holdcount: u8 = 0,
        /// Maximum age.
        ifbop_maxage: u8 = 1,
        /// Hello time.
        ifbop_hellotime: u8 = 2,
        /// Forward delay.
        ifbop_fwddelay: u8 = 3,
        /// Protocol.
        ifbop_protocol: u8 = 4,
        /// Nothing.
        ifbop_pad0: u8 = 5,
        /// Priority.
        ifbop_priority: u16 = 6,
        /// The root's port.
        ifbop_root_port: u16 = 8,
        /// Nothing.
        ifbop_pad1: u16 = 10,
        /// The path's cost to the root.
        ifbop_root_path_cost: u32 = 12,
        /// The bridge.
        ifbop_bridgeid: u64 = 16,
        /// The root.
        ifbop_designated_root: u64 = 24,
        /// The designated bridge.
        ifbop_designated_bridge: u64 = 32,
        /// When the topology last changed.
        ifbop_last_tc_time: timeval = 40,
    }

    /// How a member's spanning tree does.
    struct ifbpstpreq: 32, 4, (, packed(4)) {
        /// Number of the port.
        ifbp_portno: u8 = 0,
        /// Nothing.
        ifbp_pad0: [u8; 3] = 1,
        /// How often it began to forward.
        ifbp_fwd_trans: u32 = 4,
        /// Designated cost.
        ifbp_design_cost: u32 = 8,
        /// Designated port.
        ifbp_design_port: u32 = 12,
        /// Designated bridge.
        ifbp_design_bridge: u64 = 16,
        /// Designated root.
        ifbp_design_root: u64 = 24,
    }

    /// The list of members' spanning trees.
    struct ifbpstpconf: 12, 4, (, packed(4)) {
        /// In: the room's length in bytes. Out: bytes written.
        ifbpstp_len: u32 = 0,
        /// Pointer to room for [`ifbpstpreq`]s.
        ifbpstp_ifbpstpu: u64 = 4,
    }

    /// From which address a member may send.
    struct ifbrhostfilter: 32, 4, () {
        /// [`IFBRHF_ENABLED`] and the like.
        ifbrhf_flags: u32 = 0,
        /// The member.
        ifbrhf_ifsname: [u8; 16] = 4,
        /// The MAC.
        ifbrhf_hwsrca: [u8; 6] = 20,
        /// Nothing.
        ifbrhf_pad0: [u8; 2] = 26,
        /// The IPv4 address, in network order.
        ifbrhf_ipsrc: u32 = 28,
    }

    /// An address that a Wi-Fi member stands for.
    struct ifbrmne: 48, 4, (, packed(4)) {
        /// The member that has it.
        ifbmne_ifname: [u8; 16] = 0,
        /// In how many seconds it is forgotten.
        ifbmne_expire: u64 = 16,
        /// The MAC.
        ifbmne_mac: [u8; 6] = 24,
        /// Nothing.
        ifbmne_reserved: u8 = 30,
        /// `AF_INET` or `AF_INET6`.
        ifbmne_af: u8 = 31,
        /// The IP address, in network order.
        ifbmne_ip: [u8; 16] = 32,
    }

    /// The list of addresses that a Wi-Fi member stands for.
    struct ifbrmnelist: 16, 4, (, packed(4)) {
        /// In: the room's length in bytes. Out: bytes written or needed.
        ifbml_len: u32 = 0,
        /// Out: an [`ifbrmne`]'s size in bytes.
        ifbml_elsize: u16 = 4,
        /// Nothing.
        ifbml_pad: u16 = 6,
        /// Pointer to room for [`ifbrmne`]s.
        ifbml_buf: u64 = 8,
    }

    /// Asks for a member's counters.
    struct ifbrmreq: 32, 4, (, packed(4)) {
        /// The member.
        brmr_ifname: [u8; 16] = 0,
        /// In: the room's length in bytes. Out: bytes written or needed.
        brmr_len: u32 = 16,
        /// Out: the counters' size in bytes.
        brmr_elsize: u32 = 20,
        /// Pointer to the room.
        brmr_buf: u64 = 24,
    }

    /// Member: learns from what the member sends.
    const IFBIF_LEARNING: u32 = 0x1;
    /// Member: frames to unknown addresses go there.
    const IFBIF_DISCOVER: u32 = 0x2;
    /// Member: takes part in the spanning tree.
    const IFBIF_STP: u32 = 0x4;
    /// Member: is a span port.
    const IFBIF_SPAN: u32 = 0x8;
    /// Member: learned addresses do not move away.
    const IFBIF_STICKY: u32 = 0x10;
    /// Member: spanning tree: an edge.
    const IFBIF_BSTP_EDGE: u32 = 0x20;
    /// Member: spanning tree: finds out whether it is an edge.
    const IFBIF_BSTP_AUTOEDGE: u32 = 0x40;
    /// Member: spanning tree: point to point.
    const IFBIF_BSTP_PTP: u32 = 0x80;
    /// Member: spanning tree: finds out whether it is point to point.
    const IFBIF_BSTP_AUTOPTP: u32 = 0x100;
    /// Member: spanning tree: an edge by configuration.
    const IFBIF_BSTP_ADMEDGE: u32 = 0x200;
    /// Member: spanning tree: cost by configuration.
    const IFBIF_BSTP_ADMCOST: u32 = 0x400;
    /// Member: what arrives there goes to no other private member.
    const IFBIF_PRIVATE: u32 = 0x800;
    /// Member: stands for the others with its own address (Wi-Fi); since macOS 10.15.4.
    const IFBIF_MAC_NAT: u32 = 0x8000;
    /// Member: checksums are made for it; since macOS 12.
    const IFBIF_CHECKSUM_OFFLOAD: u32 = 0x1_0000;
    /// Member: is virtio's; since macOS 15.4.
    const IFBIF_USES_VIRTIO: u32 = 0x2_0000;

    /// [`BRDGFLUSH`]: forget what was learned.
    const IFBF_FLUSHDYN: u32 = 0;
    /// [`BRDGFLUSH`]: forget everything.
    const IFBF_FLUSHALL: u32 = 1;

    /// [`BRDGSFILT`]: on the bridge.
    const IFBF_FILT_USEIPF: u32 = 1;
    /// [`BRDGSFILT`]: on the members.
    const IFBF_FILT_MEMBER: u32 = 2;
    /// [`BRDGSFILT`]: only IP passes.
    const IFBF_FILT_ONLYIP: u32 = 4;

    /// The bits of an address's kind.
    const IFBAF_TYPEMASK: u8 = 0x03;
    /// An address that was learned.
    const IFBAF_DYNAMIC: u8 = 0x00;
    /// An address that was set and does not age.
    const IFBAF_STATIC: u8 = 0x01;
    /// An address that was learned and stays.
    const IFBAF_STICKY: u8 = 0x02;

    /// The host filter is on.
    const IFBRHF_ENABLED: u32 = 0x01;
    /// It compares the MAC.
    const IFBRHF_HWSRC: u32 = 0x02;
    /// It compares the IPv4 address.
    const IFBRHF_IPSRC: u32 = 0x04;

    /// Adds a member; root. `ENOENT`: no such interface; `EEXIST`: it is a member already; `EBUSY`:
    /// it is another bridge's; `EINVAL`: its MTU is not the bridge's, or its type is none that can
    /// be.
    command BRDGADD(ifbreq) set = 0;
    /// Takes a member away; root. `ENOENT`: it is none.
    command BRDGDEL(ifbreq) set = 1;
    /// Gets a member's flags and limits. `ENOENT`: it is none.
    command BRDGGIFFLGS(ifbreq) get = 2;
    /// Sets all of a member's flags; root.
    command BRDGSIFFLGS(ifbreq) set = 3;
    /// Sets how many addresses the table holds; root.
    command BRDGSCACHE(ifbrparam) set = 4;
    /// Gets how many addresses the table holds; 100 unless changed.
    command BRDGGCACHE(ifbrparam) get = 5;
    /// Lists the members: [`Descriptor::bridge_members`](crate::Descriptor).
    pointer command BRDGGIFS(ifbifconf) get = 6;
    /// Lists the addresses: [`Descriptor::bridge_addresses`](crate::Descriptor).
    pointer command BRDGRTS(ifbaconf) get = 7;
    /// Adds an address; root. `ENOENT`: no such member; `EINVAL`: multicast or zero; `ENOSPC`: the
    /// table is full. An address that is static on another member stays there.
    command BRDGSADDR(ifbareq) set = 8;
    /// Sets how long an address lives, in seconds; root.
    command BRDGSTO(ifbrparam) set = 9;
    /// Gets how long an address lives, in seconds; 1,200 unless changed.
    command BRDGGTO(ifbrparam) get = 10;
    /// Takes an address away; root. `ENOENT`: it is not there.
    command BRDGDADDR(ifbareq) set = 11;
    /// Forgets addresses ([`IFBF_FLUSHDYN`], [`IFBF_FLUSHALL`]); root.
    command BRDGFLUSH(ifbreq) set = 12;
    /// Gets the priority of the spanning tree's bridge.
    command BRDGGPRI(ifbrparam) get = 13;
    /// Sets the priority of the spanning tree's bridge; root.
    command BRDGSPRI(ifbrparam) set = 14;
    /// Gets the spanning tree's hello time.
    command BRDGGHT(ifbrparam) get = 15;
    /// Sets the spanning tree's hello time; root.
    command BRDGSHT(ifbrparam) set = 16;
    /// Gets the spanning tree's forward delay.
    command BRDGGFD(ifbrparam) get = 17;
    /// Sets the spanning tree's forward delay; root.
    command BRDGSFD(ifbrparam) set = 18;
    /// Gets the spanning tree's maximum age.
    command BRDGGMA(ifbrparam) get = 19;
    /// Sets the spanning tree's maximum age; root.
    command BRDGSMA(ifbrparam) set = 20;
    /// Sets a member's priority; root.
    command BRDGSIFPRIO(ifbreq) set = 21;
    /// Sets a member's path cost; root.
    command BRDGSIFCOST(ifbreq) set = 22;
    /// Gets where PF filters.
    command BRDGGFILT(ifbrparam) get = 23;
    /// Sets where PF filters ([`IFBF_FILT_USEIPF`] and the like); root.
    command BRDGSFILT(ifbrparam) set = 24;
    /// Does nothing; root.
    command BRDGPURGE(ifbreq) set = 25;
    /// Adds a span port, which gets a copy; root.
    command BRDGADDS(ifbreq) set = 26;
    /// Takes a span port away; root.
    command BRDGDELS(ifbreq) set = 27;
    /// Gets how the spanning tree does.
    command BRDGPARAM(ifbropreq) get = 28;
    /// Gets how many addresses found the table full.
    command BRDGGRTE(ifbrparam) get = 29;
    /// Lists how the members' spanning tree does.
    pointer command BRDGGIFSSTP(ifbpstpconf) get = 30;
    /// Sets the spanning tree's protocol; root.
    command BRDGSPROTO(ifbrparam) set = 31;
    /// Sets the spanning tree's hold count; root.
    command BRDGSTXHC(ifbrparam) set = 32;
    /// Sets how many addresses a member may have (`ifbr_addrmax`; 0: as many as it likes); root.
    command BRDGSIFAMAX(ifbreq) set = 33;
    /// Gets from which address a member may send.
    command BRDGGHOSTFILTER(ifbrhostfilter) get = 34;
    /// Sets from which address a member may send; root.
    command BRDGSHOSTFILTER(ifbrhostfilter) set = 35;
    /// Lists the addresses that a Wi-Fi member stands for.
    pointer command BRDGGMACNATLIST(ifbrmnelist) get = 36;
    /// Gets a member's counters.
    pointer command BRDGGIFSTATS(ifbrmreq) get = 37;
}

impl ifbreq {
    /// A request about a member, all else zero.
    #[must_use]
    pub fn new(member: crate::InterfaceName) -> Self {
        Self { ifbr_ifsname: member.bytes(), ..Self::default() }
    }
}

impl ifbrparam {
    /// A number of 32 bits (`ifbrp_csize`, `ifbrp_ctime`, `ifbrp_filter`).
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self { ifbrp_ifbrpu: value }
    }

    /// The number's first two bytes (`ifbrp_prio`).
    #[must_use]
    pub const fn u16(self) -> u16 {
        let [a, b, ..] = self.ifbrp_ifbrpu.to_ne_bytes();
        u16::from_ne_bytes([a, b])
    }

    /// The number's first byte (`ifbrp_proto`, `ifbrp_hellotime`, …).
    #[must_use]
    pub const fn u8(self) -> u8 {
        self.ifbrp_ifbrpu.to_ne_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel writes a shorter number at the union's begin.
    #[test]
    fn shorter_numbers_are_the_first_bytes() {
        let parameter = ifbrparam::new(u32::from_ne_bytes([0x80, 0x12, 0x34, 0x56]));
        assert_eq!(parameter.u8(), 0x80);
        assert_eq!(parameter.u16(), u16::from_ne_bytes([0x80, 0x12]));
    }

    #[test]
    fn a_request_about_a_member_names_it() {
        let request = ifbreq::new("en0".parse().unwrap());
        assert!(request.ifbr_ifsname.starts_with(b"en0\0"));
        assert_eq!(ifbreq { ifbr_ifsname: [0; 16], ..request }, ifbreq::default());
    }
}
