//! The guest itself: a TCP/IP stack that takes frames and the time, and gives frames. No IO, no
//! clock, no thread: it runs the same under real and virtual time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress, IpCidr};

use crate::cidr::Cidr;
use crate::config::{ADDRESSES_MAX, GuestConfig, check_unicast};
use crate::error::{ConfigError, TaskError};
use crate::flow::FlowChecker;
use crate::frame::{BUFFER_LEN, Frame, HEADER_LEN};
use crate::mac::MacAddress;
use crate::services::{LAST_ACK_DELAY, Services};
use crate::wire::{MemoryWire, Wire};

mod mld;
mod neighbor;
mod outlet;
mod packet;
mod parked;
mod udp;
pub(crate) mod watch;

use outlet::{Outlet, Port};
use packet::Packet;
use parked::Parked;
pub use udp::{Datagram, UdpPort};
use watch::{AnswerLog, Watch};
pub use watch::{Counters, Direction, Event, FrameCounts, NeighborAnswer};

/// A guest without IO: give it a [`Wire`] and the time, and it answers ARP, neighbour discovery
/// and pings, and carries out tasks ([`crate::Task`]).
///
/// Time is the duration since an epoch of the caller's choice; it must not run backwards.
///
/// ```
/// use std::time::Duration;
/// use probe::{GuestConfig, GuestCore, MacAddress, MemoryWire};
///
/// let (mut cable, mut far_end) = MemoryWire::pair(64);
/// let config = GuestConfig::new(MacAddress::local(1)).with_address("192.0.2.1/24".parse()?);
/// let mut guest = GuestCore::new(config, Duration::ZERO)?;
/// guest.announce();
/// while guest.poll(Duration::ZERO, &mut cable) {}
/// // A gratuitous ARP request is among the first things a guest says.
/// assert!(std::iter::from_fn(|| far_end.take()).any(|frame| frame[12..14] == [0x08, 0x06]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct GuestCore {
    pub(crate) config: GuestConfig,
    interface: Box<Interface>,
    pub(crate) sockets: SocketSet<'static>,
    outlet: Outlet,
    parked: Parked,
    flows: FlowChecker,
    services: Services,
    /// Connections whose last segments are still on their way, and until when they may be.
    closing: Vec<(SocketHandle, Duration)>,
    buffer: Vec<u8>,
    now: Duration,
    next_port: u16,
}

impl GuestCore {
    /// A guest as `config` describes it, at the time `now`.
    ///
    /// # Errors
    /// When an address is not unicast, there are too many of them, or the MTU is out of range.
    pub fn new(config: GuestConfig, now: Duration) -> Result<Self, ConfigError> {
        config.check()?;
        let mac = config.mac;
        let mut outlet = Outlet::new(Watch::new(mac, config.tells), config.mtu);
        let mut hardware = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac.octets())));
        hardware.random_seed = config.seed;
        let (mut unplugged, _) = MemoryWire::pair(0);
        let mut port = Port { incoming: None, outlet: &mut outlet, wire: &mut unplugged };
        let interface = Box::new(Interface::new(hardware, &mut port, instant(now)));
        let ephemeral_offset = u16::try_from(config.seed % 10_000).unwrap_or(0);
        let mut guest = Self {
            interface,
            sockets: SocketSet::new(Vec::new()),
            outlet,
            parked: Parked::default(),
            flows: FlowChecker::default(),
            services: Services::default(),
            closing: Vec::new(),
            buffer: vec![0; BUFFER_LEN],
            now,
            next_port: EPHEMERAL_PORT_MIN + ephemeral_offset,
            config,
        };
        guest.outlet.watch.now = now;
        guest.configure()?;
        Ok(guest)
    }

    fn configure(&mut self) -> Result<(), ConfigError> {
        let link_local = IpAddr::V6(self.config.mac.link_local());
        let addresses = std::mem::take(&mut self.config.addresses);
        if !addresses.iter().any(|cidr| cidr.address() == link_local)
            && let Some(cidr) = Cidr::new(link_local, 64)
        {
            self.add_address(cidr)?;
        }
        for cidr in addresses {
            self.add_address(cidr)?;
        }
        for gateway in std::mem::take(&mut self.config.gateways) {
            self.set_gateway(gateway)?;
        }
        if self.config.serves {
            self.services.start(&mut self.sockets, self.config.tcp_buffer_bytes);
        }
        Ok(())
    }

    /// Takes what has arrived, answers it, and sends what is due. Says whether anything moved: call
    /// it again at once then; otherwise when a frame arrives, or at [`GuestCore::poll_at`].
    ///
    /// One call handles a bounded number of frames.
    pub fn poll<W: Wire + ?Sized>(&mut self, now: Duration, wire: &mut W) -> bool {
        self.now = now.max(self.now);
        self.outlet.watch.now = self.now;
        let mut moved = self.outlet.flush(wire) > 0;
        self.interface.poll_maintenance(instant(self.now));
        moved |= self.receive(wire);
        self.retry_parked(wire);
        moved |= self.services.step(self.now, &mut self.sockets, &mut self.outlet.watch);
        moved |= self.send(wire);
        moved |= self.outlet.flush(wire) > 0;
        self.reap();
        wire.flush();
        moved
    }

    /// When to poll next although nothing arrives; None: only when something does.
    pub fn poll_at(&mut self, now: Duration) -> Option<Duration> {
        let stack = self.interface.poll_at(instant(now), &self.sockets);
        let stack =
            stack.map(|at| Duration::from_micros(u64::try_from(at.total_micros()).unwrap_or(0)));
        let closing = self.closing.iter().map(|(_, until)| *until).min();
        let own = [self.parked.next_at(), self.services.next_at(), closing];
        own.into_iter().chain([stack]).flatten().min()
    }

    /// Whether frames wait because the wire was full: poll again when it takes frames.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.outlet.is_clear()
    }

    /// The card's address.
    #[must_use]
    pub const fn mac(&self) -> MacAddress {
        self.config.mac
    }

    /// The largest packet, in bytes, without the Ethernet header.
    #[must_use]
    pub const fn mtu(&self) -> usize {
        self.config.mtu
    }

    /// The guest's addresses, the link-local one first.
    #[must_use]
    pub fn addresses(&self) -> Vec<Cidr> {
        let cidr = |cidr: &IpCidr| Cidr::new(cidr.address().into(), cidr.prefix_len());
        self.interface.ip_addrs().iter().filter_map(cidr).collect()
    }

    /// Adds an address.
    ///
    /// # Errors
    /// When it is not unicast, or one too many.
    pub fn add_address(&mut self, address: Cidr) -> Result<(), ConfigError> {
        check_unicast(address.address())?;
        let count = self.interface.ip_addrs().len();
        if count >= ADDRESSES_MAX {
            return Err(ConfigError::Addresses(count + 1));
        }
        let cidr = IpCidr::new(address.address().into(), address.prefix_len());
        self.interface.update_ip_addrs(|addresses| {
            if !addresses.contains(&cidr) {
                // There is room: checked just above.
                let _ = addresses.push(cidr);
            }
        });
        Ok(())
    }

    /// Removes an address, if the guest has it.
    pub fn remove_address(&mut self, address: IpAddr) {
        let address = IpAddress::from(address);
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|cidr| cidr.address() != address);
        });
    }

    /// Sets the default gateway of its family.
    ///
    /// # Errors
    /// When it is not unicast.
    pub fn set_gateway(&mut self, gateway: IpAddr) -> Result<(), ConfigError> {
        check_unicast(gateway)?;
        let routes = self.interface.routes_mut();
        // The table has room for more than the two default routes this guest ever makes.
        let _ = match gateway {
            IpAddr::V4(gateway) => routes.add_default_ipv4_route(gateway),
            IpAddr::V6(gateway) => routes.add_default_ipv6_route(gateway),
        };
        Ok(())
    }

    /// The guest's address that packets to `target` come from.
    ///
    /// # Errors
    /// [`TaskError::NoRoute`] when neither a network of the guest nor a gateway leads there.
    pub fn source_for(&self, target: IpAddr) -> Result<IpAddr, TaskError> {
        let no_route = TaskError::NoRoute(target);
        if target.is_unspecified() {
            return Err(no_route);
        }
        let is_group = match target {
            IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_multicast(),
        };
        let on_link = is_group || self.addresses().iter().any(|cidr| cidr.contains(target));
        let routed = match target {
            IpAddr::V4(_) => self.interface.routes().get_default_ipv4_route().is_some(),
            IpAddr::V6(_) => self.interface.routes().get_default_ipv6_route().is_some(),
        };
        if !on_link && !routed {
            return Err(no_route);
        }
        let source = self.interface.get_source_address(&target.into()).map(IpAddr::from);
        source.ok_or(no_route)
    }

    /// Joins a multicast group: its membership is reported, its packets are taken.
    ///
    /// # Errors
    /// When it is no group, or the guest's table of groups is full.
    pub fn join(&mut self, group: IpAddr) -> Result<(), ConfigError> {
        use smoltcp::iface::MulticastError;
        self.interface.join_multicast_group(group).map_err(|error| match error {
            MulticastError::GroupTableFull => ConfigError::Group(group, "one group too many"),
            MulticastError::Unaddressable => ConfigError::Group(group, "not a multicast address"),
        })
    }

    /// Leaves a multicast group, and reports that.
    ///
    /// # Errors
    /// When it is no group.
    pub fn leave(&mut self, group: IpAddr) -> Result<(), ConfigError> {
        let left = self.interface.leave_multicast_group(group);
        left.map_err(|_| ConfigError::Group(group, "not a multicast address"))
    }

    /// Tells the network where this guest is: a gratuitous ARP request and an unsolicited neighbour
    /// advertisement for each address. A driver does so when its cable comes (back) up.
    pub fn announce(&mut self) {
        for cidr in self.addresses() {
            let frame = neighbor::announcement(self.config.mac, cidr.address());
            self.outlet.queue(&frame);
        }
    }

    /// Queues a frame as it is; one that finds the queue full is dropped and counted.
    pub fn send_frame(&mut self, frame: &[u8]) {
        self.outlet.queue(frame);
    }

    /// How many frames [`GuestCore::send_frame`] would take now.
    #[must_use]
    pub fn send_room(&self) -> usize {
        self.outlet.room()
    }

    /// What the guest counted so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.outlet.watch.counters
    }

    /// The numbered frames that arrived at this guest.
    #[must_use]
    pub const fn flows(&self) -> &FlowChecker {
        &self.flows
    }

    /// The oldest news not yet read; only when [`GuestConfig::tells`].
    pub fn next_event(&mut self) -> Option<Event> {
        self.outlet.watch.next_event()
    }

    /// Shows `observer` every frame: all that arrive, for whomever they are, and all that are sent.
    pub fn on_frame(&mut self, observer: impl FnMut(Direction, &[u8]) + Send + 'static) {
        self.outlet.watch.observer = Some(Box::new(observer));
    }

    /// A local port number that no connection of this guest used lately.
    pub(crate) fn ephemeral_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(EPHEMERAL_PORT_MIN);
        port
    }

    pub(crate) fn watch(&mut self) -> &mut Watch {
        &mut self.outlet.watch
    }

    pub(crate) fn interface_and_sockets(&mut self) -> (&mut Interface, &mut SocketSet<'static>) {
        (&mut self.interface, &mut self.sockets)
    }

    /// Begins to collect the answers about `target`.
    pub(crate) fn collect_answers(&mut self, target: IpAddr) {
        self.outlet.watch.answers = Some(AnswerLog { target, answers: Vec::new() });
    }

    /// Queues the question who owns `target`.
    pub(crate) fn ask(&mut self, target: IpAddr) -> Result<(), TaskError> {
        let source = self.source_for(target).or_else(|error| match target {
            IpAddr::V4(_) => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            IpAddr::V6(_) => Err(error),
        })?;
        let question = neighbor::question(self.config.mac, source, target);
        self.outlet.queue(&question.ok_or(TaskError::NoRoute(target))?);
        Ok(())
    }

    /// The answers about `target` so far.
    pub(crate) fn answers(&self, target: IpAddr) -> &[NeighborAnswer] {
        match &self.outlet.watch.answers {
            Some(log) if log.target == target => &log.answers,
            _ => &[],
        }
    }

    /// Closes a connection, lets its last segments go, and removes it within a few seconds.
    pub(crate) fn close_later(&mut self, handle: SocketHandle) {
        self.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
        self.closing.push((handle, self.now + CLOSING_MAX));
    }

    /// Whether connections are on their way out: a guest that ends now cuts them off.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    fn reap(&mut self) {
        let (sockets, now) = (&mut self.sockets, self.now);
        self.closing.retain_mut(|(handle, until)| {
            let state = sockets.get::<tcp::Socket<'_>>(*handle).state();
            if state == tcp::State::TimeWait {
                *until = (*until).min(now + LAST_ACK_DELAY);
            }
            let is_over = state == tcp::State::Closed || now >= *until;
            if is_over {
                sockets.remove(*handle);
            }
            !is_over
        });
    }

    fn receive<W: Wire + ?Sized>(&mut self, wire: &mut W) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut count = 0;
        while count < BATCH_FRAMES
            && let Some(len) = wire.receive(&mut buffer)
        {
            self.receive_one(&buffer[..len], wire);
            count += 1;
        }
        self.buffer = buffer;
        count > 0
    }

    fn receive_one<W: Wire + ?Sized>(&mut self, bytes: &[u8], wire: &mut W) {
        let Some(frame) = self.outlet.watch.received(bytes) else { return };
        if bytes.len() > self.config.mtu + HEADER_LEN {
            self.outlet.watch.counters.malformed += 1;
            return;
        }
        if frame.ethertype == crate::flow::ETHERTYPE {
            if frame.destination == self.config.mac || frame.destination.is_group() {
                self.flows.check(bytes);
            }
            return;
        }
        let is_ours = |address: Ipv6Addr| self.interface.has_ip_addr(IpAddress::Ipv6(address));
        if let Some(reply) = neighbor::answer(&frame, self.config.mac, is_ours) {
            self.outlet.queue(&reply);
        }
        if !self.show(bytes, wire) && self.awaits_reply(&frame) {
            self.parked.park(bytes, self.now);
        }
    }

    /// Shows one frame to the stack; says whether an echo reply came of it.
    fn show<W: Wire + ?Sized>(&mut self, bytes: &[u8], wire: &mut W) -> bool {
        let before = self.outlet.watch.counters.echo_replies_sent;
        let mut port = Port { incoming: Some(bytes), outlet: &mut self.outlet, wire };
        let now = instant(self.now);
        self.interface.poll_ingress_single(now, &mut port, &mut self.sockets);
        self.outlet.watch.counters.echo_replies_sent > before
    }

    /// Whether this is an echo request to an address of this guest.
    fn awaits_reply(&self, frame: &Frame<'_>) -> bool {
        match Packet::parse(frame) {
            Packet::EchoRequest { from, to } => {
                frame.destination == self.config.mac
                    && self.interface.has_ip_addr(IpAddress::from(to))
                    && self.source_for(from).is_ok()
            }
            _ => false,
        }
    }

    fn retry_parked<W: Wire + ?Sized>(&mut self, wire: &mut W) {
        let news = std::mem::take(&mut self.outlet.watch.neighbor_news);
        for request in self.parked.take_due(self.now, news) {
            if !self.show(request.frame(), wire) {
                self.parked.again(request, self.now);
            }
        }
    }

    fn send<W: Wire + ?Sized>(&mut self, wire: &mut W) -> bool {
        use smoltcp::iface::PollResult;
        let now = instant(self.now);
        let mut moved = false;
        for _ in 0..BATCH_FRAMES {
            let mut port = Port { incoming: None, outlet: &mut self.outlet, wire: &mut *wire };
            match self.interface.poll_egress(now, &mut port, &mut self.sockets) {
                PollResult::None => break,
                PollResult::SocketStateChanged => moved = true,
            }
        }
        moved
    }
}

impl std::fmt::Debug for GuestCore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuestCore")
            .field("config", &self.config)
            .field("addresses", &self.addresses())
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

fn instant(since_epoch: Duration) -> Instant {
    Instant::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Frames read, and rounds of sending, per poll.
const BATCH_FRAMES: usize = 64;
/// For the end of a connection to be acknowledged.
const CLOSING_MAX: Duration = Duration::from_secs(3);
/// The dynamic ports (RFC 6335, 6).
const EPHEMERAL_PORT_MIN: u16 = 49_152;
