//! How ports and listeners come, and how they end.

use super::{
    AddError, ListenerSettings, ListenerState, Member, Notice, PORTS_MAX, Place, PortSettings,
    PortState, Switch, WhenGone, port_of, timers,
};
use crate::capture::Passage;
use crate::counters::{DropReason, PortCounters};
use crate::fabric::PortIndex;
use crate::mac::MacAddr;
use crate::poller::{Interest, Poller};
use crate::port::{Gone, Listener, Port};
use crate::time::Nanos;

/// The pool's bytes: so many, and so many more for each port.
pub(super) const POOL_BASE_BYTES: usize = 6 << 20;
const POOL_PORT_BYTES: usize = 512 << 10;

/// A port or a listener that was removed: closed when this is dropped.
#[derive(Debug)]
pub struct Dismissed {
    /// Its last counters, a listener's being the sums of all its clients.
    pub counters: PortCounters,
    /// What is closed with this.
    ports: Vec<Box<dyn Port>>,
    #[allow(dead_code, reason = "kept to be closed with this")]
    listener: Option<Box<dyn Listener>>,
}

impl<P: Poller> Switch<P> {
    /// Adds a port.
    ///
    /// # Errors
    /// [`AddError`]; the port is dropped then.
    pub fn add_port(
        &mut self,
        settings: PortSettings,
        port: Box<dyn Port>,
    ) -> Result<PortIndex, AddError> {
        self.add_port_of(None, settings, port)
    }

    /// Adds a listener.
    ///
    /// # Errors
    /// [`AddError`]; the listener is dropped then.
    pub fn add_listener(
        &mut self,
        settings: ListenerSettings,
        listener: Box<dyn Listener>,
    ) -> Result<PortIndex, AddError> {
        let index = self.vacancy(&settings.name)?;
        let name = settings.name.clone();
        let source = listener.source();
        let state = ListenerState {
            settings,
            listener,
            clients: 0,
            accepted: 0,
            turned_away: 0,
            ended: PortCounters::default(),
            is_link_down: false,
            accept_again_at: Nanos::NEVER,
            ask_clients_at: Nanos(0),
        };
        self.place_mut(index).member = Member::Listener(Box::new(state));
        let interest = Interest { readable: true, writable: false };
        if let Err(source) = self.poller.add(source, self.token(index), interest) {
            self.place_mut(index).member = Member::None;
            return Err(AddError::Watch { name, source });
        }
        Ok(index)
    }

    /// Makes `mac` an address of a port for as long as the port is there: it neither ages nor
    /// moves, and no other port may use it ([`Fabric::add_static`]).
    ///
    /// # Errors
    /// [`AddError`] when there is no such port, or the address cannot be had.
    ///
    /// [`Fabric::add_static`]: crate::fabric::Fabric::add_static
    pub fn add_static(&mut self, index: PortIndex, mac: MacAddr) -> Result<(), AddError> {
        let Some(port) = port_of(&mut self.members, index) else {
            return Err(AddError::NoPort { mac, port: index.0 });
        };
        let fabric = &mut self.networks[usize::from(port.settings.network.0)].fabric;
        let name = &port.settings.name;
        let taken = |source| AddError::Address { name: name.clone(), source };
        fabric.add_static(index, mac).map_err(taken)
    }

    /// Takes back what [`Self::add_static`] gave.
    pub fn remove_static(&mut self, index: PortIndex, mac: MacAddr) {
        if let Some(port) = port_of(&mut self.members, index) {
            let network = usize::from(port.settings.network.0);
            self.networks[network].fabric.remove_static(index, mac);
        }
    }

    /// Tells a port which stations are behind the others ([`Port::set_stations`]).
    ///
    /// # Errors
    /// What the port says; nothing when there is no such port.
    pub fn set_stations(
        &mut self,
        index: PortIndex,
        stations: Option<&[MacAddr]>,
    ) -> std::io::Result<()> {
        match port_of(&mut self.members, index) {
            Some(port) => port.port.set_stations(stations),
            None => Ok(()),
        }
    }

    /// Removes a port or a listener (with its clients). What it had queued is dropped and counted;
    /// the last counters come back, a listener's being the sums of all its clients.
    pub fn remove(&mut self, index: PortIndex) -> Option<PortCounters> {
        self.dismiss(index).map(|dismissed| dismissed.counters)
    }

    /// [`Self::remove`], with what was removed still open: closing it can take long (a packet
    /// socket waits for the kernel's readers, a TAP's interface goes with it), and is better done
    /// by somebody else than the switch's thread.
    pub fn dismiss(&mut self, index: PortIndex) -> Option<Dismissed> {
        let place = self.members.get_mut(usize::from(index.0))?;
        match std::mem::take(&mut place.member) {
            Member::None => None,
            Member::Port(state) => {
                place.generation = place.generation.wrapping_add(1);
                let (counters, port) = self.end_port(index, *state);
                Some(Dismissed { counters, ports: vec![port], listener: None })
            }
            Member::Listener(mut state) => {
                place.generation = place.generation.wrapping_add(1);
                self.poller.remove(state.listener.source());
                let mut ports = Vec::new();
                for client in self.clients_of(index) {
                    if let Some(ended) = self.dismiss(client) {
                        state.ended.add(&ended.counters);
                        ports.extend(ended.ports);
                    }
                }
                let listener = Some(state.listener);
                Some(Dismissed { counters: state.ended, ports, listener })
            }
        }
    }

    /// Whether a port's other end is gone for good.
    #[must_use]
    pub fn is_gone(&self, index: PortIndex) -> bool {
        match self.member(index) {
            Member::Port(port) => port.gone,
            Member::Listener(_) => false,
            Member::None => true,
        }
    }

    pub(super) fn add_port_of(
        &mut self,
        listener: Option<PortIndex>,
        settings: PortSettings,
        port: Box<dyn Port>,
    ) -> Result<PortIndex, AddError> {
        let index = self.vacancy(&settings.name)?;
        let name = settings.name.clone();
        let fabric = &mut self.networks[usize::from(settings.network.0)].fabric;
        fabric
            .add_port(index, settings.policy.clone())
            .map_err(|source| AddError::Address { name: name.clone(), source })?;
        let state = PortState::new(settings, port, listener, self.now);
        self.place_mut(index).member = Member::Port(Box::new(state));
        // From here on, `end_port` takes back whatever is counted.
        if let Some(listener) = listener.and_then(|index| self.listener_mut(index)) {
            listener.clients += 1;
        }
        self.fit_pool();
        if let Err(source) = self.sync_watch(index) {
            self.remove(index);
            return Err(AddError::Watch { name, source });
        }
        self.due_at(self.now);
        if self.expire_at == Nanos::NEVER {
            self.expire_at = self.now + timers::EXPIRE_EVERY;
            self.due_at(self.expire_at);
        }
        self.show_port(index);
        Ok(index)
    }

    /// A port's other end is gone for good.
    pub(super) fn port_gone(&mut self, index: PortIndex, why: &Gone) {
        let Some(port) = port_of(&mut self.members, index) else { return };
        if port.gone {
            return;
        }
        port.gone = true;
        port.blocked = false;
        // Clients come and go as they like: what they do must not hide the end of any other port.
        let allowed = port.listener.is_none() || self.throttle.allows(self.now);
        let (name, when_gone) = (port.settings.name.clone(), port.settings.when_gone);
        if allowed {
            tracing::info!(port = name, %why, "port ended");
        }
        let is_client = port.listener.is_some();
        let network = &self.networks[usize::from(port.settings.network.0)].name;
        self.observer.tell(&Notice::PortEnded { network, port: &name, is_client, why });
        self.touch(index);
        match when_gone {
            WhenGone::Keep => self.drop_queue(index, DropReason::NoPeer),
            WhenGone::Remove => {
                self.remove(index);
            }
            WhenGone::Stop => {
                self.drop_queue(index, DropReason::NoPeer);
                self.stopping = true;
            }
        }
    }

    /// Brings a port that was taken from its place to its end.
    fn end_port(
        &mut self,
        index: PortIndex,
        mut state: PortState,
    ) -> (PortCounters, Box<dyn Port>) {
        if let Some((source, _)) = state.watched.take() {
            self.poller.remove(source);
        }
        while let Some(frame) = state.queue.pop() {
            state.counters.egress.dropped.count(DropReason::Removed);
            let passage = Passage::dropped_out(DropReason::Removed, 1);
            self.taps.show(index, &frame, passage, &self.pool, self.now);
            self.pool.release(frame);
        }
        for frame in state.hold.drain(..) {
            state.counters.ingress.received_frames += 1;
            state.counters.ingress.received_bytes += frame.len_bytes() as u64;
            state.counters.ingress.dropped.count(DropReason::Removed);
            let passage = Passage::dropped_in(DropReason::Removed);
            self.taps.show(index, &frame, passage, &self.pool, self.now);
            self.pool.release(frame);
        }
        self.taps.remove_port(index, self.now);
        if let Some(target) = state.waiting_on.and_then(|target| self.port_mut(target)) {
            target.waiters.retain(|waiter| *waiter != index);
        }
        self.networks[usize::from(state.settings.network.0)].fabric.remove_port(index);
        state.counters.kernel_dropped_frames = state.port.kernel_dropped_frames();
        if let Some(listener) = state.listener.and_then(|index| self.listener_mut(index)) {
            listener.clients -= 1;
            listener.ended.add(&state.counters);
        }
        // Not resumed here: this may happen in the midst of another port's inbox.
        self.abandoned.extend(state.waiters.drain(..));
        self.fit_pool();
        (state.counters, state.port)
    }

    fn fit_pool(&mut self) {
        let ports = self.members.iter().filter(|p| matches!(p.member, Member::Port(_))).count();
        self.pool.set_budget_bytes(POOL_BASE_BYTES + ports.max(2) * POOL_PORT_BYTES);
    }

    fn vacancy(&mut self, name: &str) -> Result<PortIndex, AddError> {
        let free = self.members.iter().position(|place| matches!(place.member, Member::None));
        let place = free.unwrap_or(self.members.len());
        if place >= PORTS_MAX {
            return Err(AddError::TooMany { name: name.to_owned() });
        }
        if place == self.members.len() {
            self.members.push(Place::default());
        }
        Ok(PortIndex(u16::try_from(place).unwrap_or(u16::MAX)))
    }

    pub(super) fn clients_of(&self, listener: PortIndex) -> Vec<PortIndex> {
        self.ports().filter(|(_, p)| p.listener == Some(listener)).map(|(index, _)| index).collect()
    }
}
