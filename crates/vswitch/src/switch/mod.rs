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

use crate::counters::{LoopCounters, PortCounters};
use crate::fabric::{self, Fabric, PortIndex};
use crate::offload::Offloads;
use crate::poller::{Event, Interest, Poller, Source, Token};
use crate::pool::Pool;
use crate::port::{InboxBuffers, Listener, Port};
use crate::queue::EgressQueue;
use crate::time::Nanos;

mod admission;
mod alike;
mod clients;
mod data_path;
mod finish;
mod handle;
mod link;
mod log_throttle;
mod membership;
mod notice;
mod report;
mod settings;
mod taps;
mod timers;
mod watch;

pub use handle::Handle;
pub use membership::Dismissed;
pub use notice::Notice;
pub use report::{
    AddressPage, FdbReport, KnownAddress, ListenerReport, LoopReport, PoolReport, PortReport,
    Report,
};
pub use settings::{AddError, ListenerSettings, NetworkId, PORTS_MAX, PortSettings, WhenGone};
pub use taps::TapId;
pub use timers::{PATIENCE, PATIENCE_EVERY, STALL_AFTER};

use handle::Command;
use log_throttle::LogThrottle;
use membership::POOL_BASE_BYTES;
use taps::Taps;

/// How many commands from other threads one step carries out.
const COMMANDS_PER_STEP: usize = 64;

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
    /// How many segments were cut in this turn.
    turn_segments: usize,
    /// What a frame was finished to, until it is queued.
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
    observer: notice::Observer,
    counters: LoopCounters,
    taps: Taps,
    busy_poll: bool,
    stopping: bool,
}

#[derive(Debug)]
struct Network {
    name: String,
    fabric: Fabric,
    /// It has no ports, and its place is another's next.
    is_removed: bool,
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
    is_link_down: bool,
    /// What the port said last that it takes.
    takes: Offloads,

    queue: EgressQueue,
    /// The kernel took no more; the poller or `retry_at` tells when it does again.
    blocked: bool,
    /// When the port last took a frame, or became blocked.
    progress_at: Nanos,
    /// Before this it counts as stalled sooner ([`timers::PATIENCE`]).
    patient_at: Nanos,
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
    is_link_down: bool,
    accept_again_at: Nanos,
    /// Before this, its clients are not asked again whether they are there.
    ask_clients_at: Nanos,
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
            turn_segments: 0,
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
            observer: notice::Observer::default(),
            counters: LoopCounters::default(),
            taps: Taps::default(),
            busy_poll: false,
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
        let network =
            Network { name: name.to_owned(), fabric: Fabric::new(settings), is_removed: false };
        let vacant = self.networks.iter().position(|network| network.is_removed);
        let place = vacant.unwrap_or(self.networks.len());
        let id = u16::try_from(place).expect("fewer than 65,536 networks");
        match self.networks.get_mut(place) {
            Some(removed) => *removed = network,
            None => self.networks.push(network),
        }
        NetworkId(id)
    }

    /// Removes a network with its ports and listeners, which come back still open; its number may
    /// be another's next.
    pub fn remove_network(&mut self, id: NetworkId) -> Vec<Dismissed> {
        let mut dismissed = Vec::new();
        for place in 0..self.members.len() {
            let of = match &self.members[place].member {
                Member::None => continue,
                Member::Port(port) => port.settings.network,
                Member::Listener(listener) => listener.settings.network,
            };
            if of == id {
                let index = PortIndex(u16::try_from(place).unwrap_or(u16::MAX));
                dismissed.extend(self.dismiss(index));
            }
        }
        if let Some(network) = self.networks.get_mut(usize::from(id.0)) {
            network.is_removed = true;
        }
        dismissed
    }

    /// Has the loop ask again and again instead of sleeping until something is ready. That takes a
    /// whole processor and spares each frame the time in which a sleeping thread is woken; on a
    /// machine with processors to spare a round trip takes about half the time.
    pub fn set_busy_poll(&mut self, is_on: bool) {
        self.busy_poll = is_on;
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

    /// One round of the loop: waits until something is ready or due, at most until `until`; not at
    /// all when it polls busily.
    ///
    /// # Errors
    /// When the poller cannot wait.
    pub fn step(&mut self, until: Nanos) -> io::Result<()> {
        self.sync_watches();
        let has_backlog =
            ![&self.pending, &self.freed, &self.abandoned].into_iter().all(VecDeque::is_empty);
        let sleeps = !(self.busy_poll || has_backlog);
        let deadline = if sleeps { self.next_due.min(until) } else { Nanos(0) };
        let mut events = std::mem::take(&mut self.events);
        let waited = self.poller.wait(deadline, &mut events);
        self.now = self.poller.now();
        self.counters.wakeups += u64::from(sleeps);
        if waited.is_ok() {
            let woken_at = self.now;
            let is_due = self.now >= self.next_due;
            let has_commands = self.run_commands();
            self.round(&events);
            if has_backlog || is_due || has_commands || !events.is_empty() {
                // The one look at the clock that is for the counters alone.
                self.now = self.poller.now();
                self.counters.rounds.record(self.now.0.saturating_sub(woken_at.0));
            }
        }
        self.events = events;
        waited
    }

    fn round(&mut self, events: &[Event]) {
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

    /// Whether there were any.
    fn run_commands(&mut self) -> bool {
        for done in 0..COMMANDS_PER_STEP {
            let Ok(command) = self.commands.try_recv() else { return done > 0 };
            self.counters.commands += 1;
            command(self);
        }
        self.handle.wake();
        true
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

    fn listener_name(&self, index: PortIndex) -> Option<&str> {
        match self.member(index) {
            Member::Listener(state) => Some(&state.settings.name),
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
            takes: port.takes(),
            port,
            counters: PortCounters::default(),
            listener,
            watched: None,
            gone: false,
            is_link_down: false,
            queue: EgressQueue::new(),
            blocked: false,
            progress_at: now,
            patient_at: Nanos(0),
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
