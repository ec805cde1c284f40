//! The fabric: what a switch decides, without doing it.
//!
//! One [`Fabric`] is one broadcast domain (IEEE 802.1Q calls it a filtering database and its
//! relay). It gets a port, a frame and the time, learns the source, looks up the destination, and
//! answers with a [`Verdict`]. It does no IO and reads no clock.
//!
//! ```
//! use vswitch::fabric::{Fabric, PortIndex, PortPolicy, Settings, Verdict};
//! use vswitch::{MacAddr, Nanos};
//!
//! let mut fabric = Fabric::new(Settings::default());
//! let (a, b) = (PortIndex(0), PortIndex(1));
//! fabric.add_port(a, PortPolicy::default()).unwrap();
//! fabric.add_port(b, PortPolicy::default()).unwrap();
//! let mut frame = [0; 64];
//! frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 2]); // to B's guest, not seen yet
//! frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]); // from A's guest
//! assert_eq!(fabric.ingress(a, &frame, Nanos(0)), Verdict::Flood);
//! frame[..12].rotate_left(6); // B's guest answers
//! assert_eq!(fabric.ingress(b, &frame, Nanos(1)), Verdict::Forward(a));
//! ```

use std::time::Duration;

use crate::counters::DropReason;
use crate::mac::MacAddr;
use crate::time::Nanos;

mod header;
mod table;

use header::AddressKey;
pub(crate) use header::Addresses;
use table::AddressTable;
pub use table::Entry;

/// Which port: its place in the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIndex(pub u16);

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To one port.
    Forward(PortIndex),
    /// To every port of the network ([`Fabric::ports`]) but the one it came from, and but the
    /// trunks when it came from one ([`Fabric::carries`]).
    Flood,
    /// To nobody, and why.
    Drop(DropReason),
}

/// How a fabric learns.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// An address not seen for longer than this is forgotten. IEEE 802.1Q's default is 300 s.
    pub age_max: Duration,
    /// Seeds the table's hash: a guest that knew it could slow the table down.
    pub secret: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { age_max: Duration::from_secs(300), secret: 0x9e37_79b9_7f4a_7c15 }
    }
}

/// What the fabric knows of a port beforehand.
#[derive(Clone, Debug)]
pub struct PortPolicy {
    /// The port's own address, when it named one: frames from any other source are dropped, and the
    /// address is a static entry that no other port can take.
    pub mac: Option<MacAddr>,
    /// How many addresses may be learnt behind the port; beyond that its frames still pass, and
    /// what is for the addresses not learnt is flooded.
    pub addresses_max: usize,
    /// Whether the port leads to another fabric of the same network, to which each other fabric of
    /// it has a port like this one: a frame that came in by such a port never leaves by another, so
    /// that it comes to each fabric once.
    pub trunk: bool,
}

impl Default for PortPolicy {
    fn default() -> Self {
        Self { mac: None, addresses_max: 4096, trunk: false }
    }
}

/// An address that cannot be given to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Another port has it.
    #[error("{mac} is the address of another port of this network already")]
    Taken {
        /// The address.
        mac: MacAddr,
    },
    /// A group address, or all zeros.
    #[error("{mac} is no address of a station (a group address, or all zeros)")]
    NoStation {
        /// The address.
        mac: MacAddr,
    },
}

/// One broadcast domain.
#[derive(Debug)]
pub struct Fabric {
    table: AddressTable,
    age_max_ns: u64,
    members: Vec<PortIndex>,
    /// By port index; `None` for indices that are not of this network.
    states: Vec<Option<PortState>>,
    trunks: usize,
    moves: u64,
    not_learnt: u64,
    aged: u64,
}

#[derive(Debug)]
struct PortState {
    policy: PortPolicy,
    addresses: usize,
}

impl Fabric {
    /// A fabric without ports.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            table: AddressTable::new(settings.secret),
            age_max_ns: u64::try_from(settings.age_max.as_nanos()).unwrap_or(u64::MAX),
            members: Vec::new(),
            states: Vec::new(),
            trunks: 0,
            moves: 0,
            not_learnt: 0,
            aged: 0,
        }
    }

    /// Adds a port, and its static entry when it named its address.
    ///
    /// # Errors
    /// [`AddressError`] when that address is no station's or is another port's.
    pub fn add_port(&mut self, port: PortIndex, policy: PortPolicy) -> Result<(), AddressError> {
        let place = usize::from(port.0);
        if self.states.len() <= place {
            self.states.resize_with(place + 1, || None);
        }
        let (mac, is_trunk) = (policy.mac, policy.trunk);
        self.states[place] = Some(PortState { policy, addresses: 0 });
        if let Some(mac) = mac
            && let Err(error) = self.add_static(port, mac)
        {
            self.states[place] = None;
            return Err(error);
        }
        self.members.push(port);
        self.trunks += usize::from(is_trunk);
        Ok(())
    }

    /// Removes a port and forgets every address behind it.
    pub fn remove_port(&mut self, port: PortIndex) {
        self.trunks -= usize::from(self.is_trunk(port));
        self.members.retain(|member| *member != port);
        if let Some(state) = self.states.get_mut(usize::from(port.0)) {
            *state = None;
        }
        self.table.retain(|entry| entry.port != port);
    }

    /// Forgets every address learnt behind a port, which stays.
    pub fn forget_port(&mut self, port: PortIndex) {
        self.table.retain(|entry| entry.is_static || entry.port != port);
        if let Some(Some(state)) = self.states.get_mut(usize::from(port.0)) {
            state.addresses = 0;
        }
    }

    /// Makes `mac` a static entry of `port`: it neither ages nor moves, and other ports may not use
    /// it.
    ///
    /// # Errors
    /// [`AddressError`] when it is no station's address or is a static entry already.
    pub fn add_static(&mut self, port: PortIndex, mac: MacAddr) -> Result<(), AddressError> {
        if !mac.is_station() {
            return Err(AddressError::NoStation { mac });
        }
        if self.table.find(mac.into()).is_some_and(|entry| entry.is_static()) {
            return Err(AddressError::Taken { mac });
        }
        self.forget(mac.into());
        self.table.insert(Entry { mac, port, seen: Nanos(0), is_static: true });
        Ok(())
    }

    /// Takes back what [`Self::add_static`] gave: whoever has the address may use it again. Nothing
    /// when it is no static entry of this port.
    pub fn remove_static(&mut self, port: PortIndex, mac: MacAddr) {
        if self
            .table
            .find(mac.into())
            .is_some_and(|entry| entry.is_static() && entry.port() == port)
        {
            self.table.remove(mac.into());
        }
    }

    /// Decides on a frame that came in by `port`, which must be of this network.
    #[inline]
    pub fn ingress(&mut self, port: PortIndex, frame: &[u8], now: Nanos) -> Verdict {
        match Addresses::read(frame) {
            Some(addresses) => self.decide(port, addresses, now),
            None => Verdict::Drop(DropReason::Runt),
        }
    }

    /// The same by a frame's addresses: there is nothing else in it that this goes by.
    #[inline]
    pub(crate) fn decide(&mut self, port: PortIndex, addresses: Addresses, now: Nanos) -> Verdict {
        let Addresses { destination, source } = addresses;
        if !source.is_station() {
            return Verdict::Drop(DropReason::BadSource);
        }
        if let Err(reason) = self.learn(port, source, now) {
            return Verdict::Drop(reason);
        }
        if destination.is_group() {
            return Verdict::Flood;
        }
        match self.table.find(destination) {
            Some(entry) if !entry.is_older_than(self.age_max_ns, now) => {
                let target = entry.port();
                if self.carries(port, target) {
                    Verdict::Forward(target)
                } else {
                    Verdict::Drop(DropReason::Hairpin)
                }
            }
            _ => Verdict::Flood,
        }
    }

    /// Counts frames behind one that was [decided on](Self::decide), from and to the same stations,
    /// to which the same applies.
    pub(crate) fn count_alike(&mut self, addresses: Addresses, frames: u64) {
        if self.table.find(addresses.source).is_none() {
            self.not_learnt += frames;
        }
    }

    /// The ports of this network, in the order in which they were added.
    #[must_use]
    pub fn ports(&self) -> &[PortIndex] {
        &self.members
    }

    /// Whether frames that came in by `from` may leave by `target`: not by the port they came from,
    /// and from no trunk by another.
    #[inline]
    #[must_use]
    pub fn carries(&self, from: PortIndex, target: PortIndex) -> bool {
        from != target && (self.trunks < 2 || !self.is_trunk(from) || !self.is_trunk(target))
    }

    /// Forgets the addresses not seen for longer than the limit. Lookups ignore them anyway; this
    /// gives back their place. Call it now and then.
    pub fn expire(&mut self, now: Nanos) {
        let (age_max_ns, states) = (self.age_max_ns, &mut self.states);
        let before = self.table.len();
        self.table.retain(|entry| {
            let keep = !entry.is_older_than(age_max_ns, now);
            if !keep && let Some(Some(state)) = states.get_mut(usize::from(entry.port.0)) {
                state.addresses -= 1;
            }
            keep
        });
        self.aged += (before - self.table.len()) as u64;
    }

    /// Whether an address was learnt and not seen for longer than the limit, so that lookups ignore
    /// it.
    #[must_use]
    pub fn is_aged(&self, entry: &Entry, now: Nanos) -> bool {
        entry.is_older_than(self.age_max_ns, now)
    }

    /// Every address in the table, aged ones that were not expired yet included.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        self.table.iter()
    }

    /// Some of the addresses, and where the next ones are, if there are more: at most `most` of
    /// them, in no order. When the table changes between two pages, any address may be in none of
    /// them or in both.
    #[must_use]
    pub fn page(&self, from: usize, most: usize) -> (Vec<Entry>, Option<usize>) {
        self.table.page(from, most)
    }

    /// How many addresses the table holds.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.table.len()
    }

    /// How many of those were learnt; the others are static.
    #[must_use]
    pub fn learnt_count(&self) -> usize {
        self.states.iter().flatten().map(|state| state.addresses).sum()
    }

    /// How many may be learnt behind all ports together.
    #[must_use]
    pub fn learnt_max(&self) -> usize {
        let of = self.states.iter().flatten().map(|state| state.policy.addresses_max);
        of.fold(0, usize::saturating_add)
    }

    /// How many were forgotten, not having been seen for too long.
    #[must_use]
    pub fn aged(&self) -> u64 {
        self.aged
    }

    /// How often an address was seen behind another port than before.
    #[must_use]
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// How many frames came from an address that was not learnt, its port having too many.
    #[must_use]
    pub fn not_learnt(&self) -> u64 {
        self.not_learnt
    }

    /// Notes behind which port a source is; why the frame is to be dropped instead.
    #[inline]
    fn learn(&mut self, port: PortIndex, source: AddressKey, now: Nanos) -> Result<(), DropReason> {
        let Some(Some(state)) = self.states.get_mut(usize::from(port.0)) else {
            debug_assert!(false, "{port:?} is not of this network");
            return Err(DropReason::Removed);
        };
        if state.policy.mac.is_some_and(|own| AddressKey::from(own) != source) {
            return Err(DropReason::ForeignSource);
        }
        match self.table.find(source) {
            Some(mut entry) if entry.port() == port => {
                entry.see(now);
                Ok(())
            }
            Some(entry) if entry.is_static() => Err(DropReason::OwnedSource),
            Some(_) => {
                self.move_to(port, source, now);
                Ok(())
            }
            None => {
                self.learn_new(port, source, now);
                Ok(())
            }
        }
    }

    #[cold]
    fn learn_new(&mut self, port: PortIndex, source: AddressKey, now: Nanos) {
        if self.take_place(port) {
            self.table.insert(Entry { mac: source.mac(), port, seen: now, is_static: false });
        } else {
            self.not_learnt += 1;
        }
    }

    /// An address learnt behind another port is behind `port` now.
    #[cold]
    fn move_to(&mut self, port: PortIndex, source: AddressKey, now: Nanos) {
        self.moves += 1;
        self.forget(source);
        // Behind a port that may have no more, what is for it is flooded from now on.
        self.learn_new(port, source, now);
    }

    /// Takes one of the places for addresses behind a port, if there is one.
    fn take_place(&mut self, port: PortIndex) -> bool {
        let Some(Some(state)) = self.states.get_mut(usize::from(port.0)) else { return false };
        let has = state.addresses < state.policy.addresses_max;
        state.addresses += usize::from(has);
        has
    }

    fn is_trunk(&self, port: PortIndex) -> bool {
        let state = self.states.get(usize::from(port.0));
        state.is_some_and(|state| state.as_ref().is_some_and(|state| state.policy.trunk))
    }

    fn forget(&mut self, address: AddressKey) {
        if let Some(entry) = self.table.remove(address)
            && !entry.is_static
            && let Some(Some(state)) = self.states.get_mut(usize::from(entry.port.0))
        {
            state.addresses -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trunk_tests;
