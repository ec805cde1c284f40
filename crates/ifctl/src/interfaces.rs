//! The face: one handle, one method for each thing that can be done.

use std::net::IpAddr;

use crate::linux::{Handle, Off};
use crate::{
    Address, BridgeSettings, Call, Error, Interface, Member, Membership, Owner, PairOptions,
    Reaped, Tag, check_name,
};

/// A handle to the interfaces of one network namespace: that of the thread that opened it.
///
/// Reading needs no privilege; changing needs CAP_NET_ADMIN in the namespace. Every method may fail
/// with [`Error::InvalidName`] and [`Error::NotFound`] for the names it is given, and with
/// [`Error::Refused`] for the kernel's reasons, so that below only further errors are named.
///
/// ```
/// let mut interfaces = ifctl::Interfaces::open()?;
/// let loopback = interfaces.find("lo")?;
/// assert_eq!(loopback.kind, ifctl::Kind::Loopback);
/// # Ok::<(), ifctl::Error>(())
/// ```
#[derive(Debug)]
pub struct Interfaces {
    handle: Handle,
}

impl Interfaces {
    /// Opens a handle in the calling thread's namespace.
    ///
    /// # Errors
    /// The kernel has no socket for it.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { handle: Handle::open(&Call::Open)? })
    }

    /// All interfaces, by index. Links and addresses are read one after the other: what changes in
    /// between may show in one and not in the other.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if they never stood still.
    pub fn list(&mut self) -> Result<Vec<Interface>, Error> {
        self.handle.list(&Call::List)
    }

    /// The interface `name`.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn find(&mut self, name: &str) -> Result<Interface, Error> {
        let call = named(Call::Find { name: name.to_owned() }, &[name])?;
        self.handle.find(&call, name)
    }

    /// Makes two Ethernet interfaces, `a` and `b`, each of which receives what the other sends.
    ///
    /// They are down, have the MTU of `options` from the start, and random addresses of which a
    /// bridge never takes its own (first byte `fe`, see the facts in `linux/mac.rs`).
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::SameName`], [`Error::MtuRejected`]; then neither was made.
    pub fn create_pair(&mut self, a: &str, b: &str, options: PairOptions) -> Result<(), Error> {
        let call = named(Call::CreatePair { a: a.to_owned(), b: b.to_owned() }, &[a, b])?;
        self.handle.create_pair(&call, (a, b), options)
    }

    /// Makes a bridge. It is down, has no members, and its MTU will follow its smallest member
    /// until it is set.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub fn create_bridge(&mut self, name: &str) -> Result<(), Error> {
        let call = named(Call::CreateBridge { name: name.to_owned() }, &[name])?;
        self.handle.create_bridge(&call, name)
    }

    /// Destroys an interface that was made by software: a bridge (its members stay), either end of
    /// a pair (the other goes too), a VLAN, …
    ///
    /// # Errors
    /// [`Error::Refused`] for a card.
    pub fn destroy(&mut self, name: &str) -> Result<(), Error> {
        let call = named(Call::Destroy { name: name.to_owned() }, &[name])?;
        self.handle.destroy(&call, name)
    }

    /// Switches an interface on or off. What it is already stays.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn set_up(&mut self, name: &str, up: bool) -> Result<(), Error> {
        let call = named(Call::SetUp { name: name.to_owned(), up }, &[name])?;
        self.handle.set_up(&call, name, up)
    }

    /// Sets an interface's MTU, in bytes without the Ethernet header.
    ///
    /// # Errors
    /// [`Error::MtuRejected`] with the limits that the driver tells.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), Error> {
        let call = named(Call::SetMtu { name: name.to_owned(), mtu }, &[name])?;
        self.handle.set_mtu(&call, name, mtu)
    }

    /// A bridge's members, by port number.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::Interrupted`].
    pub fn members(&mut self, bridge: &str) -> Result<Vec<Member>, Error> {
        let call = named(Call::Members { bridge: bridge.to_owned() }, &[bridge])?;
        self.handle.members(&call, bridge)
    }

    /// Makes an interface a member of a bridge.
    ///
    /// The interface keeps its settings; a bridge whose MTU was not set takes over a smaller one.
    ///
    /// # Errors
    /// [`Error::NotABridge`]; [`Error::OtherMaster`], naming it, if the interface belongs to
    /// another bridge or the like, or to this one already.
    pub fn add_member(&mut self, bridge: &str, member: &str) -> Result<(), Error> {
        let call = added(bridge, member)?;
        match self.handle.add_member(&call, bridge, member)? {
            Membership::Added => Ok(()),
            Membership::AlreadyMember => Err(Error::OtherMaster {
                call,
                member: member.to_owned(),
                master: bridge.to_owned(),
            }),
        }
    }

    /// Takes an interface out of a bridge.
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`].
    pub fn remove_member(&mut self, bridge: &str, member: &str) -> Result<(), Error> {
        let objects = (bridge.to_owned(), member.to_owned());
        let call = Call::RemoveMember { bridge: objects.0, member: objects.1 };
        let call = named(call, &[bridge, member])?;
        self.handle.remove_member(&call, bridge, member)
    }

    /// Makes an interface a member of a bridge if it is not one already.
    ///
    /// # Errors
    /// [`Error::NotABridge`]; [`Error::OtherMaster`] if it belongs to another, where it stays.
    pub fn ensure_member(&mut self, bridge: &str, member: &str) -> Result<Membership, Error> {
        let call = added(bridge, member)?;
        self.handle.add_member(&call, bridge, member)
    }

    /// Writes on an interface whose it is, into its alias (`IFLA_IFALIAS`).
    ///
    /// # Errors
    /// Those of all methods.
    pub fn set_tag(&mut self, name: &str, tag: &Tag) -> Result<(), Error> {
        let call = Call::OnInterface { what: "tag", name: name.to_owned() };
        let call = named(call, &[name])?;
        self.handle.set_tag(&call, name, tag)
    }

    /// The interfaces that carry a [`Tag`], in the order of their numbers.
    ///
    /// # Errors
    /// As [`Self::list`].
    pub fn tagged(&mut self) -> Result<Vec<(String, Tag)>, Error> {
        let call = Call::OnSystem { what: "find what switches made" };
        let tagged = self.handle.tagged(&call)?;
        Ok(tagged.into_iter().map(|(_, name, tag)| (name, tag)).collect())
    }

    /// Destroys what dead switches left behind; which interfaces they were.
    ///
    /// Interfaces do not go with the process that made them. Only those are touched that carry a
    /// [`Tag`] whose owner is dead; whether an owner is alive is `is_alive`'s word, since which
    /// processes there are is no matter of interfaces. It should answer true where it cannot know.
    /// With one end of a pair goes the other. What has no tag stays, whatever its name is.
    ///
    /// # Errors
    /// [`Error::Refused`] when one cannot be destroyed; what was destroyed before that stays
    /// destroyed.
    pub fn reap_orphans(
        &mut self,
        mut is_alive: impl FnMut(Owner) -> bool,
    ) -> Result<Vec<Reaped>, Error> {
        let call = Call::OnSystem { what: "destroy what dead switches left behind" };
        let mut reaped = Vec::new();
        for (index, name, tag) in self.handle.tagged(&call)? {
            if !is_alive(tag.owner()) && self.handle.destroy_index(&call, index)? {
                reaped.push(Reaped { name, tag });
            }
        }
        Ok(reaped)
    }

    /// Makes the host's own stack silent on an interface: it answers no ARP, and has no IPv6.
    ///
    /// Frames that a program sends by a packet socket, and those that a bridge forwards, pass as
    /// before. Call it after the MTU was set (an interface whose MTU rises to 1280 gets IPv6 anew)
    /// and before the interface is up, or it may have spoken.
    ///
    /// # Errors
    /// [`Error::NotMuted`] where /proc/sys cannot be written; [`Error::OtherNamespace`].
    pub fn mute(&mut self, name: &str) -> Result<(), Error> {
        let call = named(Call::Mute { name: name.to_owned() }, &[name])?;
        self.handle.mute(&call, name)
    }

    /// Turns off what leaves frames incomplete in memory: checksums, segmentation and merging left
    /// to the interface, VLAN tags beside the frame. Read back before it returns.
    ///
    /// On a pair, the *sending* end's setting decides: to receive complete frames on one end, turn
    /// them off on the other one too.
    ///
    /// # Errors
    /// [`Error::OffloadsLeft`] with those that the driver does not give up.
    pub fn disable_offloads(&mut self, name: &str) -> Result<(), Error> {
        let call = named(Call::DisableOffloads { name: name.to_owned() }, &[name])?;
        self.handle.disable_offloads(&call, name, Off::All)
    }

    /// Turns off, of the same, only what a virtio-net header cannot tell of (linux/virtio_net.h),
    /// and what merges frames: checksums other than those of TCP and UDP, segments in tunnels.
    /// What is left, a packet socket with `PACKET_VNET_HDR` gets with each frame.
    ///
    /// Without `uso` big UDP segments are off too: Linux before 6.2 cannot tell of them, and loses
    /// them.
    ///
    /// # Errors
    /// As [`Self::disable_offloads`].
    pub fn limit_offloads_to_virtio(&mut self, name: &str, uso: bool) -> Result<(), Error> {
        let call = named(Call::DisableOffloads { name: name.to_owned() }, &[name])?;
        self.handle.disable_offloads(&call, name, Off::ButVirtios { uso })
    }

    /// Which of those that [`Self::limit_offloads_to_virtio`] turns off are on, by the kernel's
    /// names for them (`ethtool -k` has others for some). Changes nothing, and needs no privilege.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn offloads_beyond_virtio(&mut self, name: &str, uso: bool) -> Result<Vec<String>, Error> {
        let call = Call::OnInterface { what: "read the offloads of", name: name.to_owned() };
        let call = named(call, &[name])?;
        self.handle.offloads_beyond_virtio(&call, name, uso)
    }

    /// What a bridge is set to.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn bridge_settings(&mut self, bridge: &str) -> Result<BridgeSettings, Error> {
        let call = Call::OnBridge { what: "read the settings of", bridge: bridge.to_owned() };
        let call = named(call, &[bridge])?;
        self.handle.bridge_settings(&call, bridge)
    }

    /// Whether the caller may change interfaces here: whether it has CAP_NET_ADMIN, in the user
    /// namespace that this network namespace belongs to. Changes nothing.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn may_change(&mut self) -> Result<bool, Error> {
        self.handle.may_change(&Call::OnSystem { what: "ask whether interfaces may be changed" })
    }

    /// Gives an interface an address, usable at once: an IPv6 address is not probed for
    /// duplicates.
    ///
    /// # Errors
    /// [`Error::InvalidPrefix`]; [`Error::Refused`] if it is there already.
    pub fn add_address(
        &mut self,
        name: &str,
        address: IpAddr,
        prefix_len: u8,
    ) -> Result<(), Error> {
        let call = Call::AddAddress { name: name.to_owned(), address, prefix_len };
        let call = named(call, &[name])?;
        self.handle.add_address(&call, name, Address { address, prefix_len })
    }

    /// Destroys the interface of this number, unless it is gone already.
    pub(crate) fn destroy_index(&mut self, name: &str, index: u32) -> Result<(), Error> {
        let call = Call::Destroy { name: name.to_owned() };
        self.handle.destroy_index(&call, index).map(|_| ())
    }
}

fn added(bridge: &str, member: &str) -> Result<Call, Error> {
    let call = Call::AddMember { bridge: bridge.to_owned(), member: member.to_owned() };
    named(call, &[bridge, member])
}

/// `call`, if all `names` can be an interface's.
fn named(call: Call, names: &[&str]) -> Result<Call, Error> {
    for &name in names {
        if let Err(fault) = check_name(name) {
            return Err(Error::InvalidName { call, name: name.to_owned(), fault });
        }
    }
    Ok(call)
}
