//! Interfaces: what there is, what is asked of them, and the way of a frame through them.

mod bridge;
mod description;
mod ether;
mod feth;
mod feth_ioctl;
mod flags;
mod harness;
mod host;
mod interface;
mod ioctl;
mod lifecycle;
mod media;
mod mtu;
mod path;
mod requests;
mod send_queue;

use std::ops::{Index, IndexMut};

pub use ether::{EthernetOptions, Wire};
use interface::{Interface, Mac, XFLAG_INPUT_DISABLED, flags as flag};
pub(crate) use requests::request_name;

use crate::version::Capabilities;

/// An interface object. XNU keeps it for ever and uses it again for the same name, so it is found
/// by name, and whoever holds it sees the re-created interface (contract §4 recycling, §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IfId(pub(crate) u32);

/// Which way a frame passes a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// All interface objects, alive or not.
#[derive(Debug)]
pub(crate) struct Net {
    objects: Vec<Interface>,
    /// Those in the kernel's list, in the order in which they were attached.
    listed: Vec<IfId>,
}

impl Net {
    /// What a booted machine has: `lo0`.
    pub(crate) fn new(_can: &Capabilities) -> Self {
        let mut net = Self { objects: Vec::new(), listed: Vec::new() };
        host::add_loopback(&mut net);
        net
    }

    /// The interface that has this name now; one that is going has none any more. As in XNU, the
    /// unit is compared as a number: `feth007` finds `feth7` (`ifunit_extract`, `bsd/net/if.c`).
    pub(crate) fn find(&self, name: &str) -> Option<IfId> {
        let (driver_name, unit) = split_name(name)?;
        let fits = |id: &&IfId| {
            let interface = &self[**id];
            interface.driver_name == driver_name && interface.unit == unit
        };
        self.listed.iter().find(fits).copied()
    }

    pub(crate) fn name(&self, interface: IfId) -> String {
        self[interface].name.clone()
    }

    pub(crate) fn is_up(&self, interface: IfId) -> bool {
        self[interface].has(flag::UP)
    }

    pub(crate) fn mtu(&self, interface: IfId) -> u32 {
        self[interface].mtu
    }

    /// Whether a protocol family is attached to it (`PF_INET` 2, say).
    pub(crate) fn has_protocol(&self, interface: IfId, family: u32) -> bool {
        self[interface].protocols.contains(&family)
    }

    /// `IFXF_DISABLE_INPUT` (`BIOCSDVRTIN`, contract §5, C22).
    pub(crate) fn set_input_disabled(&mut self, interface: IfId, is_disabled: bool) {
        if is_disabled {
            self[interface].xflags |= XFLAG_INPUT_DISABLED;
        } else {
            self[interface].xflags &= !XFLAG_INPUT_DISABLED;
        }
    }

    /// Whether its input is disabled.
    pub(crate) fn is_input_disabled(&self, interface: IfId) -> bool {
        self[interface].xflags & XFLAG_INPUT_DISABLED != 0
    }

    /// The object of a name, made when there is none.
    fn object(&mut self, name: &str) -> IfId {
        if let Some(at) = self.objects.iter().position(|object| object.name == name) {
            return IfId(u32::try_from(at).unwrap_or(u32::MAX));
        }
        let id = IfId(u32::try_from(self.objects.len()).unwrap_or(u32::MAX));
        let index = u16::try_from(self.objects.len() + 1).unwrap_or(u16::MAX);
        self.objects.push(Interface::free(name.to_owned(), index));
        id
    }

    /// What an event says of an interface: family, unit, name without the unit.
    pub(crate) fn event_data(&self, interface: IfId) -> (u32, u32, &str) {
        let of = &self[interface];
        (of.family, of.unit, &of.driver_name)
    }

    fn listed(&self) -> Vec<IfId> {
        self.listed.clone()
    }
}

impl Index<IfId> for Net {
    type Output = Interface;
    fn index(&self, id: IfId) -> &Interface {
        &self.objects[id.0 as usize]
    }
}

impl IndexMut<IfId> for Net {
    fn index_mut(&mut self, id: IfId) -> &mut Interface {
        &mut self.objects[id.0 as usize]
    }
}

/// A name's letters and its number, at most a million; `None` when one of them is not there.
fn split_name(name: &str) -> Option<(&str, u32)> {
    const UNIT_MAX: u32 = 1_000_000;
    let letters = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let unit = name[letters.len()..].parse().ok().filter(|unit| *unit <= UNIT_MAX)?;
    (!letters.is_empty()).then_some((letters, unit))
}
