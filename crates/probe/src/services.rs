//! What a serving guest answers over TCP: [throughput] on port 5882, echo on 7
//! (RFC 862), discard on 9 (RFC 863) and chargen on 19 (RFC 864; the content is the
//! [pattern]).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

use crate::core::watch::{Event, Watch};
use crate::throughput::{self, ServerSession, Session, pattern};

/// A TCP service of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Checked bulk transfers.
    Throughput,
    /// Sends back what it gets.
    Echo,
    /// Swallows what it gets.
    Discard,
    /// Sends until the client goes.
    Chargen,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Throughput, Self::Echo, Self::Discard, Self::Chargen];

    /// Its TCP port.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Throughput => throughput::PORT,
            Self::Echo => 7,
            Self::Discard => 9,
            Self::Chargen => 19,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Echo => "echo",
            Self::Discard => "discard",
            Self::Chargen => "chargen",
        }
    }

    fn session(self) -> Box<dyn Session + Send> {
        match self {
            Self::Throughput => Box::new(ServerSession::new()),
            Self::Echo => Box::<Echo>::default(),
            Self::Discard => Box::<Discard>::default(),
            Self::Chargen => Box::<Chargen>::default(),
        }
    }
}

/// The listening and connected sockets of a guest's services.
#[derive(Debug, Default)]
pub(crate) struct Services {
    slots: Vec<Slot>,
    buffer_bytes: usize,
}

impl Services {
    pub(crate) fn start(&mut self, sockets: &mut SocketSet<'static>, buffer_bytes: usize) {
        self.buffer_bytes = buffer_bytes;
        for service in Service::ALL {
            for _ in 0..CONNECTIONS_MAX {
                let handle = sockets.add(listening_socket(service, buffer_bytes));
                self.slots.push(Slot { service, handle, connection: None });
            }
        }
    }

    /// Moves bytes between the sockets and their sessions; says whether any moved.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        sockets: &mut SocketSet<'static>,
        watch: &mut Watch,
    ) -> bool {
        let mut moved = false;
        for slot in &mut self.slots {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(slot.handle);
            moved |= slot.step(now, socket, watch);
            if slot.is_over(now, socket) {
                slot.tell_end(now, watch);
                *socket = listening_socket(slot.service, self.buffer_bytes);
            }
        }
        moved
    }

    /// When a client that lingers is let go.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        let until = |slot: &Slot| slot.connection.as_ref()?.linger_until;
        self.slots.iter().filter_map(until).min()
    }
}

#[derive(Debug)]
struct Slot {
    service: Service,
    handle: SocketHandle,
    connection: Option<Connection>,
}

struct Connection {
    session: Box<dyn Session + Send>,
    from: SocketAddr,
    since: Duration,
    flow: Flow,
    /// All is said: the client has until then to close its side.
    linger_until: Option<Duration>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Slot {
    fn step(&mut self, now: Duration, socket: &mut tcp::Socket<'_>, watch: &mut Watch) -> bool {
        if self.connection.is_none() && socket.may_send() {
            let Some(peer) = socket.remote_endpoint() else { return false };
            let from = SocketAddr::from((IpAddr::from(peer.addr), peer.port));
            watch.tell(Event::Connected { service: self.service.name(), from });
            self.connection = Some(Connection {
                session: self.service.session(),
                from,
                since: now,
                flow: Flow::default(),
                linger_until: None,
            });
        }
        let Some(connection) = &mut self.connection else { return false };
        let moved = pump(socket, &mut *connection.session, &mut connection.flow, now);
        let linger = match socket.state() {
            tcp::State::TimeWait => Some(LAST_ACK_DELAY),
            tcp::State::FinWait2 if connection.session.is_done() => Some(LINGER),
            _ => None,
        };
        if let Some(until) = linger.map(|linger| now + linger) {
            let earlier = connection.linger_until.filter(|earlier| *earlier < until);
            connection.linger_until = earlier.or(Some(until));
        }
        moved
    }

    /// Whether the socket is free for the next client. One that only sits out its TIME-WAIT is: no
    /// client comes back with the same numbers within the life of a test network's frames.
    fn is_over(&self, now: Duration, socket: &tcp::Socket<'_>) -> bool {
        let lingered = self.connection.as_ref().and_then(|connection| connection.linger_until);
        !socket.is_open() || lingered.is_some_and(|until| now >= until)
    }

    fn tell_end(&mut self, now: Duration, watch: &mut Watch) {
        let Some(connection) = self.connection.take() else { return };
        watch.tell(Event::Served {
            service: self.service.name(),
            from: connection.from,
            received: connection.flow.received,
            sent: connection.flow.sent,
            elapsed: now.saturating_sub(connection.since),
            ok: connection.session.is_well(),
        });
    }
}

/// What passed a connection so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flow {
    pub(crate) received: u64,
    pub(crate) sent: u64,
    peer_closed: bool,
    closed: bool,
}

/// Moves bytes between a connected socket and a session, as many as both take now.
pub(crate) fn pump(
    socket: &mut tcp::Socket<'_>,
    session: &mut (impl Session + ?Sized),
    flow: &mut Flow,
    now: Duration,
) -> bool {
    let before = (flow.received, flow.sent, flow.closed);
    while socket.can_recv() && session.room() > 0 {
        let read = socket.recv(|bytes| {
            let len = bytes.len().min(session.room());
            session.received(&bytes[..len], now);
            (len, len)
        });
        match read {
            Ok(len) if len > 0 => flow.received += len as u64,
            _ => break,
        }
    }
    if !socket.may_recv() && !socket.can_recv() && !flow.peer_closed {
        flow.peer_closed = true;
        session.peer_closed(now);
    }
    while socket.can_send() {
        let written = socket.send(|buffer| {
            let len = session.produce(buffer, now);
            (len, len)
        });
        match written {
            Ok(len) if len > 0 => flow.sent += len as u64,
            _ => break,
        }
    }
    if session.has_sent_all() && !flow.closed {
        flow.closed = true;
        socket.close();
    }
    before != (flow.received, flow.sent, flow.closed)
}

fn listening_socket(service: Service, buffer_bytes: usize) -> tcp::Socket<'static> {
    let mut socket = new_socket(buffer_bytes);
    // A fresh socket and a port that is not 0: it listens.
    let _ = socket.listen(service.port());
    socket
}

/// A socket for bulk transfers.
pub(crate) fn new_socket(buffer_bytes: usize) -> tcp::Socket<'static> {
    let bytes = buffer_bytes.clamp(BUFFER_BYTES_MIN, BUFFER_BYTES_MAX);
    let buffer = || tcp::SocketBuffer::new(vec![0; bytes]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_congestion_control(tcp::CongestionControl::Cubic);
    socket.set_nagle_enabled(false);
    socket.set_timeout(Some(SILENCE_MAX));
    socket.set_keep_alive(Some(KEEP_ALIVE));
    socket
}

#[derive(Debug, Default)]
struct Echo {
    held: VecDeque<u8>,
    peer_closed: bool,
}

impl Session for Echo {
    fn room(&self) -> usize {
        ECHO_BYTES_MAX - self.held.len()
    }

    fn received(&mut self, bytes: &[u8], _: Duration) {
        self.held.extend(bytes);
    }

    fn peer_closed(&mut self, _: Duration) {
        self.peer_closed = true;
    }

    fn produce(&mut self, buffer: &mut [u8], _: Duration) -> usize {
        let (front, _) = self.held.as_slices();
        let len = front.len().min(buffer.len());
        buffer[..len].copy_from_slice(&front[..len]);
        self.held.drain(..len);
        len
    }

    fn has_sent_all(&self) -> bool {
        self.peer_closed && self.held.is_empty()
    }

    fn is_done(&self) -> bool {
        self.has_sent_all()
    }

    fn is_well(&self) -> bool {
        self.has_sent_all()
    }
}

#[derive(Debug, Default)]
struct Discard {
    peer_closed: bool,
}

impl Session for Discard {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn received(&mut self, _: &[u8], _: Duration) {}

    fn peer_closed(&mut self, _: Duration) {
        self.peer_closed = true;
    }

    fn produce(&mut self, _: &mut [u8], _: Duration) -> usize {
        0
    }

    fn has_sent_all(&self) -> bool {
        self.peer_closed
    }

    fn is_done(&self) -> bool {
        self.peer_closed
    }

    fn is_well(&self) -> bool {
        self.peer_closed
    }
}

#[derive(Debug, Default)]
struct Chargen {
    offset: u64,
    peer_closed: bool,
}

impl Session for Chargen {
    fn room(&self) -> usize {
        usize::MAX
    }

    fn received(&mut self, _: &[u8], _: Duration) {}

    fn peer_closed(&mut self, _: Duration) {
        self.peer_closed = true;
    }

    fn produce(&mut self, buffer: &mut [u8], _: Duration) -> usize {
        if self.peer_closed {
            return 0;
        }
        pattern::fill(self.offset, buffer);
        self.offset += buffer.len() as u64;
        buffer.len()
    }

    fn has_sent_all(&self) -> bool {
        self.peer_closed
    }

    fn is_done(&self) -> bool {
        self.peer_closed
    }

    fn is_well(&self) -> bool {
        self.peer_closed
    }
}

/// Clients that each service holds at a time; one more is refused.
const CONNECTIONS_MAX: usize = 4;
const BUFFER_BYTES_MIN: usize = 4096;
const BUFFER_BYTES_MAX: usize = 64 << 20;
const ECHO_BYTES_MAX: usize = 64 * 1024;
/// For a client that has all it asked for and keeps its side open.
const LINGER: Duration = Duration::from_secs(2);
/// For the last acknowledgement to leave: the stack delays it by 10 ms.
pub(crate) const LAST_ACK_DELAY: Duration = Duration::from_millis(15);
/// A peer that acknowledges nothing for so long is gone.
const SILENCE_MAX: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(20);
const KEEP_ALIVE: smoltcp::time::Duration = smoltcp::time::Duration::from_secs(5);
