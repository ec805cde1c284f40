//! `<net/if.h>`: interfaces (XNU `bsd/net/if.h`). The requests that take these types are in
//! [`sys_sockio`](crate::sys_sockio).

use crate::net_if_var::net_event_data;
use crate::sys_socket::sockaddr;

mod ifreq_union;

header! {
    header "net/if.h", public;

    /// Bytes of an interface's name, its closing zero included.
    const IFNAMSIZ: usize = 16;

    /// Is up.
    const IFF_UP: u32 = 0x1;
    /// Has a broadcast address.
    const IFF_BROADCAST: u32 = 0x2;
    /// Debugging is on.
    const IFF_DEBUG: u32 = 0x4;
    /// Is a loopback.
    const IFF_LOOPBACK: u32 = 0x8;
    /// Is a point-to-point link.
    const IFF_POINTOPOINT: u32 = 0x10;
    /// Obsolete.
    const IFF_NOTRAILERS: u32 = 0x20;
    /// Its resources are there. A feth and a bridge set it when they are up.
    const IFF_RUNNING: u32 = 0x40;
    /// Does not resolve addresses.
    const IFF_NOARP: u32 = 0x80;
    /// Receives every frame.
    const IFF_PROMISC: u32 = 0x100;
    /// Receives every multicast frame.
    const IFF_ALLMULTI: u32 = 0x200;
    /// Is transmitting.
    const IFF_OACTIVE: u32 = 0x400;
    /// Does not hear its own frames.
    const IFF_SIMPLEX: u32 = 0x800;
    /// The link layer's own.
    const IFF_LINK0: u32 = 0x1000;
    /// The link layer's own.
    const IFF_LINK1: u32 = 0x2000;
    /// The link layer's own.
    const IFF_LINK2: u32 = 0x4000;
    /// Takes multicast.
    const IFF_MULTICAST: u32 = 0x8000;

    /// Capability: checksums of what is received are checked.
    const IFCAP_RXCSUM: u32 = 0x1;
    /// Capability: checksums of what is sent are made.
    const IFCAP_TXCSUM: u32 = 0x2;
    /// Capability: a VLAN's tag fits beside a full MTU.
    const IFCAP_VLAN_MTU: u32 = 0x4;
    /// Capability: a VLAN's tag travels beside the frame.
    const IFCAP_VLAN_HWTAGGING: u32 = 0x8;
    /// Capability: an MTU of 9,000.
    const IFCAP_JUMBO_MTU: u32 = 0x10;
    /// Capability: segments TCP over IPv4.
    const IFCAP_TSO4: u32 = 0x20;
    /// Capability: segments TCP over IPv6.
    const IFCAP_TSO6: u32 = 0x40;
    /// Capability: joins segments that are received.
    const IFCAP_LRO: u32 = 0x80;

    /// `SIOCGIFFUNCTIONALTYPE`: unknown.
    const IFRTYPE_FUNCTIONAL_UNKNOWN: u32 = 0;
    /// `SIOCGIFFUNCTIONALTYPE`: a loopback.
    const IFRTYPE_FUNCTIONAL_LOOPBACK: u32 = 1;
    /// `SIOCGIFFUNCTIONALTYPE`: wired. A feth and a bridge say so too.
    const IFRTYPE_FUNCTIONAL_WIRED: u32 = 2;
    /// `SIOCGIFFUNCTIONALTYPE`: Wi-Fi to an access point.
    const IFRTYPE_FUNCTIONAL_WIFI_INFRA: u32 = 3;
    /// `SIOCGIFFUNCTIONALTYPE`: Wi-Fi between Apple's devices.
    const IFRTYPE_FUNCTIONAL_WIFI_AWDL: u32 = 4;
    /// `SIOCGIFFUNCTIONALTYPE`: cellular.
    const IFRTYPE_FUNCTIONAL_CELLULAR: u32 = 5;
    /// `SIOCGIFFUNCTIONALTYPE`: a coprocessor within this machine.
    const IFRTYPE_FUNCTIONAL_INTCOPROC: u32 = 6;
    /// `SIOCGIFFUNCTIONALTYPE`: a link to a companion device.
    const IFRTYPE_FUNCTIONAL_COMPANIONLINK: u32 = 7;
    /// `SIOCGIFFUNCTIONALTYPE`: for management.
    const IFRTYPE_FUNCTIONAL_MANAGEMENT: u32 = 8;

    /// Wakes the machine on a magic packet (`SIOCGIFWAKEFLAGS`).
    const IF_WAKE_ON_MAGIC_PACKET: u32 = 0x1;

    /// Most text of an [`ifstat`].
    const IFSTATMAX: usize = 800;

    /// What most requests about interfaces take: a name and 16 bytes whose meaning is the
    /// request's.
    struct ifreq: 32, 8, (, align(8)) {
        /// The interface.
        ifr_name: [u8; 16] = 0,
        /// A union: flags, an MTU, an address, …
        ifr_ifru: [u8; 16] = 16,
    }

    /// A device's MTU and its bounds: the second half of an [`ifreq`] of `SIOCGIFDEVMTU`.
    struct ifdevmtu: 12, 4, () {
        /// Now.
        ifdm_current: i32 = 0,
        /// Least.
        ifdm_min: i32 = 4,
        /// Most.
        ifdm_max: i32 = 8,
    }

    /// Adds an IPv4 address.
    struct ifaliasreq: 64, 1, () {
        /// The interface.
        ifra_name: [u8; 16] = 0,
        /// The address.
        ifra_addr: sockaddr = 16,
        /// The broadcast address, or the other end's.
        ifra_broadaddr: sockaddr = 32,
        /// The network's mask.
        ifra_mask: sockaddr = 48,
    }

    /// Which media an interface has.
    struct ifmediareq: 44, 4, (, packed(4)) {
        /// The interface.
        ifm_name: [u8; 16] = 0,
        /// The medium that is chosen.
        ifm_current: i32 = 16,
        /// Bits that do not count.
        ifm_mask: i32 = 20,
        /// `IFM_AVALID`, `IFM_ACTIVE`.
        ifm_status: i32 = 24,
        /// The medium in use.
        ifm_active: i32 = 28,
        /// In: the list's room. Out: how many media there are.
        ifm_count: i32 = 32,
        /// Pointer to room for the list (`i32` each); 0 for none.
        ifm_ulist: u64 = 36,
    }

    /// A command for an interface's driver.
    struct ifdrv: 40, 4, (, packed(4)) {
        /// The interface.
        ifd_name: [u8; 16] = 0,
        /// The command.
        ifd_cmd: u64 = 16,
        /// The argument's length in bytes; a bridge compares it exactly.
        ifd_len: u64 = 24,
        /// Pointer to the argument.
        ifd_data: u64 = 32,
    }

    /// What an interface says of itself in words.
    struct ifstat: 817, 1, () {
        /// The interface.
        ifs_name: [u8; 16] = 0,
        /// Lines of text, and a zero.
        ascii: [u8; 801] = 16,
    }

    /// Every interface's addresses.
    struct ifconf: 12, 4, (, packed(4)) {
        /// In: the room's length in bytes. Out: how many were used.
        ifc_len: i32 = 0,
        /// Pointer to the room.
        ifc_ifcu: u64 = 4,
    }

    /// Which kinds of interfaces can be created.
    struct if_clonereq: 16, 8, () {
        /// Out: how many there are.
        ifcr_total: i32 = 0,
        /// The room's size in names of [`IFNAMSIZ`] bytes.
        ifcr_count: i32 = 4,
        /// Pointer to the room; 0 to ask how many there are.
        ifcr_buffer: u64 = 8,
    }

    /// Resolves a multicast address.
    struct rslvmulti_req: 16, 8, () {
        /// Pointer to the address.
        sa: u64 = 0,
        /// Pointer to where a pointer to the link's address goes.
        llsa: u64 = 8,
    }

    /// The data of `KEV_DL_PROTO_ATTACHED` and `KEV_DL_PROTO_DETACHED`.
    struct kev_dl_proto_data: 32, 4, () {
        /// The interface.
        link_data: net_event_data = 0,
        /// The protocol's family.
        proto_family: u32 = 24,
        /// How many protocols remain.
        proto_remaining_count: u32 = 28,
    }
}
