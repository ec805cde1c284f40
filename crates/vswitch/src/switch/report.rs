//! What the switch tells of itself.

use std::time::Duration;

use super::{Member, NetworkId, Switch};
use crate::counters::{Drops, PortCounters};
use crate::fabric::{Entry, PortIndex};
use crate::mac::MacAddr;
use crate::poller::Poller;

/// All ports and listeners at one moment.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order of their places; trunks are apart.
    pub ports: Vec<PortReport>,
    /// Those that lead to other loops ([`PortPolicy::trunk`](crate::fabric::PortPolicy::trunk)).
    pub trunks: Vec<PortReport>,
    /// In the order of their places.
    pub listeners: Vec<ListenerReport>,
}

impl Report {
    /// Adds what another loop tells.
    pub fn extend(&mut self, other: Self) {
        self.ports.extend(other.ports);
        self.trunks.extend(other.trunks);
        self.listeners.extend(other.listeners);
    }
}

/// One port.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct PortReport {
    pub index: PortIndex,
    pub name: String,
    pub network: String,
    pub counters: PortCounters,
    /// Frames waiting to be sent.
    pub queued_frames: usize,
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

impl<P: Poller> Switch<P> {
    /// Those of a network's addresses that stand in the next `most` places of its table from number
    /// `from` on: a bounded part, so that a large table is not told in one go while frames wait. An
    /// address that comes or moves between two pages may be in none of them or in both; one not
    /// seen for too long is in none.
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
        let is_aged = |entry: &Entry| !entry.is_static && of.fabric.is_aged(entry, self.now);
        let entries = entries.into_iter().filter(|entry| !is_aged(entry));
        AddressPage { addresses: entries.filter_map(known).collect(), next }
    }

    /// The counters of all ports now.
    pub fn report(&mut self) -> Report {
        let mut report = Report::default();
        for (place, member) in self.members.iter_mut().enumerate() {
            match &mut member.member {
                Member::None => {}
                Member::Port(port) => {
                    port.counters.kernel_dropped_frames = port.port.kernel_dropped_frames();
                    let is_trunk = port.settings.policy.trunk;
                    let to = if is_trunk { &mut report.trunks } else { &mut report.ports };
                    to.push(PortReport {
                        index: PortIndex(u16::try_from(place).unwrap_or(u16::MAX)),
                        name: port.settings.name.clone(),
                        network: self.networks[usize::from(port.settings.network.0)].name.clone(),
                        counters: port.counters,
                        queued_frames: port.queue.len(),
                        held_frames: port.hold.len(),
                        waiting_on: port.waiting_on,
                        gone: port.gone,
                        is_link_up: !port.is_link_down,
                    });
                }
                Member::Listener(listener) => {
                    let network = usize::from(listener.settings.network.0);
                    report.listeners.push(ListenerReport {
                        name: listener.settings.name.clone(),
                        network: self.networks[network].name.clone(),
                        clients: listener.clients,
                        accepted: listener.accepted,
                        turned_away: listener.turned_away,
                        is_link_up: !listener.is_link_down,
                        ended: listener.ended,
                    });
                }
            }
        }
        report
    }

    /// Bytes of the pool's buffers, and how many buffers hold frames: for tests of what is bounded.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        (self.pool.allocated_bytes(), self.pool.filled_slots())
    }
}

impl PortCounters {
    /// Adds another port's counters to these.
    pub fn add(&mut self, other: &Self) {
        let (to, from) = (&mut self.ingress, &other.ingress);
        to.received_frames += from.received_frames;
        to.received_bytes += from.received_bytes;
        to.forwarded_frames += from.forwarded_frames;
        to.flooded_frames += from.flooded_frames;
        add_drops(&mut to.dropped, &from.dropped);
        let (to, from) = (&mut self.egress, &other.egress);
        to.enqueued_frames += from.enqueued_frames;
        to.sent_frames += from.sent_frames;
        to.sent_bytes += from.sent_bytes;
        add_drops(&mut to.dropped, &from.dropped);
        self.kernel_dropped_frames += other.kernel_dropped_frames;
        self.pauses += other.pauses;
    }
}

fn add_drops(to: &mut Drops, from: &Drops) {
    for (reason, frames) in from.iter() {
        to.add(reason, frames);
    }
}
