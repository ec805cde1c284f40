//! Bridges and who is on them.

use xnu_sys::net_if::IFF_RUNNING;
use xnu_sys::{Errno, InterfaceName, Kernel, SyscallError};

use super::driver::Port;
use super::kind::is_bridgeable;
use super::member::{MemberFlags, shared};
use super::units::BRIDGE;
use super::{Interfaces, cloned_name, failure, interface_name};
use crate::{Call, Error, Member, Membership};

impl<K: Kernel> Interfaces<K> {
    /// Makes a bridge, named `bridge` and a number. It is down and has no members; the first that
    /// it gets decides its MTU.
    ///
    /// While an interface of this name is on its way out of the kernel, it waits for up to a
    /// second.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::StillDetaching`].
    pub fn create_bridge(&self, name: &str) -> Result<(), Error> {
        let call = Call::CreateBridge { name: name.to_owned() };
        let name = cloned_name(&call, name, BRIDGE)?;
        self.create_named(&call, name)
    }

    /// A bridge's members, in the order in which they joined.
    ///
    /// One that was just destroyed may be among them for a moment: it leaves its bridge when it
    /// leaves the kernel ([`Interfaces::destroy`]); its `index` is 0 then. The port number is the
    /// lowest eight bits of the index (`bridge_ioctl_gifflags`): two members may have the same.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn members(&self, bridge: &str) -> Result<Vec<Member>, Error> {
        let call = Call::Members { bridge: bridge.to_owned() };
        let bridge = interface_name(&call, bridge)?;
        let indices = self.indices(&call)?;
        let ports = self.ports(&call, bridge)?;
        let bridge_runs = self.runs(bridge);
        let member = |port: &Port| {
            let index = indices.get(&port.name).copied().unwrap_or(0);
            shared(port, index, bridge_runs && self.runs(port.name))
        };
        Ok(ports.iter().filter(|port| port.is_member()).map(member).collect())
    }

    /// The interfaces to which a bridge sends a copy of its traffic, and which are no members.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn span_ports(&self, bridge: &str) -> Result<Vec<String>, Error> {
        let call = Call::OnBridge { what: "list the span ports of", bridge: bridge.to_owned() };
        let bridge = interface_name(&call, bridge)?;
        let ports = self.ports(&call, bridge)?;
        Ok(ports.iter().filter(|port| !port.is_member()).map(|p| p.name.to_string()).collect())
    }

    /// Makes an interface a member of a bridge.
    ///
    /// Whether it comes from another one is the kernel's to say: it refuses one that has a master.
    /// The member becomes promiscuous. If it is the bridge's first, the bridge takes over its MTU;
    /// else it must have the bridge's ([`Interfaces::required_mtu`]). A Wi-Fi interface joins with
    /// its own address in place of those of the guests.
    ///
    /// # Errors
    /// [`Error::NotABridge`]; [`Error::NotFound`] naming the interface that is not there;
    /// [`Error::OtherMaster`], naming it, if the interface belongs to another bridge, or to this
    /// one already; [`Error::SpanPort`], [`Error::SecondWifi`], [`Error::NotBridgeable`],
    /// [`Error::MtuDiffers`].
    pub fn add_member(&self, bridge: &str, member: &str) -> Result<(), Error> {
        let call = added(bridge, member);
        match self.join_bridge(&call, bridge, member)? {
            Membership::Added => Ok(()),
            Membership::AlreadyMember => Err(Error::OtherMaster {
                call,
                member: member.to_owned(),
                master: bridge.to_owned(),
            }),
        }
    }

    /// Makes an interface a member of a bridge if it is not one already; which of the two it was.
    /// Meant to be called again and again, so that a membership that others end is renewed.
    ///
    /// # Errors
    /// Those of [`Self::add_member`]; but that it is a member already is none.
    pub fn ensure_member(&self, bridge: &str, member: &str) -> Result<Membership, Error> {
        self.join_bridge(&added(bridge, member), bridge, member)
    }

    /// Takes an interface out of a bridge, and with it all addresses that the bridge knows there.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`].
    pub fn remove_member(&self, bridge: &str, member: &str) -> Result<(), Error> {
        let objects = (bridge.to_owned(), member.to_owned());
        let call = Call::RemoveMember { bridge: objects.0, member: objects.1 };
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let removed = self.control.remove_member(bridge, member);
        removed.map_err(|source| self.of_member(&call, bridge, member, source))
    }

    /// The two names, when the first is a bridge's.
    pub(super) fn bridge_and_member(
        &self,
        call: &Call,
        bridge: &str,
        member: &str,
    ) -> Result<(InterfaceName, InterfaceName), Error> {
        let names = (interface_name(call, bridge)?, interface_name(call, member)?);
        self.must_be_bridge(call, names.0)?;
        Ok(names)
    }

    /// What a command about a member failed at: `ENOENT` is that it is none, be it that there is no
    /// such interface, be it that it is another's or nobody's.
    pub(super) fn of_member(
        &self,
        call: &Call,
        bridge: InterfaceName,
        member: InterfaceName,
        source: SyscallError,
    ) -> Error {
        if source.errno != Errno::ENOENT {
            return failure::of_interface(call, bridge)(source);
        }
        if !self.is_there(member) {
            return failure::not_found(call, member);
        }
        let (bridge, member) = (bridge.to_string(), member.to_string());
        Error::NotAMember { call: call.clone(), bridge, member }
    }

    fn ports(&self, call: &Call, bridge: InterfaceName) -> Result<Vec<Port>, Error> {
        self.must_be_bridge(call, bridge)?;
        self.control.bridge_ports(bridge).map_err(failure::of_interface(call, bridge))
    }

    fn join_bridge(&self, call: &Call, bridge: &str, member: &str) -> Result<Membership, Error> {
        let (bridge, member) = self.bridge_and_member(call, bridge, member)?;
        let Err(source) = self.control.add_member(bridge, member) else {
            return Ok(Membership::Added);
        };
        match source.errno {
            Errno::EEXIST => Ok(Membership::AlreadyMember),
            Errno::ENOENT => Err(failure::not_found(call, member)),
            // The bridge is gone, or the member is going.
            Errno::ENXIO if self.is_there(bridge) => Err(failure::not_found(call, member)),
            Errno::ENXIO => Err(failure::not_found(call, bridge)),
            Errno::EBUSY => Err(self.why_busy(call, bridge, member, source)?),
            Errno::EINVAL => Err(self.why_invalid(call, bridge, member, source)?),
            _ => Err(Error::Xnu { call: call.clone(), source }),
        }
    }

    /// Why a bridge says `EBUSY` of a member: it is another's, a span port, or a second Wi-Fi.
    fn why_busy(
        &self,
        call: &Call,
        bridge: InterfaceName,
        member: InterfaceName,
        source: SyscallError,
    ) -> Result<Error, Error> {
        let call = call.clone();
        let ports = self.ports(&call, bridge)?;
        if ports.iter().any(|port| port.name == member && !port.is_member()) {
            let (bridge, member) = (bridge.to_string(), member.to_string());
            return Ok(Error::SpanPort { call, bridge, member });
        }
        let found = self.list()?.into_iter().find(|one| one.name == member.as_str());
        if let Some(master) = found.and_then(|found| found.master) {
            return Ok(Error::OtherMaster { call, member: member.to_string(), master });
        }
        match ports.iter().find(|port| port.flags.contains(MemberFlags::MAC_NAT)) {
            Some(other) => Ok(Error::SecondWifi {
                call,
                bridge: bridge.to_string(),
                other: other.name.to_string(),
            }),
            None => Ok(Error::Xnu { call, source }),
        }
    }

    /// Why a bridge says `EINVAL` of a member: it is of another type, or its MTU is another.
    fn why_invalid(
        &self,
        call: &Call,
        bridge: InterfaceName,
        member: InterfaceName,
        source: SyscallError,
    ) -> Result<Error, Error> {
        let of_member = || failure::of_interface(call, member);
        let it = self.control.type_of(member).map_err(of_member())?;
        let member_mtu = self.control.mtu(member).map_err(of_member())?;
        let mtu = self.control.mtu(bridge).map_err(failure::of_interface(call, bridge))?;
        let (call, member_name) = (call.clone(), member.to_string());
        if !is_bridgeable(it) {
            let kind = super::kind::kind_of(member, it);
            return Ok(Error::NotBridgeable { call, member: member_name, kind });
        }
        if mtu != member_mtu {
            let bridge = bridge.to_string();
            return Ok(Error::MtuDiffers { call, bridge, mtu, member: member_name, member_mtu });
        }
        Ok(Error::Xnu { call, source })
    }

    fn runs(&self, name: InterfaceName) -> bool {
        self.control.flags(name).is_ok_and(|flags| flags & IFF_RUNNING != 0)
    }

    fn is_there(&self, name: InterfaceName) -> bool {
        self.control.flags(name).is_ok()
    }
}

fn added(bridge: &str, member: &str) -> Call {
    Call::AddMember { bridge: bridge.to_owned(), member: member.to_owned() }
}
