//! The Linux half: rtnetlink for nearly all, ioctls and /proc/sys for what it cannot.

mod address;
mod attributes;
mod bridge_settings;
mod events;
mod ioctl;
mod link;
mod mac;
mod message;
mod mute;
mod namespace;
mod offloads;
mod socket;

use std::collections::HashMap;
use std::io;

use libc::{EACCES, EBUSY, EEXIST, EINVAL, ENODEV, EPERM, ERANGE};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};

pub use self::events::{Change, Events, InterfaceEvent};
use self::link::{End, Link};
pub(crate) use self::offloads::Off;
use self::socket::RouteSocket;
use crate::{
    Address, BridgeSettings, Call, Error, Flags, Interface, Kind, Member, Membership, PairOptions,
    Tag,
};

/// A handle to the interfaces of a namespace. The names it is given are checked already.
#[derive(Debug)]
pub(crate) struct Handle {
    socket: RouteSocket,
}

impl Handle {
    pub(crate) fn open(call: &Call) -> Result<Self, Error> {
        let refused = |source| Error::Refused { call: call.clone(), detail: None, source };
        Ok(Self { socket: RouteSocket::open().map_err(refused)? })
    }

    pub(crate) fn list(&mut self, call: &Call) -> Result<Vec<Interface>, Error> {
        let mut links =
            self.socket.all(&link::get_all(), Link::read).map_err(|failure| failure.of(call))?;
        let mut addresses = self.addresses(call, None)?;
        links.sort_by_key(|link| link.index);
        let names: HashMap<u32, String> =
            links.iter().map(|link| (link.index, link.name.clone())).collect();
        let interface = |link: Link| {
            let addresses = addresses.remove(&link.index).unwrap_or_default();
            let master = link.master.and_then(|master| names.get(&master).cloned());
            interface(link, addresses, master)
        };
        Ok(links.into_iter().map(interface).collect())
    }

    pub(crate) fn find(&mut self, call: &Call, name: &str) -> Result<Interface, Error> {
        let link = self.link(call, name)?;
        let addresses = self.addresses(call, Some(link.index))?.remove(&link.index);
        let master = match link.master {
            Some(master) => self.name_of(call, master)?,
            None => None,
        };
        Ok(interface(link, addresses.unwrap_or_default(), master))
    }

    pub(crate) fn create_pair(
        &mut self,
        call: &Call,
        (a, b): (&str, &str),
        options: PairOptions,
    ) -> Result<(), Error> {
        if a == b {
            return Err(Error::SameName { call: call.clone(), name: a.to_owned() });
        }
        let [mac_a, mac_b] = options.macs.unwrap_or_else(|| [(); 2].map(|()| mac::random_high()));
        let end = |name, mac| End { name, mac, mtu: options.mtu };
        let request = link::create_pair(end(a, mac_a), end(b, mac_b));
        let Err(failure) = self.socket.change(request, NLM_F_CREATE | NLM_F_EXCL) else {
            return Ok(());
        };
        match (failure.errno(), options.mtu) {
            (Some(EEXIST), _) => {
                let name = if self.link(call, a).is_ok() { a } else { b };
                Err(Error::Exists { call: call.clone(), name: name.to_owned() })
            }
            (Some(EINVAL | ERANGE), Some(mtu)) if !VETH_MTU.contains(&mtu) => {
                let (&min, &max) = (VETH_MTU.start(), VETH_MTU.end());
                Err(Error::MtuRejected { call: call.clone(), name: a.to_owned(), mtu, min, max })
            }
            _ => Err(failure.of(call)),
        }
    }

    pub(crate) fn create_bridge(&mut self, call: &Call, name: &str) -> Result<(), Error> {
        let request = link::create_bridge(name);
        self.socket.change(request, NLM_F_CREATE | NLM_F_EXCL).map_err(|failure| {
            match failure.errno() {
                Some(EEXIST) => Error::Exists { call: call.clone(), name: name.to_owned() },
                _ => failure.of(call),
            }
        })
    }

    pub(crate) fn destroy(&mut self, call: &Call, name: &str) -> Result<(), Error> {
        let index = self.link(call, name)?.index;
        if self.destroy_index(call, index)? {
            return Ok(());
        }
        Err(Error::NotFound { call: call.clone(), name: name.to_owned() })
    }

    /// Destroys the interface of this number, and tells whether there was one.
    pub(crate) fn destroy_index(&mut self, call: &Call, index: u32) -> Result<bool, Error> {
        match self.socket.change(link::delete(index), 0) {
            Ok(()) => Ok(true),
            Err(failure) if failure.errno() == Some(ENODEV) => Ok(false),
            Err(failure) => Err(failure.of(call)),
        }
    }

    pub(crate) fn set_up(&mut self, call: &Call, name: &str, up: bool) -> Result<(), Error> {
        let index = self.link(call, name)?.index;
        let request = link::set_flag(index, Flags::UP, up);
        self.socket.change(request, 0).map_err(|failure| failure.of(call))
    }

    pub(crate) fn set_mtu(&mut self, call: &Call, name: &str, mtu: u32) -> Result<(), Error> {
        let link = self.link(call, name)?;
        let Err(failure) = self.socket.change(link::set_mtu(link.index, mtu), 0) else {
            return Ok(());
        };
        match (failure.errno(), link.mtu_range) {
            (Some(EINVAL | ERANGE), Some((min, max))) if !(min..=max).contains(&mtu) => {
                Err(Error::MtuRejected { call: call.clone(), name: link.name, mtu, min, max })
            }
            _ => Err(failure.of(call)),
        }
    }

    pub(crate) fn set_tag(&mut self, call: &Call, name: &str, tag: &Tag) -> Result<(), Error> {
        let index = self.link(call, name)?.index;
        let request = link::set_alias(index, &tag.to_string());
        self.socket.change(request, 0).map_err(|failure| failure.of(call))
    }

    /// The interfaces with a tag, by index.
    pub(crate) fn tagged(&mut self, call: &Call) -> Result<Vec<(u32, String, Tag)>, Error> {
        let links =
            self.socket.all(&link::get_all(), Link::read).map_err(|failure| failure.of(call))?;
        let tagged = |link: Link| {
            let tag = link.alias.as_deref()?.parse().ok()?;
            Some((link.index, link.name, tag))
        };
        let mut tagged: Vec<_> = links.into_iter().filter_map(tagged).collect();
        tagged.sort_unstable_by_key(|(index, ..)| *index);
        Ok(tagged)
    }

    pub(crate) fn members(&mut self, call: &Call, bridge: &str) -> Result<Vec<Member>, Error> {
        let bridge = self.bridge(call, bridge)?;
        let request = link::get_by_master(bridge.index);
        let links = self.socket.all(&request, Link::read).map_err(|failure| failure.of(call))?;
        let own = links.iter().filter(|link| link.master == Some(bridge.index));
        let mut members: Vec<Member> = own.filter_map(Link::member).collect();
        members.sort_by_key(|member| member.port_no);
        Ok(members)
    }

    pub(crate) fn add_member(
        &mut self,
        call: &Call,
        bridge: &str,
        member: &str,
    ) -> Result<Membership, Error> {
        let bridge = self.bridge(call, bridge)?;
        let member = self.link(call, member)?;
        match member.master {
            Some(master) if master == bridge.index => return Ok(Membership::AlreadyMember),
            Some(master) => return Err(self.other_master(call, &member, master)),
            None => {}
        }
        match ioctl::add_bridge_port(self.socket.fd(), &bridge.name, member.index) {
            Ok(()) => Ok(Membership::Added),
            Err(source) => self.not_added(call, &bridge, &member, source),
        }
    }

    pub(crate) fn remove_member(
        &mut self,
        call: &Call,
        bridge: &str,
        member: &str,
    ) -> Result<(), Error> {
        let bridge = self.bridge(call, bridge)?;
        let member = self.link(call, member)?;
        let not_a_member = || Error::NotAMember {
            call: call.clone(),
            bridge: bridge.name.clone(),
            member: member.name.clone(),
        };
        if member.master != Some(bridge.index) {
            return Err(not_a_member());
        }
        match ioctl::remove_bridge_port(self.socket.fd(), &bridge.name, member.index) {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(EINVAL) => Err(not_a_member()),
            Err(source) => Err(Error::Refused { call: call.clone(), detail: None, source }),
        }
    }

    pub(crate) fn bridge_settings(
        &mut self,
        call: &Call,
        name: &str,
    ) -> Result<BridgeSettings, Error> {
        let bridge = self.bridge(call, name)?;
        let request = link::get_by_index(bridge.index);
        self.socket.one(request, bridge_settings::read).map_err(|failure| failure.of(call))
    }

    /// Asks for no change at all, of an interface that is not there: the kernel looks first whether
    /// who asks may change anything (`rtnetlink_rcv_msg`).
    pub(crate) fn may_change(&mut self, call: &Call) -> Result<bool, Error> {
        let nothing = link::set_flag(INDEX_MAX, Flags::empty(), false);
        match self.socket.change(nothing, 0) {
            Ok(()) => Ok(true),
            Err(failure) => match failure.errno() {
                Some(ENODEV) => Ok(true),
                Some(EPERM | EACCES) => Ok(false),
                _ => Err(failure.of(call)),
            },
        }
    }

    pub(crate) fn offloads_beyond_virtio(
        &mut self,
        call: &Call,
        name: &str,
        uso: bool,
    ) -> Result<Vec<String>, Error> {
        let link = self.link(call, name)?;
        offloads::active(self.socket.fd(), call, &link.name, Off::ButVirtios { uso })
    }

    pub(crate) fn mute(&mut self, call: &Call, name: &str) -> Result<(), Error> {
        let link = self.link(call, name)?;
        mute::mute(&mut self.socket, call, link)
    }

    pub(crate) fn disable_offloads(
        &mut self,
        call: &Call,
        name: &str,
        off: Off,
    ) -> Result<(), Error> {
        offloads::turn_off(self.socket.fd(), call, name, off)
    }

    pub(crate) fn add_address(
        &mut self,
        call: &Call,
        name: &str,
        address: Address,
    ) -> Result<(), Error> {
        let max = if address.address.is_ipv4() { 32 } else { 128 };
        if address.prefix_len > max {
            let prefix_len = address.prefix_len;
            return Err(Error::InvalidPrefix { call: call.clone(), prefix_len, max });
        }
        let request = address::add(self.link(call, name)?.index, address);
        self.socket.change(request, NLM_F_CREATE | NLM_F_EXCL).map_err(|failure| failure.of(call))
    }

    fn link(&mut self, call: &Call, name: &str) -> Result<Link, Error> {
        self.socket.one(link::get_by_name(name), Link::read).map_err(|failure| {
            match failure.errno() {
                Some(ENODEV) => Error::NotFound { call: call.clone(), name: name.to_owned() },
                _ => failure.of(call),
            }
        })
    }

    fn bridge(&mut self, call: &Call, name: &str) -> Result<Link, Error> {
        let link = self.link(call, name)?;
        match link.kind {
            Kind::Bridge => Ok(link),
            kind => Err(Error::NotABridge { call: call.clone(), name: link.name, kind }),
        }
    }

    /// The name of the interface `index`, if there is one still.
    fn name_of(&mut self, call: &Call, index: u32) -> Result<Option<String>, Error> {
        match self.socket.one(link::get_by_index(index), Link::read) {
            Ok(link) => Ok(Some(link.name)),
            Err(failure) if failure.errno() == Some(ENODEV) => Ok(None),
            Err(failure) => Err(failure.of(call)),
        }
    }

    fn addresses(
        &mut self,
        call: &Call,
        index: Option<u32>,
    ) -> Result<HashMap<u32, Vec<Address>>, Error> {
        let request = address::get(index);
        let found = match self.socket.all(&request, address::read) {
            Ok(found) => found,
            // The filter's answer for an interface that went away since its link was read.
            Err(failure) if index.is_some() && failure.errno() == Some(ENODEV) => Vec::new(),
            Err(failure) => return Err(failure.of(call)),
        };
        let mut addresses: HashMap<u32, Vec<Address>> = HashMap::new();
        for (index, address) in found {
            addresses.entry(index).or_default().push(address);
        }
        Ok(addresses)
    }

    /// Finds out why `member` was not added: another may have been faster, for this bridge or for
    /// another one.
    fn not_added(
        &mut self,
        call: &Call,
        bridge: &Link,
        member: &Link,
        source: io::Error,
    ) -> Result<Membership, Error> {
        if source.raw_os_error() == Some(EBUSY) {
            match self.link(call, &member.name)?.master {
                Some(master) if master == bridge.index => return Ok(Membership::AlreadyMember),
                Some(master) => return Err(self.other_master(call, member, master)),
                None => {}
            }
        }
        Err(Error::Refused { call: call.clone(), detail: None, source })
    }

    fn other_master(&mut self, call: &Call, member: &Link, master: u32) -> Error {
        let member = member.name.clone();
        match self.name_of(call, master) {
            Ok(name) => {
                let master = name.unwrap_or_else(|| format!("interface {master}"));
                Error::OtherMaster { call: call.clone(), member, master }
            }
            Err(error) => error,
        }
    }
}

fn interface(link: Link, addresses: Vec<Address>, master: Option<String>) -> Interface {
    Interface {
        index: link.index,
        name: link.name,
        kind: link.kind,
        mac: link.mac,
        addresses,
        mtu: link.mtu,
        flags: link.flags,
        state: link.state,
        master,
        peer_index: link.peer,
    }
}

/// The largest number that an interface can have: they are counted up from 1, and none has it.
const INDEX_MAX: u32 = i32::MAX.cast_unsigned();

/// What a veth end takes: `ETH_MIN_MTU` to `ETH_MAX_MTU` (drivers/net/veth.c).
const VETH_MTU: std::ops::RangeInclusive<u32> = 68..=65535;
