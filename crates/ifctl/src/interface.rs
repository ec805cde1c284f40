//! What an interface is.

use std::fmt;
use std::net::IpAddr;

use bitflags::bitflags;

/// One network interface as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// The kernel's number for it; not used again after it is gone, until the numbers run out.
    pub index: u32,
    /// Its name. Bytes that are no UTF-8 (the kernel permits them) are shown as U+FFFD.
    pub name: String,
    /// What made it.
    pub kind: Kind,
    /// Its link-layer address, where that is six bytes long.
    pub mac: Option<[u8; 6]>,
    /// All its IPv4 and IPv6 addresses, in the kernel's order, IPv4 first.
    pub addresses: Vec<Address>,
    /// Largest packet in bytes, without the Ethernet header.
    pub mtu: u32,
    /// What it is set to and what it found.
    pub flags: Flags,
    /// Whether it can pass packets (RFC 2863).
    pub state: OperState,
    /// Name of the interface that it belongs to: a bridge, or also a bond, a team, a VRF.
    pub master: Option<String>,
    /// Index of the other end of a pair, if it has one, in the same namespace.
    pub peer_index: Option<u32>,
}

impl Interface {
    /// Whether it is set to be up (`IFF_UP`); whether it works is in its `state`.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags.contains(Flags::UP)
    }
}

/// What made an interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The machine itself.
    Loopback,
    /// A network card, or what a virtual machine has for one.
    Ethernet,
    /// A software bridge.
    Bridge,
    /// One end of a pair: what one end sends, the other receives.
    Veth,
    /// The same on a Mac: a "fake" Ethernet interface, with or without a peer.
    Feth,
    /// A program's Ethernet interface.
    Tap,
    /// A program's IP interface.
    Tun,
    /// An 802.1Q sub-interface.
    Vlan,
    /// Anything else, by the kernel's name for it: `dummy`, `bond`, `wireguard`.
    Other(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Ethernet => "ethernet",
            Self::Bridge => "bridge",
            Self::Veth => "veth",
            Self::Feth => "feth",
            Self::Tap => "tap",
            Self::Tun => "tun",
            Self::Vlan => "vlan",
            Self::Other(kind) => kind,
        })
    }
}

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The interface's own address.
    pub address: IpAddr,
    /// How many leading bits name the network.
    pub prefix_len: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_len)
    }
}

bitflags! {
    /// What an interface is set to and what it found; the names of `IFF_*` in netdevice(7), the
    /// values of Linux (on a Mac they are told by name: its own values differ).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Flags: u32 {
        /// It was switched on.
        const UP = 0x1;
        /// It has a broadcast address.
        const BROADCAST = 0x2;
        /// Its driver was asked to be talkative.
        const DEBUG = 0x4;
        /// It is the machine itself.
        const LOOPBACK = 0x8;
        /// It has one neighbour.
        const POINTOPOINT = 0x10;
        /// Avoid trailers (historic).
        const NOTRAILERS = 0x20;
        /// It is up and has a link.
        const RUNNING = 0x40;
        /// No ARP is spoken on it.
        const NOARP = 0x80;
        /// It takes every frame.
        const PROMISC = 0x100;
        /// It takes every multicast frame.
        const ALLMULTI = 0x200;
        /// It leads others (equalising, historic).
        const MASTER = 0x400;
        /// It follows another (bonding).
        const SLAVE = 0x800;
        /// It can do multicast.
        const MULTICAST = 0x1000;
        /// Its medium can be chosen.
        const PORTSEL = 0x2000;
        /// Its medium is chosen by itself.
        const AUTOMEDIA = 0x4000;
        /// Its addresses come and go.
        const DYNAMIC = 0x8000;
        /// Its driver has a link below it.
        const LOWER_UP = 0x1_0000;
        /// It waits for something, such as an authentication.
        const DORMANT = 0x2_0000;
        /// What it sends comes back.
        const ECHO = 0x4_0000;
        /// It does not hear what it sends (XNU only; no value of Linux).
        const SIMPLEX = 0x100_0000;
    }
}

/// Whether an interface can pass packets: `ifOperStatus` of RFC 2863.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperState {
    /// Nobody says; common for interfaces whose driver does not.
    Unknown,
    /// Its hardware is missing.
    NotPresent,
    /// It cannot, or was switched off.
    Down,
    /// What it stands on cannot.
    LowerLayerDown,
    /// It is being tested.
    Testing,
    /// It waits for something outside.
    Dormant,
    /// It can.
    Up,
}

impl fmt::Display for OperState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::NotPresent => "notpresent",
            Self::Down => "down",
            Self::LowerLayerDown => "lowerlayerdown",
            Self::Testing => "testing",
            Self::Dormant => "dormant",
            Self::Up => "up",
        })
    }
}
