//! A network in all loops.
//!
//! The ports of a network are dealt to the loops in turn, and a trunk joins each two loops. A frame
//! that came by a trunk leaves by none, so that it reaches each loop once, and what one station
//! sends another always takes the same way: its order is kept.

use vswitch::MacAddr;
use vswitch::fabric::{self, PortIndex, PortPolicy};
use vswitch::poller::Poller;
use vswitch::port::Port;
use vswitch::switch::{AddError, Dismissed, NetworkId, PortSettings, Switch, WhenGone};

use super::{Ended, Reach};
use crate::platform::Platform;

/// What the trunks of one loop and network hold of frames on their way to others, all together;
/// each has room for some.
const TRUNKS_BYTES: usize = 8 << 20;
const TRUNK_BYTES_MIN: usize = 256 << 10;

/// How many addresses may be learnt behind a trunk: a whole LAN may be there, and other loops'
/// ports.
const TRUNK_ADDRESSES_MAX: usize = 65_536;

/// The network's number in each loop, and its trunks.
#[derive(Debug)]
pub(crate) struct Wiring {
    lanes: Vec<Lane>,
    /// Which loop is dealt the next port.
    next: usize,
}

#[derive(Debug)]
struct Lane {
    network: NetworkId,
    /// By the loop to which each leads; `None` for itself.
    trunks: Vec<Option<PortIndex>>,
}

/// Where a port or a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    /// The loop.
    pub(crate) at: usize,
    /// The place in it.
    pub(crate) index: PortIndex,
}

/// Why a port or a network cannot be added to the loops.
#[derive(Debug)]
pub(crate) enum WiringError<E> {
    /// The platform has no trunk.
    Platform(E),
    /// A loop does not take it.
    Add(AddError),
    /// The loops have ended.
    Ended,
}

impl<E> From<Ended> for WiringError<E> {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

impl<E> From<AddError> for WiringError<E> {
    fn from(error: AddError) -> Self {
        Self::Add(error)
    }
}

impl Wiring {
    /// Adds a network without ports to each loop.
    ///
    /// # Errors
    /// [`WiringError`]; nothing is left of it then.
    pub(crate) fn make<P: Platform>(
        platform: &mut P,
        reach: &mut impl Reach<P::Poller>,
        name: &str,
    ) -> Result<Self, WiringError<P::Error>> {
        let count = reach.count();
        let mut this = Self { lanes: Vec::new(), next: 0 };
        for at in 0..count {
            let name = name.to_owned();
            let settings =
                fabric::Settings { secret: random_secret(), ..fabric::Settings::default() };
            let network = reach.on(at, move |switch| switch.add_network(&name, settings))?;
            this.lanes.push(Lane { network, trunks: vec![None; count] });
        }
        match this.join(platform, reach) {
            Ok(()) => Ok(this),
            Err(error) => {
                this.undo(reach);
                Err(error)
            }
        }
    }

    fn join<P: Platform>(
        &mut self,
        platform: &mut P,
        reach: &mut impl Reach<P::Poller>,
    ) -> Result<(), WiringError<P::Error>> {
        let count = reach.count();
        for one in 0..count {
            for two in one + 1..count {
                let bytes = (TRUNKS_BYTES / (count - 1)).max(TRUNK_BYTES_MIN);
                let (near, far) = platform.trunk(bytes).map_err(WiringError::Platform)?;
                self.add_trunk(reach, one, two, near)?;
                self.add_trunk(reach, two, one, far)?;
            }
        }
        Ok(())
    }

    fn add_trunk<P: Poller, E>(
        &mut self,
        reach: &mut impl Reach<P>,
        at: usize,
        to: usize,
        port: Box<dyn Port>,
    ) -> Result<(), WiringError<E>> {
        let settings = PortSettings {
            name: format!("trunk {}-{}", at + 1, to + 1),
            network: self.lanes[at].network,
            policy: PortPolicy {
                trunk: true,
                addresses_max: TRUNK_ADDRESSES_MAX,
                ..PortPolicy::default()
            },
            // Its other end goes first when the network is removed.
            when_gone: WhenGone::Keep,
            waits: true,
        };
        let added = reach.on(at, move |switch| switch.add_port(settings, port))?;
        self.lanes[at].trunks[to] = Some(added?);
        Ok(())
    }

    /// Adds a port or a listener to the loop whose turn it is, by `add`; `mac`, its own address if
    /// it has one, is its own in all loops.
    ///
    /// # Errors
    /// [`WiringError`]; what was to be added is dropped then.
    pub(crate) fn add<P: Poller, E>(
        &mut self,
        reach: &mut impl Reach<P>,
        mac: Option<MacAddr>,
        add: impl FnOnce(&mut Switch<P>, NetworkId) -> Result<PortIndex, AddError> + Send + 'static,
    ) -> Result<Seat, WiringError<E>> {
        let at = self.deal();
        let network = self.lanes[at].network;
        let index = reach.on(at, move |switch| add(switch, network))??;
        self.settle(reach, Seat { at, index }, mac)
    }

    /// Removes a port or a listener, with its clients, and its address `mac`; closed when what
    /// comes back is dropped, here and not by the loop.
    ///
    /// # Errors
    /// [`Ended`].
    pub(crate) fn remove<P: Poller>(
        &self,
        reach: &mut impl Reach<P>,
        seat: Seat,
        mac: Option<MacAddr>,
    ) -> Result<Option<Dismissed>, Ended> {
        for (other, trunk) in self.trunks_to(seat.at) {
            if let Some(mac) = mac {
                reach.on(other, move |switch| switch.remove_static(trunk, mac))?;
            }
        }
        reach.on(seat.at, move |switch| switch.dismiss(seat.index))
    }

    /// Removes the network from all loops, with whatever is left on it.
    pub(crate) fn undo<P: Poller>(self, reach: &mut impl Reach<P>) {
        for (at, lane) in self.lanes.into_iter().enumerate() {
            // A loop that has ended has no networks.
            drop(reach.on(at, move |switch| switch.remove_network(lane.network)));
        }
    }

    /// The network's number in one loop.
    pub(crate) fn network(&self, at: usize) -> Option<NetworkId> {
        self.lanes.get(at).map(|lane| lane.network)
    }

    fn deal(&mut self) -> usize {
        let at = self.next;
        self.next = (at + 1) % self.lanes.len();
        at
    }

    /// In all other loops, the address is that of the trunk by which its port is reached.
    fn settle<P: Poller, E>(
        &self,
        reach: &mut impl Reach<P>,
        seat: Seat,
        mac: Option<MacAddr>,
    ) -> Result<Seat, WiringError<E>> {
        let Some(mac) = mac else { return Ok(seat) };
        for (other, trunk) in self.trunks_to(seat.at) {
            let reserved = reach.on(other, move |switch| switch.add_static(trunk, mac))?;
            if let Err(error) = reserved {
                self.remove(reach, seat, Some(mac))?;
                return Err(error.into());
            }
        }
        Ok(seat)
    }

    /// The other loops, each with its trunk to `at`.
    fn trunks_to(&self, at: usize) -> impl Iterator<Item = (usize, PortIndex)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(move |(other, lane)| Some((other, lane.trunks[at]?)))
    }
}

/// A number that no guest knows, for the hash of the address table.
fn random_secret() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
