//! The switch: networks, ports, and the one loop that carries frames between them.
//!
//! Written once over [`Port`] and [`Poller`]; what is Linux, XNU or simulated stands behind those.
//! One thread runs it; others reach it through a [`Handle`].
//!
//! A step is: wait; flush the ports that became writable; do what timers ask; let waiting senders
//! go on; read the ports that are readable, a bounded number of batches each. Frames go from a
//! port's inbox through the fabric into the targets' queues, and at the end of each batch every
//! target sends its queue.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc;

use crate::counters::{DropReason, PortCounters};
use crate::fabric::{self, AddressError, Fabric, PortIndex, PortPolicy};
use crate::poller::{Event, Interest, Poller, Source, Token};
use crate::pool::Pool;
use crate::port::{Gone, InboxBuffers, Listener, Port};
use crate::queue::EgressQueue;
use crate::time::Nanos;

mod data_path;
mod finish;
mod handle;
mod log_throttle;
mod report;
mod timers;
mod watch;

pub use handle::Handle;
pub use report::{ListenerReport, PortReport, Report};
pub use timers::STALL_AFTER;

use handle::Command;
use log_throttle::LogThrottle;

/// The pool's bytes: so many, and so many more for each port.
const POOL_BASE_BYTES: usize = 6 << 20;
const POOL_PORT_BYTES: usize = 512 << 10;

/// How many commands from other threads one step carries out.
const COMMANDS_PER_STEP: usize = 64;

/// How many ports a switch can have, listeners included.
pub const PORTS_MAX: usize = 4096;

/// A network of the switch: one broadcast domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(u16);

/// How a port is to be treated.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// Its name, for people and counters.
    pub name: String,
    /// The network it belongs to.
    pub network: NetworkId,
    /// What the fabric knows of it.
    pub policy: PortPolicy,
    /// What to do when its other end is gone for good.
    pub when_gone: WhenGone,
    /// Whether its reading pauses while a target is full. A guest's may: it waits for itself alone.
    /// An uplink's may not: one slow guest would make all others wait.
    pub waits: bool,
}

/// What to do with a port whose other end is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenGone {
    /// Keep it, with its counters; what is for it is dropped.
    Keep,
    /// Remove it.
    Remove,
    /// Stop the switch: without this port it has no purpose.
    Stop,
}

/// How a listener's clients are to be treated.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// The clients are named after it: `NAME.1`, `NAME.2`, …
    pub name: String,
    /// The network they join.
    pub network: NetworkId,
    /// What the fabric knows of each.
    pub policy: PortPolicy,
    /// How many there may be at once; more are turned away.
    pub clients_max: usize,
}

/// A port or listener that could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Its address cannot be had.
    #[error("add port {name}: {source}")]
    Address {
        /// The port.
        name: String,
        /// Why.
        source: AddressError,
    },
    /// The poller did not take it.
    #[error("watch port {name}: {source}")]
    Watch {
        /// The port.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are [`PORTS_MAX`] already.
    #[error("add port {name}: there are {PORTS_MAX} ports already")]
    TooMany {
        /// The port.
        name: String,
    },
}

/// The switch.
#[derive(Debug)]
pub struct Switch<P: Poller> {
    poller: P,
    now: Nanos,
    pool: Pool,
    inbox: InboxBuffers,
    networks: Vec<Network>,
    members: Vec<Place>,
    /// No timer is due before this.
    next_due: Nanos,
    expire_at: Nanos,
    /// What a big segment is cut into, for a moment.
    segments: Vec<crate::frame::Frame>,
    /// Ports with frames queued in this batch.
    dirty: Vec<PortIndex>,
    /// Ports whose watch may have to change.
    touched: Vec<PortIndex>,
    /// Ports to be read without asking the poller.
    pending: VecDeque<PortIndex>,
    /// Targets that have room again, with senders waiting for it.
    freed: VecDeque<PortIndex>,
    /// Senders whose target was removed while they waited for it.
    abandoned: VecDeque<PortIndex>,
    events: Vec<Event>,
    commands: mpsc::Receiver<Command<P>>,
    handle: Handle<P>,
    throttle: LogThrottle,
    stopping: bool,
}

#[derive(Debug)]
struct Network {
    name: String,
    fabric: Fabric,
}

/// A place for a member, and how many members it has had.
#[derive(Debug, Default)]
struct Place {
    generation: u32,
    member: Member,
}

#[derive(Debug, Default)]
enum Member {
    #[default]
    None,
    Port(Box<PortState>),
    Listener(Box<ListenerState>),
}

#[derive(Debug)]
struct PortState {
    settings: PortSettings,
    port: Box<dyn Port>,
    counters: PortCounters,
    /// The listener whose client it is.
    listener: Option<PortIndex>,
    watched: Option<(Source, Interest)>,
    gone: bool,

    queue: EgressQueue,
    /// The kernel took no more; the poller or `retry_at` tells when it does again.
    blocked: bool,
    /// When the port last took a frame, or became blocked.
    progress_at: Nanos,
    /// When sending was last tried.
    tried_at: Nanos,
    /// The ports whose reading pauses until this one has room.
    waiters: VecDeque<PortIndex>,

    /// Frames read and not yet decided on, the first of which waits for `waiting_on`.
    hold: VecDeque<crate::frame::Frame>,
    waiting_on: Option<PortIndex>,

    upkeep_at: Nanos,
    retry_at: Nanos,
    read_again_at: Nanos,

    in_dirty: bool,
    in_touched: bool,
    in_pending: bool,
    in_freed: bool,
}

#[derive(Debug)]
struct ListenerState {
    settings: ListenerSettings,
    listener: Box<dyn Listener>,
    clients: usize,
    accepted: u64,
    turned_away: u64,
    /// The sums of the clients that have ended.
    ended: PortCounters,
    accept_again_at: Nanos,
}

impl<P: Poller> Switch<P> {
    /// A switch without networks.
    #[must_use]
    pub fn new(mut poller: P) -> Self {
        let (sender, commands) = mpsc::channel();
        let handle = Handle::new(sender, poller.waker());
        let now = poller.now();
        Self {
            poller,
            now,
            pool: Pool::new(POOL_BASE_BYTES),
            inbox: InboxBuffers::default(),
            networks: Vec::new(),
            members: Vec::new(),
            next_due: Nanos::NEVER,
            expire_at: Nanos::NEVER,
            segments: Vec::new(),
            dirty: Vec::new(),
            touched: Vec::new(),
            pending: VecDeque::new(),
            freed: VecDeque::new(),
            abandoned: VecDeque::new(),
            events: Vec::new(),
            commands,
            handle,
            throttle: LogThrottle::default(),
            stopping: false,
        }
    }

    /// How other threads reach the switch.
    #[must_use]
    pub fn handle(&self) -> Handle<P> {
        self.handle.clone()
    }

    /// Adds a network without ports.
    ///
    /// # Panics
    /// When there are 65,536 already.
    pub fn add_network(&mut self, name: &str, settings: fabric::Settings) -> NetworkId {
        let id = u16::try_from(self.networks.len()).expect("fewer than 65,536 networks");
        self.networks.push(Network { name: name.to_owned(), fabric: Fabric::new(settings) });
        NetworkId(id)
    }

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
            accept_again_at: Nanos::NEVER,
        };
        self.place_mut(index).member = Member::Listener(Box::new(state));
        let interest = Interest { readable: true, writable: false };
        if let Err(source) = self.poller.add(source, self.token(index), interest) {
            self.place_mut(index).member = Member::None;
            return Err(AddError::Watch { name, source });
        }
        Ok(index)
    }

    /// Removes a port or a listener (with its clients). What it had queued is dropped and counted;
    /// the last counters come back, a listener's being the sums of all its clients.
    pub fn remove(&mut self, index: PortIndex) -> Option<PortCounters> {
        let place = self.members.get_mut(usize::from(index.0))?;
        match std::mem::take(&mut place.member) {
            Member::None => None,
            Member::Port(state) => {
                place.generation = place.generation.wrapping_add(1);
                Some(self.end_port(index, *state))
            }
            Member::Listener(mut state) => {
                place.generation = place.generation.wrapping_add(1);
                self.poller.remove(state.listener.source());
                for client in self.clients_of(index) {
                    if let Some(ended) = self.remove(client) {
                        state.ended.add(&ended);
                    }
                }
                Some(state.ended)
            }
        }
    }

    /// Runs until [`Handle::stop`] or a port whose end is to stop the switch.
    ///
    /// # Errors
    /// When the poller cannot wait any more.
    pub fn run(&mut self) -> io::Result<()> {
        while !self.stopping {
            self.step(Nanos::NEVER)?;
        }
        Ok(())
    }

    /// Makes [`Self::run`] return after the step that runs now.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// One round of the loop: waits until something is ready or due, at most until `until`.
    ///
    /// # Errors
    /// When the poller cannot wait.
    pub fn step(&mut self, until: Nanos) -> io::Result<()> {
        self.sync_watches();
        let busy =
            ![&self.pending, &self.freed, &self.abandoned].into_iter().all(VecDeque::is_empty);
        let deadline = if busy { Nanos(0) } else { self.next_due.min(until) };
        let mut events = std::mem::take(&mut self.events);
        let waited = self.poller.wait(deadline, &mut events);
        self.now = self.poller.now();
        if waited.is_ok() {
            self.round(&events);
        }
        self.events = events;
        waited
    }

    fn round(&mut self, events: &[Event]) {
        self.run_commands();
        // Writable first: who has room again must not be taken for stalled by those read below.
        for event in events.iter().filter(|event| event.writable) {
            if let Some(index) = self.index(event.token) {
                self.writable(index);
            }
        }
        if self.now >= self.next_due {
            self.run_timers();
        }
        self.resume_waiters();
        for event in events.iter().filter(|event| event.readable) {
            if let Some(index) = self.index(event.token) {
                self.readable(index);
            }
        }
        for _ in 0..self.pending.len() {
            if let Some(index) = self.pending.pop_front()
                && let Some(port) = self.port_mut(index)
            {
                port.in_pending = false;
                self.read(index);
            }
        }
        self.sync_watches();
    }

    fn run_commands(&mut self) {
        for _ in 0..COMMANDS_PER_STEP {
            let Ok(command) = self.commands.try_recv() else { return };
            command(self);
        }
        self.handle.wake();
    }

    fn readable(&mut self, index: PortIndex) {
        match self.member(index) {
            Member::Port(_) => self.read(index),
            Member::Listener(_) => self.accept(index),
            Member::None => {}
        }
    }

    fn writable(&mut self, index: PortIndex) {
        if self.port_mut(index).is_some_and(|port| port.blocked) {
            self.flush(index);
        }
    }

    fn accept(&mut self, index: PortIndex) {
        for _ in 0..ACCEPTS_PER_TURN {
            let again_at = self.now + ACCEPT_PAUSE;
            let Some(state) = self.listener_mut(index) else { return };
            match state.listener.accept() {
                Ok(Some(client)) => self.welcome(index, client),
                Ok(None) => return,
                Err(error) => {
                    let name = state.settings.name.clone();
                    state.accept_again_at = again_at;
                    let source = state.listener.source();
                    let token = self.token(index);
                    // Level-triggered: without this the loop would spin on a client it cannot take.
                    let paused = self.poller.modify(source, token, Interest::default());
                    self.due_at(again_at);
                    if self.throttle.allows(self.now) {
                        tracing::warn!(port = name, %error, ?paused, "cannot take a client");
                    }
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, index: PortIndex, client: Box<dyn Port>) {
        let Some(state) = self.listener_mut(index) else { return };
        if state.clients >= state.settings.clients_max {
            state.turned_away += 1;
            let (name, most) = (state.settings.name.clone(), state.settings.clients_max);
            if self.throttle.allows(self.now) {
                tracing::warn!(
                    port = name,
                    most,
                    "client turned away: there are as many as may be"
                );
            }
            return;
        }
        state.accepted += 1;
        let settings = PortSettings {
            name: format!("{}.{}", state.settings.name, state.accepted),
            network: state.settings.network,
            policy: state.settings.policy.clone(),
            when_gone: WhenGone::Remove,
            waits: true,
        };
        let name = settings.name.clone();
        match self.add_port_of(Some(index), settings, client) {
            Ok(_) if self.throttle.allows(self.now) => tracing::info!(port = name, "connected"),
            Ok(_) => {}
            Err(error) => {
                if let Some(state) = self.listener_mut(index) {
                    state.turned_away += 1;
                }
                if self.throttle.allows(self.now) {
                    tracing::warn!(port = name, %error, "client turned away");
                }
            }
        }
    }

    fn add_port_of(
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
        Ok(index)
    }

    /// A port's other end is gone for good.
    fn port_gone(&mut self, index: PortIndex, why: &Gone) {
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
    fn end_port(&mut self, index: PortIndex, mut state: PortState) -> PortCounters {
        if let Some((source, _)) = state.watched.take() {
            self.poller.remove(source);
        }
        while let Some(frame) = state.queue.pop(&self.pool) {
            state.counters.egress.dropped.count(DropReason::Removed);
            self.pool.release(frame);
        }
        for frame in state.hold.drain(..) {
            state.counters.ingress.received_frames += 1;
            state.counters.ingress.received_bytes += frame.len_bytes() as u64;
            state.counters.ingress.dropped.count(DropReason::Removed);
            self.pool.release(frame);
        }
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
        state.counters
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

    fn clients_of(&self, listener: PortIndex) -> Vec<PortIndex> {
        self.ports().filter(|(_, p)| p.listener == Some(listener)).map(|(index, _)| index).collect()
    }

    fn ports(&self) -> impl Iterator<Item = (PortIndex, &PortState)> {
        self.members.iter().enumerate().filter_map(|(place, p)| match &p.member {
            Member::Port(state) => {
                Some((PortIndex(u16::try_from(place).unwrap_or(u16::MAX)), &**state))
            }
            _ => None,
        })
    }

    fn place_mut(&mut self, index: PortIndex) -> &mut Place {
        &mut self.members[usize::from(index.0)]
    }

    fn member(&self, index: PortIndex) -> &Member {
        self.members.get(usize::from(index.0)).map_or(&Member::None, |place| &place.member)
    }

    fn port_mut(&mut self, index: PortIndex) -> Option<&mut PortState> {
        port_of(&mut self.members, index)
    }

    fn listener_mut(&mut self, index: PortIndex) -> Option<&mut ListenerState> {
        match &mut self.members.get_mut(usize::from(index.0))?.member {
            Member::Listener(state) => Some(state),
            _ => None,
        }
    }

    /// What the poller says with an event of this member; members that had its place before have
    /// other tokens.
    fn token(&self, index: PortIndex) -> Token {
        let generation = self.members[usize::from(index.0)].generation;
        Token(u64::from(generation) << 16 | u64::from(index.0))
    }

    fn index(&self, token: Token) -> Option<PortIndex> {
        let [.., high, low] = token.0.to_be_bytes();
        let index = PortIndex(u16::from_be_bytes([high, low]));
        let known = usize::from(index.0) < self.members.len() && self.token(index) == token;
        known.then_some(index)
    }
}

/// The port at `index`: a function of its own, so that other parts of the switch stay in reach.
fn port_of(members: &mut [Place], index: PortIndex) -> Option<&mut PortState> {
    match &mut members.get_mut(usize::from(index.0))?.member {
        Member::Port(state) => Some(state),
        _ => None,
    }
}

impl PortState {
    fn new(
        settings: PortSettings,
        port: Box<dyn Port>,
        listener: Option<PortIndex>,
        now: Nanos,
    ) -> Self {
        Self {
            settings,
            port,
            counters: PortCounters::default(),
            listener,
            watched: None,
            gone: false,
            queue: EgressQueue::new(),
            blocked: false,
            progress_at: now,
            tried_at: now,
            waiters: VecDeque::new(),
            hold: VecDeque::new(),
            waiting_on: None,
            upkeep_at: now,
            retry_at: Nanos::NEVER,
            read_again_at: Nanos::NEVER,
            in_dirty: false,
            in_touched: false,
            in_pending: false,
            in_freed: false,
        }
    }

    /// Whether its frames may not be read now.
    fn is_paused(&self) -> bool {
        self.gone || self.waiting_on.is_some() || self.read_again_at != Nanos::NEVER
    }
}

/// How many clients one turn of a listener takes.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a listener rests when a client cannot be taken, no descriptor being left, say.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
