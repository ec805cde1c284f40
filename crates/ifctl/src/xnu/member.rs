//! What a bridge knows of a member, and what can be set there.

use bitflags::bitflags;
use xnu_sys::Kernel;

use super::Interfaces;
use super::driver::Port;
use crate::{Call, Error, Member, PortState};

bitflags! {
    /// What a bridge does for one member: `IFBIF_*` of `bsd/net/if_bridgevar.h`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct MemberFlags: u32 {
        /// The bridge learns addresses from it. A new member has it.
        const LEARNING = 0x1;
        /// Frames to unknown unicast addresses are sent to it. A new member has it.
        const DISCOVER = 0x2;
        /// It takes part in the spanning tree.
        const STP = 0x4;
        /// It is no member: it gets a copy. Cannot be set.
        const SPAN = 0x8;
        /// What the bridge learns from it does not age.
        const STICKY = 0x10;
        /// It is at the tree's edge.
        const EDGE = 0x20;
        /// Whether it is at the tree's edge is found out.
        const AUTO_EDGE = 0x40;
        /// Its link is point-to-point.
        const POINT_TO_POINT = 0x80;
        /// Whether its link is point-to-point is found out.
        const AUTO_POINT_TO_POINT = 0x100;
        /// It was told to be at the tree's edge.
        const ADMIN_EDGE = 0x200;
        /// It was told its path cost.
        const ADMIN_COST = 0x400;
        /// Two such members never get each other's frames. (What is transmitted *on* a member, by
        /// its host or by NDRV, is not looked at: `bridge_member_output`.)
        const PRIVATE = 0x800;
        /// Its own address stands for all behind the bridge: Wi-Fi.
        const MAC_NAT = 0x8000;
        /// Checksums of what is sent to it are made by it (macOS 12 on).
        const CHECKSUM_OFFLOAD = 0x1_0000;
        /// It takes what is left to be done to a frame in a virtio header (macOS 15.4 on).
        const USES_VIRTIO = 0x2_0000;
        /// Others, which this crate has no names for, are kept.
        const _ = !0;
    }
}

/// What a bridge knows of one member beyond [`Member`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDetails {
    /// What the bridge does for it.
    pub flags: MemberFlags,
    /// How many addresses the bridge learned from it.
    pub address_count: u32,
    /// How many it may learn; 0 is no limit.
    pub address_limit: u32,
    /// How many it would have learned beyond the limit.
    pub address_refused: u32,
}

impl<K: Kernel> Interfaces<K> {
    /// What a bridge knows of a member.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`].
    pub fn member_details(&self, bridge: &str, member: &str) -> Result<MemberDetails, Error> {
        let call = on_member("read", bridge, member);
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let read = self.control.member(bridge, member);
        let port = read.map_err(|source| self.of_member(&call, bridge, member, source))?;
        Ok(MemberDetails {
            flags: port.flags,
            address_count: port.address_count,
            address_limit: port.address_limit,
            address_refused: port.address_refused,
        })
    }

    /// Sets some flags of a member and clears others; the rest stays as it is. The flags that it
    /// had before.
    ///
    /// The kernel has no such call: the flags are read, changed and written back, since it replaces
    /// them all (`bridge_ioctl_sifflags`), [`MemberFlags::LEARNING`] too.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`]; [`Error::Xnu`] with `EINVAL` for flags that do
    /// not go together or cannot be set.
    pub fn change_member(
        &self,
        bridge: &str,
        member: &str,
        set: MemberFlags,
        clear: MemberFlags,
    ) -> Result<MemberFlags, Error> {
        let call = on_member("change", bridge, member);
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let failed = |source| self.of_member(&call, bridge, member, source);
        let before = self.control.member(bridge, member).map_err(failed)?.flags;
        let wanted = before.difference(clear) | set;
        if wanted != before {
            self.control.set_member_flags(bridge, member, wanted).map_err(failed)?;
        }
        Ok(before)
    }

    /// Keeps a member apart from all others that are kept apart, or no longer
    /// ([`MemberFlags::PRIVATE`]).
    ///
    /// # Errors
    /// Those of [`Self::change_member`].
    pub fn set_isolated(&self, bridge: &str, member: &str, isolated: bool) -> Result<(), Error> {
        let (set, clear) = match isolated {
            true => (MemberFlags::PRIVATE, MemberFlags::empty()),
            false => (MemberFlags::empty(), MemberFlags::PRIVATE),
        };
        self.change_member(bridge, member, set, clear).map(|_| ())
    }

    /// Limits how many addresses a bridge learns from a member (`BRDGSIFAMAX`); 0 is no limit.
    ///
    /// Frames from further addresses are not forwarded. The limit is looked at when a new entry is
    /// made: an address that is known elsewhere already may move here beyond it.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`].
    pub fn set_address_limit(&self, bridge: &str, member: &str, limit: u32) -> Result<(), Error> {
        let call = on_member("limit the addresses of", bridge, member);
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let set = self.control.set_address_limit(bridge, member, limit);
        set.map_err(|source| self.of_member(&call, bridge, member, source))
    }
}

/// A member as both systems' list shows it. `runs`: both it and its bridge are up.
pub(super) fn shared(port: &Port, index: u32, runs: bool) -> Member {
    Member {
        index,
        name: port.name.to_string(),
        state: port_state(port, runs),
        port_no: u16::from(port.port_no),
        path_cost: port.path_cost,
        priority: u16::from(port.priority),
        learning: port.flags.contains(MemberFlags::LEARNING),
        flooding: port.flags.contains(MemberFlags::DISCOVER),
        isolated: port.flags.contains(MemberFlags::PRIVATE),
    }
}

/// `BSTP_IFSTATE_*` (`bsd/net/bridgestp.h`). A port that takes no part in the spanning tree is
/// "discarding" to the tree (`bstp_create`), and forwards nevertheless.
fn port_state(port: &Port, runs: bool) -> PortState {
    let is_in_tree = port.flags.contains(MemberFlags::STP);
    match (is_in_tree, port.state) {
        _ if !runs => PortState::Disabled,
        (false, _) => PortState::Forwarding,
        (true, 0) => PortState::Disabled,
        (true, 1) => PortState::Listening,
        (true, 2) => PortState::Learning,
        (true, 3) => PortState::Forwarding,
        // Discarding is the rapid tree's word for blocking.
        (true, 4 | 5) => PortState::Blocking,
        (true, other) => PortState::Other(other),
    }
}

pub(super) fn on_member(what: &'static str, bridge: &str, member: &str) -> Call {
    Call::OnMember { what, bridge: bridge.into(), member: member.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port {
            name: "feth20000".parse().unwrap(),
            flags: MemberFlags::DISCOVER | MemberFlags::PRIVATE,
            state: 5,
            port_no: 0xfe,
            priority: 128,
            path_cost: 55,
            address_count: 0,
            address_limit: 0,
            address_refused: 0,
        }
    }

    #[test]
    fn a_port_outside_the_tree_forwards_if_it_runs() {
        assert_eq!(port_state(&port(), true), PortState::Forwarding);
        assert_eq!(port_state(&port(), false), PortState::Disabled);
        for (state, expected) in [
            (0, PortState::Disabled),
            (1, PortState::Listening),
            (2, PortState::Learning),
            (3, PortState::Forwarding),
            (4, PortState::Blocking),
            (5, PortState::Blocking),
            (6, PortState::Other(6)),
        ] {
            let in_tree = Port { flags: MemberFlags::STP, state, ..port() };
            assert_eq!(port_state(&in_tree, true), expected);
        }
    }

    #[test]
    fn a_member_says_what_its_flags_say() {
        let member = shared(&port(), 0x1fe, true);
        assert_eq!((member.index, member.port_no), (0x1fe, 0xfe));
        assert_eq!((member.learning, member.flooding, member.isolated), (false, true, true));
        assert_eq!((member.priority, member.path_cost), (128, 55));
    }
}
