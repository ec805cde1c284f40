//! Feths: Ethernet interfaces that are each other's wire.

use xnu_sys::net_if::IFF_UP;
use xnu_sys::{Errno, InterfaceName, Kernel, SyscallError};

use super::list::unless_gone;
use super::units::{FETH, FethUnits};
use super::{Interfaces, cloned_name, failure, interface_name};
use crate::{Call, Error, PairOptions, Tag};

/// How feths are made.
///
/// There is no MAC among the options, on purpose: a feth keeps the one it has from its number
/// (`66:65:74:68` and the unit). **Never give a feth the MAC of a VM**: a bridge delivers frames to
/// a member's own address to that member's host and never forwards them, and drops frames *from* it
/// as a loop (`bridge_input_list`, `bsd/net/if_bridge.c`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FethOptions {
    /// From which units free ones are taken.
    pub units: FethUnits,
    /// The MTU, in bytes without the Ethernet header; `None` leaves the kernel's 1500. For a bridge
    /// with members it must be the bridge's ([`Interfaces::required_mtu`]).
    pub mtu: Option<u32>,
    /// Whether they are brought up.
    pub up: bool,
    /// Whose they are. Without it, nobody takes them away after a crash.
    pub tag: Option<Tag>,
}

/// Two feths that are each other's peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FethPair {
    /// The end for a bridge to have as a member.
    pub bridge_end: String,
    /// The end on which the switch receives and sends.
    pub switch_end: String,
}

impl<K: Kernel> Interfaces<K> {
    /// Makes a feth of the first free unit, without a peer; its name.
    ///
    /// A unit is not free while an interface of its name exists (`EEXIST`) or is still on its way
    /// out of the kernel (`EBUSY`); then the next one is tried.
    ///
    /// # Errors
    /// [`Error::NoUnitLeft`], [`Error::MtuRejected`]; then nothing is left behind.
    pub fn create_feth(&self, options: &FethOptions) -> Result<String, Error> {
        let call = Call::CreateFeth { units: options.units };
        let name = self.create_free(&call, options.units)?;
        let prepared = self.prepare(&call, name, options).and_then(|()| match options.up {
            true => self.bring_up(&call, name),
            false => Ok(()),
        });
        self.or_destroyed(&[name], prepared)?;
        Ok(name.to_string())
    }

    /// Makes two feths of the first free units, and makes them peers; with [`FethOptions::up`],
    /// both are brought up, the switch's end first.
    ///
    /// # Errors
    /// [`Error::NoUnitLeft`], [`Error::MtuRejected`]; then nothing is left behind.
    pub fn create_feth_pair(&self, options: &FethOptions) -> Result<FethPair, Error> {
        let call = Call::CreateFeth { units: options.units };
        let bridge_end = self.create_free(&call, options.units)?;
        let switch_end = self.create_free(&call, options.units);
        let switch_end = self.or_destroyed(&[bridge_end], switch_end)?;
        let ends = [bridge_end, switch_end];
        self.or_destroyed(&ends, self.join(&call, ends, options))?;
        let [bridge_end, switch_end] = ends.map(|end| end.to_string());
        Ok(FethPair { bridge_end, switch_end })
    }

    /// Makes the feths `a` and `b`, and makes them peers. They are down, and have the MTU and the
    /// MACs of `options` before they are peers.
    ///
    /// While an interface of one of the names is on its way out of the kernel, it waits for up to a
    /// second.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::SameName`], [`Error::MtuRejected`], [`Error::StillDetaching`];
    /// then nothing is left behind.
    pub fn create_pair(&self, a: &str, b: &str, options: PairOptions) -> Result<(), Error> {
        let call = Call::CreateFethPair { a: a.to_owned(), b: b.to_owned() };
        let names = [cloned_name(&call, a, FETH)?, cloned_name(&call, b, FETH)?];
        if a == b {
            return Err(Error::SameName { call, name: a.to_owned() });
        }
        self.create_named(&call, names[0])?;
        let second = self.create_named(&call, names[1]);
        self.or_destroyed(&names[..1], second)?;
        let set_macs = || {
            for (name, mac) in names.iter().zip(options.macs.into_iter().flatten()) {
                let set = self.control.set_mac(*name, mac);
                set.map_err(failure::of_interface(&call, *name))?;
            }
            self.join(&call, names, &FethOptions { mtu: options.mtu, ..FethOptions::default() })
        };
        self.or_destroyed(&names, set_macs())
    }

    /// The peer of a feth, if it has one (`IF_FAKE_G_CMD_GET_PEER`).
    ///
    /// # Errors
    /// [`Error::NotAFeth`].
    pub fn peer(&self, name: &str) -> Result<Option<String>, Error> {
        let call = Call::OnInterface { what: "read the peer of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        self.must_be_feth(&call, name)?;
        let peer = self.control.peer(name).map_err(failure::of_interface(&call, name))?;
        Ok(peer.map(|peer| peer.to_string()))
    }

    /// Makes two feths peers: what one sends, the other receives. The kernel tells of a link on
    /// both ([`Change::LinkOn`](super::Change::LinkOn)).
    ///
    /// # Errors
    /// [`Error::NotAFeth`], [`Error::SameName`]; [`Error::HasPeer`] for either, which keeps it,
    /// also if that is the other one.
    pub fn set_peer(&self, a: &str, b: &str) -> Result<(), Error> {
        let call = Call::SetPeer { a: a.to_owned(), b: b.to_owned() };
        let names = [interface_name(&call, a)?, interface_name(&call, b)?];
        if a == b {
            // The kernel does not refuse a feth that is its own peer.
            return Err(Error::SameName { call, name: a.to_owned() });
        }
        for name in names {
            self.must_be_feth(&call, name)?;
        }
        self.set_peer_for(&call, names)
    }

    /// Parts a feth from its peer, if it has one. Both lose their link.
    ///
    /// # Errors
    /// [`Error::NotAFeth`].
    pub fn clear_peer(&self, name: &str) -> Result<(), Error> {
        let call = Call::OnInterface { what: "part from its peer", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        self.must_be_feth(&call, name)?;
        self.control.set_peer(name, None).map_err(failure::of_interface(&call, name))
    }

    /// Destroys an interface that was made by software: a bridge (its members stay), a feth and
    /// with it its peer, a VLAN, …
    ///
    /// The name is gone when this returns; the interface itself is not: it leaves the kernel a
    /// little later, until when no other can have its name, a bridge may still list it among its
    /// members, and [`Change::Detached`](super::Change::Detached) has not been told.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Xnu`] for an interface that no software made.
    pub fn destroy(&self, name: &str) -> Result<(), Error> {
        let call = Call::Destroy { name: name.to_owned() };
        let name = interface_name(&call, name)?;
        let it = self.control.type_of(name).map_err(failure::of_interface(&call, name))?;
        let peer = match super::kind::kind_of(name, it) {
            crate::Kind::Feth => {
                unless_gone(self.control.peer(name)).map_err(failure::of(&call))?.flatten()
            }
            _ => None,
        };
        self.destroy_if_there(name).map_err(failure::of(&call))?;
        if let Some(peer) = peer {
            self.destroy_if_there(peer).map_err(failure::of(&call))?;
        }
        Ok(())
    }

    /// Destroys an interface; that it is gone already (`ENXIO`) is what was wanted.
    pub(super) fn destroy_if_there(&self, name: InterfaceName) -> Result<(), SyscallError> {
        unless_gone(self.control.destroy(name)).map(|_| ())
    }

    /// Makes the interface `name`; while the last one of that name has not left the kernel, waits
    /// for it, but not for ever.
    pub(super) fn create_named(&self, call: &Call, name: InterfaceName) -> Result<(), Error> {
        for _ in 0..DETACH_LOOKS {
            match self.control.create(name) {
                Ok(()) => return Ok(()),
                Err(error) if error.errno == Errno::EBUSY => {
                    self.kernel().sleep(DETACH_LOOK_EVERY);
                }
                Err(error) if error.errno == Errno::EEXIST => {
                    return Err(Error::Exists { call: call.clone(), name: name.to_string() });
                }
                Err(source) => return Err(Error::Xnu { call: call.clone(), source }),
            }
        }
        Err(Error::StillDetaching { call: call.clone(), name: name.to_string() })
    }

    fn create_free(&self, call: &Call, units: FethUnits) -> Result<InterfaceName, Error> {
        for name in units.names() {
            match self.control.create(name) {
                Ok(()) => return Ok(name),
                // It is there, or on its way out.
                Err(error) if matches!(error.errno, Errno::EEXIST | Errno::EBUSY) => {}
                Err(source) => return Err(Error::Xnu { call: call.clone(), source }),
            }
        }
        Err(Error::NoUnitLeft { call: call.clone(), units })
    }

    /// What is done to a feth before anything can reach it; its tag first, so that a crash leaves
    /// nothing nameless but in the moment between two calls.
    fn prepare(
        &self,
        call: &Call,
        name: InterfaceName,
        options: &FethOptions,
    ) -> Result<(), Error> {
        if let Some(tag) = &options.tag {
            let text = tag.to_string();
            let set = self.control.set_description(name, text.as_bytes());
            set.map_err(failure::of_interface(call, name))?;
        }
        match options.mtu {
            Some(mtu) => self.set_mtu_for(call, name, mtu),
            None => Ok(()),
        }
    }

    /// Prepares two feths, the bridge's end and the switch's, makes them peers, and brings them up.
    fn join(
        &self,
        call: &Call,
        [bridge_end, switch_end]: [InterfaceName; 2],
        options: &FethOptions,
    ) -> Result<(), Error> {
        self.prepare(call, bridge_end, options)?;
        self.prepare(call, switch_end, options)?;
        self.set_peer_for(call, [bridge_end, switch_end])?;
        if options.up {
            self.bring_up(call, switch_end)?;
            self.bring_up(call, bridge_end)?;
        }
        Ok(())
    }

    fn bring_up(&self, call: &Call, name: InterfaceName) -> Result<(), Error> {
        let flags = self.control.flags(name).map_err(failure::of_interface(call, name))?;
        let up = flags | IFF_UP;
        self.control.set_flags(name, up).map_err(failure::of_interface(call, name))
    }

    fn set_peer_for(&self, call: &Call, [a, b]: [InterfaceName; 2]) -> Result<(), Error> {
        let Err(source) = self.control.set_peer(a, Some(b)) else {
            return Ok(());
        };
        match source.errno {
            // Either of the two: the kernel does not say which.
            Errno::ENXIO => match self.control.flags(a) {
                Ok(_) => Err(failure::not_found(call, b)),
                Err(_) => Err(failure::not_found(call, a)),
            },
            Errno::EBUSY => {
                for name in [a, b] {
                    if let Ok(Some(peer)) = self.control.peer(name) {
                        let (name, peer) = (name.to_string(), peer.to_string());
                        return Err(Error::HasPeer { call: call.clone(), name, peer });
                    }
                }
                // One of them is being destroyed.
                Err(Error::Xnu { call: call.clone(), source })
            }
            _ => Err(Error::Xnu { call: call.clone(), source }),
        }
    }

    /// What was done, or else its error, when what was made for it is taken away again.
    fn or_destroyed<T>(&self, made: &[InterfaceName], done: Result<T, Error>) -> Result<T, Error> {
        if done.is_err() {
            for name in made {
                if let Err(error) = self.destroy_if_there(*name) {
                    tracing::warn!(interface = %name, %error, "made, and left behind");
                }
            }
        }
        done
    }
}

/// How often, and how many times, it is looked whether a name is free again.
const DETACH_LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(10);
const DETACH_LOOKS: u32 = 100;
