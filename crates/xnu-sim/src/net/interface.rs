//! An interface: what XNU keeps in its `ifnet` (`bsd/net/if_var.h`, `bsd/net/if_private.h`).

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};

use super::IfId;
use super::bridge::Bridge;
use super::ether::Ethernet;
use super::feth::Feth;
use super::send_queue::SendQueue;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// `ether_header`: two addresses and a type.
pub(crate) const ETHERNET_HEADER_BYTES: usize = 14;

/// The names of `if_flags` (contract §1a; `bsd/net/if.h`).
pub(crate) mod flags {
    pub(crate) const UP: u16 = 0x1;
    pub(crate) const BROADCAST: u16 = 0x2;
    pub(crate) const LOOPBACK: u16 = 0x8;
    pub(crate) const POINT_TO_POINT: u16 = 0x10;
    pub(crate) const NO_TRAILERS: u16 = 0x20;
    pub(crate) const RUNNING: u16 = 0x40;
    pub(crate) const PROMISCUOUS: u16 = 0x100;
    pub(crate) const ALL_MULTICAST: u16 = 0x200;
    pub(crate) const OUTPUT_ACTIVE: u16 = 0x400;
    pub(crate) const SIMPLEX: u16 = 0x800;
    pub(crate) const MULTICAST: u16 = 0x8000;
    /// What `SIOCSIFFLAGS` leaves alone (`IFF_CANTCHANGE`).
    pub(crate) const CANNOT_CHANGE: u16 =
        BROADCAST | POINT_TO_POINT | RUNNING | OUTPUT_ACTIVE | SIMPLEX | MULTICAST | ALL_MULTICAST;
}

/// `IFXF_DISABLE_INPUT` (contract §1a).
pub(crate) const XFLAG_INPUT_DISABLED: u32 = 0x0004_0000;
/// `IFEF_CLONE`: made by `SIOCIFCREATE`.
pub(crate) const EFLAG_CLONE: u32 = 0x0001_0000;
/// `IFEF_TXSTART`: it has a send queue and a starter thread.
pub(crate) const EFLAG_TXSTART: u32 = 0x0000_0080;

/// The names of `if_capabilities` (`bsd/net/if.h`).
pub(crate) mod capability {
    /// `IFCAP_HWCSUM`.
    pub(crate) const CHECKSUM: u32 = 0x3;
    pub(crate) const VLAN_MTU: u32 = 0x4;
    pub(crate) const VLAN_TAGGING: u32 = 0x8;
    /// `IFCAP_TSO4` and `IFCAP_TSO6`.
    pub(crate) const TSO: u32 = 0x60;
    pub(crate) const LRO: u32 = 0x80;
}

/// Where an interface object is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// In the list, found by name.
    Attached,
    /// Out of the list; a thread takes it apart (contract §4 destroy, C13).
    Detaching,
    /// Nobody's, until its name is used again.
    Free,
}

/// What drives an interface.
#[derive(Debug)]
pub(crate) enum Driver {
    /// Nothing: the object is free.
    None,
    Loopback,
    Feth(Feth),
    Bridge(Box<Bridge>),
    Ethernet(Ethernet),
}

/// A frame within the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// All of it, header first; without the tag that is in `tag`.
    pub(crate) bytes: Vec<u8>,
    /// A bridge sent it here: it does not go through a bridge again (`M_PROTO1`, contract M16).
    pub(crate) is_bridged: bool,
    /// An 802.1Q tag that travels beside the frame (contract §4 VLAN, C7).
    pub(crate) tag: Option<u16>,
    /// A planned delay has been met already.
    pub(crate) was_delayed: bool,
}

impl Frame {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, is_bridged: false, tag: None, was_delayed: false }
    }

    /// The frame marked as a bridge's.
    pub(crate) fn bridged(mut self) -> Self {
        self.is_bridged = true;
        self
    }

    pub(crate) fn destination(&self) -> Mac {
        mac_at(&self.bytes, 0)
    }

    pub(crate) fn source(&self) -> Mac {
        mac_at(&self.bytes, 6)
    }

    pub(crate) fn ethertype(&self) -> u16 {
        match self.bytes.get(12..14) {
            Some(field) => u16::from_be_bytes([field[0], field[1]]),
            None => 0,
        }
    }

    /// Broadcast or multicast.
    pub(crate) fn is_group(&self) -> bool {
        self.bytes.first().is_some_and(|first| first & 1 != 0)
    }

    /// The frame as a tap sees it: the tag is put back in (contract §4 VLAN).
    pub(crate) fn for_tap(&self) -> Cow<'_, [u8]> {
        match (self.tag, self.bytes.split_at_checked(12)) {
            (Some(tag), Some((addresses, rest))) => {
                let tag = tag.to_be_bytes();
                Cow::Owned([addresses, &[0x81, 0x00], &tag, rest].concat())
            }
            _ => Cow::Borrowed(&self.bytes),
        }
    }
}

fn mac_at(bytes: &[u8], at: usize) -> Mac {
    let mut mac = [0; 6];
    if let Some(field) = bytes.get(at..at + 6) {
        mac.copy_from_slice(field);
    }
    mac
}

/// What waits for the input thread.
#[derive(Debug, Default)]
pub(crate) struct InputQueue {
    pub(crate) frames: VecDeque<Frame>,
    pub(crate) is_started: bool,
}

/// What passed (`if_data`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) frames_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) frames_out: u64,
    pub(crate) bytes_out: u64,
    /// Lost in the send queue, in the input queue, or for want of a peer.
    pub(crate) dropped: u64,
}

/// An address of an interface but that of its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `sockaddr_in` or `sockaddr_in6`, whole.
    pub(crate) address: Vec<u8>,
    pub(crate) netmask: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Interface {
    /// `feth7`.
    pub(crate) name: String,
    /// `feth`.
    pub(crate) driver_name: String,
    pub(crate) unit: u32,
    /// Kept across lives (contract §4 recycling).
    pub(crate) index: u16,
    pub(crate) life: Life,
    /// Which life this is: what was set going in an earlier one does not touch this.
    pub(crate) born: u64,
    pub(crate) driver: Driver,
    /// `IFT_*`.
    pub(crate) kind: u8,
    /// `sdl_type`: a bridge says `IFT_ETHER` here (contract, seed vs kernel).
    pub(crate) link_kind: u8,
    pub(crate) family: u32,
    pub(crate) subfamily: u32,
    /// `lo0` has none.
    pub(crate) mac: Option<Mac>,
    pub(crate) flags: u16,
    pub(crate) eflags: u32,
    pub(crate) xflags: u32,
    pub(crate) mtu: u32,
    pub(crate) description: Vec<u8>,
    pub(crate) capabilities: u32,
    pub(crate) capabilities_enabled: u32,
    pub(crate) promiscuous_count: u32,
    pub(crate) all_multicast_count: u32,
    /// Groups joined by `SIOCADDMULTI`, with how often.
    pub(crate) groups: Vec<(Vec<u8>, u32)>,
    pub(crate) protocols: BTreeSet<u32>,
    pub(crate) addresses: Vec<Address>,
    /// The bridge it is a member of.
    pub(crate) member_of: Option<IfId>,
    pub(crate) traffic: Traffic,
    pub(crate) send: SendQueue,
    pub(crate) input: InputQueue,
    /// What reached the host's stack from here, for tests; the newest are kept.
    pub(crate) host_received: VecDeque<Vec<u8>>,
    pub(crate) host_received_count: u64,
}

/// What a driver says of a new interface.
#[derive(Debug)]
pub(crate) struct NewInterface {
    pub(crate) driver_name: String,
    pub(crate) unit: u32,
    pub(crate) driver: Driver,
    pub(crate) kind: u8,
    pub(crate) family: u32,
    pub(crate) subfamily: u32,
    pub(crate) mac: Option<Mac>,
    pub(crate) flags: u16,
    pub(crate) mtu: u32,
    pub(crate) eflags: u32,
    pub(crate) capabilities: u32,
}

impl Interface {
    /// An object that nobody uses yet.
    pub(crate) fn free(name: String, index: u16) -> Self {
        Self {
            name,
            driver_name: String::new(),
            unit: 0,
            index,
            life: Life::Free,
            born: 0,
            driver: Driver::None,
            kind: 0,
            link_kind: 0,
            family: 0,
            subfamily: 0,
            mac: None,
            flags: 0,
            eflags: 0,
            xflags: 0,
            mtu: 0,
            description: Vec::new(),
            capabilities: 0,
            capabilities_enabled: 0,
            promiscuous_count: 0,
            all_multicast_count: 0,
            groups: Vec::new(),
            protocols: BTreeSet::new(),
            addresses: Vec::new(),
            member_of: None,
            traffic: Traffic::default(),
            send: SendQueue::default(),
            input: InputQueue::default(),
            host_received: VecDeque::new(),
            host_received_count: 0,
        }
    }

    /// The object's next life.
    pub(crate) fn begin(&mut self, new: NewInterface) {
        let next = Self {
            driver_name: new.driver_name,
            unit: new.unit,
            life: Life::Attached,
            born: self.born + 1,
            driver: new.driver,
            kind: new.kind,
            link_kind: new.kind,
            family: new.family,
            subfamily: new.subfamily,
            mac: new.mac,
            flags: new.flags,
            mtu: new.mtu,
            eflags: new.eflags,
            capabilities: new.capabilities,
            capabilities_enabled: new.capabilities,
            ..Self::free(std::mem::take(&mut self.name), self.index)
        };
        *self = next;
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.life == Life::Attached
    }

    pub(crate) fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// A bridge.
    pub(crate) fn bridge(&self) -> Option<&Bridge> {
        match &self.driver {
            Driver::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    pub(crate) fn bridge_mut(&mut self) -> Option<&mut Bridge> {
        match &mut self.driver {
            Driver::Bridge(bridge) => Some(bridge),
            _ => None,
        }
    }

    pub(crate) fn feth(&self) -> Option<&Feth> {
        match &self.driver {
            Driver::Feth(feth) => Some(feth),
            _ => None,
        }
    }

    pub(crate) fn feth_mut(&mut self) -> Option<&mut Feth> {
        match &mut self.driver {
            Driver::Feth(feth) => Some(feth),
            _ => None,
        }
    }
}
