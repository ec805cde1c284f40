//! What belongs to a bridge.

use std::fmt;

/// One member of a bridge, with the state of its port.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The kernel's number for the interface.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What the port does with frames (IEEE 802.1D port state).
    pub state: PortState,
    /// Number of the port on its bridge, from 1.
    pub port_no: u16,
    /// Cost of the port to the spanning tree; from the link's speed unless it was set.
    pub path_cost: u32,
    /// Priority of the port in the spanning tree, 0 (first) to 63.
    pub priority: u16,
    /// Whether the bridge learns addresses from it.
    pub learning: bool,
    /// Whether frames to unknown unicast addresses are sent to it.
    pub flooding: bool,
    /// Whether it is kept apart from other isolated members.
    pub isolated: bool,
}

/// What a bridge's port does with frames: the states of IEEE 802.1D (17.10 in the 1998 edition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortState {
    /// Nothing: the port, or its bridge, is down or has no link.
    Disabled,
    /// Hears the spanning tree, passes nothing.
    Listening,
    /// Learns addresses, passes nothing yet.
    Learning,
    /// Passes frames.
    Forwarding,
    /// Kept silent by the spanning tree.
    Blocking,
    /// A state of this number, which this crate does not know.
    Other(u8),
}

impl fmt::Display for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("disabled"),
            Self::Listening => f.write_str("listening"),
            Self::Learning => f.write_str("learning"),
            Self::Forwarding => f.write_str("forwarding"),
            Self::Blocking => f.write_str("blocking"),
            Self::Other(number) => write!(f, "state-{number}"),
        }
    }
}

/// What `ensure_member` found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It was no member, and is one now.
    Added,
    /// It was a member before; nothing was changed.
    AlreadyMember,
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::AlreadyMember => "already a member",
        })
    }
}
