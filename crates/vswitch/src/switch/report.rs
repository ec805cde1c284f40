//! What the switch tells of itself.

use std::time::Duration;

use super::{ListenerState, Member, Network, NetworkId, PortState, Switch};
use crate::counters::{LoopCounters, PortCounters};
use crate::fabric::{Entry, Fabric, PortIndex};
use crate::mac::MacAddr;
use crate::poller::Poller;
use crate::pool::Pool;

/// All ports and listeners at one moment, and the loop that has them.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of their places; trunks are apart.
    pub ports: Vec<PortReport>,
    /// Those that lead to other loops ([`PortPolicy::trunk`](crate::fabric::PortPolicy::trunk)).
    pub trunks: Vec<PortReport>,
    /// In the order of their places.
    pub listeners: Vec<ListenerReport>,
    /// One; as many as there are where reports were [put together](Self::extend).
    pub loops: Vec<LoopReport>,
}

impl Report {
    /// Adds what another loop tells.
    pub fn extend(&mut self, other: Self) {
        self.ports.extend(other.ports);
        self.trunks.extend(other.trunks);
        self.listeners.extend(other.listeners);
        self.loops.extend(other.loops);
    }
}

/// One port.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortReport {
    pub index: PortIndex,
    pub name: String,
    pub network: String,
    /// The listener whose client it is.
    pub listener: Option<String>,
    pub counters: PortCounters,
    /// Frames waiting to be sent, at most [`QUEUE_FRAMES_MAX`](crate::queue::QUEUE_FRAMES_MAX).
    pub queued_frames: usize,
    /// What these hold of the pool, or will when they have to wait; at most as much as is
    /// [available](PoolReport::available_bytes) then.
    pub queued_bytes: usize,
    /// Frames read and held until their target has room.
    pub held_frames: usize,
    /// The port whose room they wait for.
    pub waiting_on: Option<PortIndex>,
    /// The other end is gone for good.
    pub gone: bool,
    /// Its link was not taken down ([`Switch::set_link`]).
    pub is_link_up: bool,
}

/// One listener, with the sums of its clients that have ended.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct ListenerReport {
    pub name: String,
    pub network: String,
    pub clients: usize,
    pub accepted: u64,
    pub turned_away: u64,
    /// Its link was not taken down, nor are those of its clients to come.
    pub is_link_up: bool,
    pub ended: PortCounters,
}

/// An address of a network, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAddress {
    /// The address.
    pub mac: MacAddr,
    /// The name of the port it is behind.
    pub port: String,
    /// That port is a trunk: the address is behind a port of another loop, which tells of it, too.
    pub is_behind_trunk: bool,
    /// Given, not learnt: it neither ages nor moves.
    pub is_static: bool,
    /// How long ago a frame from it was seen last; of a static one, since when it is there.
    pub age: Duration,
}

/// Some of the addresses of a network ([`Switch::addresses`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPage {
    /// In no order.
    pub addresses: Vec<KnownAddress>,
    /// Where the next page begins, if there is one.
    pub next: Option<usize>,
}

/// One loop.
#[derive(Clone, Debug)]
pub struct LoopReport {
    /// What it counts of itself.
    pub counters: LoopCounters,
    /// Its buffers.
    pub pool: PoolReport,
    /// What it knows of who is where, for each of its networks, in the order of their places.
    pub fdbs: Vec<FdbReport>,
}

/// A pool of buffers. Of `available_bytes` what waits may take, what is in use and free together is
/// `allocated_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolReport {
    /// The most bytes that all its buffers may have together.
    pub budget_bytes: usize,
    /// The bytes of all buffers that exist.
    pub allocated_bytes: usize,
    /// The bytes of those that are in use: with frames in them, or with a port that receives.
    pub used_bytes: usize,
    /// The bytes that could still be taken.
    pub available_bytes: usize,
}

/// A network's filtering database (IEEE 802.1Q): which address is behind which port.
#[derive(Clone, Debug)]
pub struct FdbReport {
    /// The network.
    pub network: String,
    /// Addresses that belong to a port by configuration.
    pub static_entries: usize,
    /// Addresses that were learnt.
    pub learnt_entries: usize,
    /// How many may be learnt behind all of its ports together.
    pub learnt_entries_max: usize,
    /// Times that an address was seen behind another port than before.
    pub moves: u64,
    /// Addresses that were forgotten, not having been seen for too long.
    pub aged_entries: u64,
    /// Frames whose source was not learnt, its port having as many addresses as it may have.
    pub not_learnt_frames: u64,
}

impl<P: Poller> Switch<P> {
    /// Those of a network's addresses that stand in the next `most` places of its table from number
    /// `from` on: a bounded part, so that a large table is not told in one go while frames wait.
    /// When the table changes between two pages, any address may be in none of them or in both; one
    /// not seen for too long is in none.
    #[must_use]
    pub fn addresses(&self, network: NetworkId, from: usize, most: usize) -> AddressPage {
        let Some(of) = self.networks.get(usize::from(network.0)) else {
            return AddressPage::default();
        };
        let (entries, next) = of.fabric.page(from, most);
        let known = |entry: Entry| {
            let Member::Port(port) = self.member(entry.port) else { return None };
            Some(KnownAddress {
                mac: entry.mac,
                port: port.settings.name.clone(),
                is_behind_trunk: port.settings.policy.trunk,
                is_static: entry.is_static,
                age: self.now.since(entry.seen),
            })
        };
        let entries = entries.into_iter().filter(|entry| !of.fabric.is_aged(entry, self.now));
        AddressPage { addresses: entries.filter_map(known).collect(), next }
    }

    /// The counters of all ports now.
    pub fn report(&mut self) -> Report {
        let mut report = Report::default();
        for place in 0..self.members.len() {
            let index = PortIndex(u16::try_from(place).unwrap_or(u16::MAX));
            if let Some(port) = self.port_mut(index) {
                port.counters.kernel_dropped_frames = port.port.kernel_dropped_frames();
            }
            match self.member(index) {
                Member::None => {}
                Member::Port(port) => {
                    let is_trunk = port.settings.policy.trunk;
                    let to = if is_trunk { &mut report.trunks } else { &mut report.ports };
                    to.push(self.port_report(index, port));
                }
                Member::Listener(listener) => report.listeners.push(self.listener_report(listener)),
            }
        }
        let networks = self.networks.iter().filter(|network| !network.is_removed);
        report.loops.push(LoopReport {
            counters: self.counters,
            pool: PoolReport::of(&self.pool),
            fdbs: networks
                .map(|Network { name, fabric, .. }| FdbReport::of(name, fabric))
                .collect(),
        });
        report
    }

    /// Bytes of the pool's buffers, and how many buffers hold frames: for tests of what is bounded.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        (self.pool.allocated_bytes(), self.pool.filled_slots())
    }

    fn port_report(&self, index: PortIndex, port: &PortState) -> PortReport {
        let listener = port.listener.and_then(|listener| self.listener_name(listener));
        PortReport {
            index,
            name: port.settings.name.clone(),
            network: self.networks[usize::from(port.settings.network.0)].name.clone(),
            listener: listener.map(str::to_owned),
            counters: port.counters,
            queued_frames: port.queue.len(),
            queued_bytes: port.queue.held_bytes(),
            held_frames: port.hold.len(),
            waiting_on: port.waiting_on,
            gone: port.gone,
            is_link_up: !port.is_link_down,
        }
    }

    fn listener_report(&self, listener: &ListenerState) -> ListenerReport {
        ListenerReport {
            name: listener.settings.name.clone(),
            network: self.networks[usize::from(listener.settings.network.0)].name.clone(),
            clients: listener.clients,
            accepted: listener.accepted,
            turned_away: listener.turned_away,
            is_link_up: !listener.is_link_down,
            ended: listener.ended,
        }
    }
}

impl PoolReport {
    fn of(pool: &Pool) -> Self {
        Self {
            budget_bytes: pool.budget_bytes(),
            allocated_bytes: pool.allocated_bytes(),
            used_bytes: pool.used_bytes(),
            available_bytes: pool.available_bytes(),
        }
    }
}

impl FdbReport {
    fn of(network: &str, fabric: &Fabric) -> Self {
        let learnt_entries = fabric.learnt_count();
        Self {
            network: network.to_owned(),
            static_entries: fabric.entry_count().saturating_sub(learnt_entries),
            learnt_entries,
            learnt_entries_max: fabric.learnt_max(),
            moves: fabric.moves(),
            aged_entries: fabric.aged(),
            not_learnt_frames: fabric.not_learnt(),
        }
    }
}
