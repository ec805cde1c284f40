//! Echo requests, IPv4 and IPv6.

use std::net::IpAddr;
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::socket::icmp;
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpAddress};

use super::{Progress, Task};
use crate::core::GuestCore;
use crate::error::TaskError;

/// How to ping.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingConfig {
    /// Whom.
    pub target: IpAddr,
    /// How many requests: 1 to 65,535; 4.
    pub count: u16,
    /// From one request to the next; 10 ms.
    pub interval: Duration,
    /// Bytes of payload; 56. Over IPv4 up to 65,507 (fragmented over the MTU), over IPv6 up to what
    /// fits the MTU.
    pub size: usize,
    /// How long after the last request a reply still counts; 1 s.
    pub wait: Duration,
    /// How long to look for duplicates after the last reply; zero.
    pub linger: Duration,
}

impl PingConfig {
    /// Four requests of 56 bytes, 10 ms apart, each given a second.
    #[must_use]
    pub const fn new(target: IpAddr) -> Self {
        Self {
            target,
            count: 4,
            interval: Duration::from_millis(10),
            size: 56,
            wait: Duration::from_secs(1),
            linger: Duration::ZERO,
        }
    }
}

/// The first reply to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingReply {
    /// The request's number, from 0.
    pub sequence: u16,
    /// Who replied.
    pub from: IpAddr,
    /// From the request's being queued to its reply's arrival: the time to find the neighbour
    /// counts.
    pub round_trip: Duration,
}

/// What came of a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingReport {
    /// Whom.
    pub target: IpAddr,
    /// Requests sent.
    pub sent: u16,
    /// The first reply to each request that got one, as they came.
    pub replies: Vec<PingReply>,
    /// Further replies to the same requests.
    pub duplicates: u64,
    /// Replies whose payload is not that of the request; counted nowhere else.
    pub corrupted: u64,
}

impl PingReport {
    /// Requests without a reply.
    #[must_use]
    pub fn lost(&self) -> u16 {
        self.sent.saturating_sub(u16::try_from(self.replies.len()).unwrap_or(u16::MAX))
    }

    /// Shortest, mean and longest round trip; None without replies.
    #[must_use]
    pub fn round_trips(&self) -> Option<(Duration, Duration, Duration)> {
        let times = || self.replies.iter().map(|reply| reply.round_trip);
        let count = u32::try_from(self.replies.len()).ok().filter(|count| *count > 0)?;
        Some((times().min()?, times().sum::<Duration>() / count, times().max()?))
    }

    /// Whether each request got exactly one reply, unchanged.
    #[must_use]
    pub fn is_perfect(&self) -> bool {
        self.lost() == 0 && self.duplicates == 0 && self.corrupted == 0
    }
}

/// The task; its output is a [`PingReport`] also when replies are missing.
pub struct Ping {
    config: PingConfig,
    on_reply: Option<OnReply>,
    state: Option<State>,
}

type OnReply = Box<dyn FnMut(&PingReply) + Send>;

struct State {
    handle: SocketHandle,
    source: IpAddr,
    identifier: u16,
    payload: Vec<u8>,
    sent_at: Vec<Duration>,
    is_answered: Vec<bool>,
    report: PingReport,
    all_answered_at: Option<Duration>,
}

impl Ping {
    /// A ping that has not begun.
    #[must_use]
    pub const fn new(config: PingConfig) -> Self {
        Self { config, on_reply: None, state: None }
    }

    /// Shows `on_reply` each first reply as it comes.
    #[must_use]
    pub fn on_reply(mut self, on_reply: impl FnMut(&PingReply) + Send + 'static) -> Self {
        self.on_reply = Some(Box::new(on_reply));
        self
    }
}

impl Task for Ping {
    type Output = PingReport;

    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<PingReport> {
        let state = match &mut self.state {
            Some(state) => state,
            none => match State::begin(&self.config, guest) {
                Ok(state) => none.insert(state),
                Err(error) => return Progress::Done(Err(error)),
            },
        };
        state.receive(guest, now, &mut self.on_reply);
        let config = &self.config;
        let next_at = state.sent_at.last().map_or(now, |last| *last + config.interval);
        if state.report.sent < config.count {
            if now < next_at {
                return Progress::Waiting(next_at);
            }
            return if state.send(guest, now) {
                Progress::Moved
            } else {
                Progress::Waiting(now + config.interval.max(Duration::from_millis(1)))
            };
        }
        let last_sent_at = state.sent_at.last().copied().unwrap_or(now);
        let until =
            state.all_answered_at.map_or(last_sent_at + config.wait, |at| at + config.linger);
        if now < until {
            return Progress::Waiting(until);
        }
        Progress::Done(Ok(state.report.clone()))
    }

    fn stop(&mut self, guest: &mut GuestCore) {
        if let Some(state) = self.state.take() {
            guest.sockets.remove(state.handle);
        }
    }
}

impl State {
    fn begin(config: &PingConfig, guest: &mut GuestCore) -> Result<Self, TaskError> {
        let PingConfig { target, count, size, .. } = *config;
        if count == 0 {
            return Err(TaskError::Parameter("a ping of no requests"));
        }
        let source = guest.source_for(target)?;
        let max = match target {
            IpAddr::V4(_) => 65_535 - 20 - ICMP_HEADER_LEN,
            IpAddr::V6(_) => guest.mtu().saturating_sub(40 + ICMP_HEADER_LEN),
        };
        if size > max {
            return Err(TaskError::TooLarge { size, max });
        }
        let identifier = guest.ephemeral_port();
        let slots = (BUFFER_BYTES / (size + ICMP_HEADER_LEN)).clamp(1, REQUESTS_MAX);
        let bytes = slots * (size + ICMP_HEADER_LEN);
        let buffer =
            || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; slots], vec![0; bytes]);
        let mut socket = icmp::Socket::new(buffer(), buffer());
        // The identifier is not 0 and the socket new: it binds.
        let _ = socket.bind(icmp::Endpoint::Ident(identifier));
        Ok(Self {
            handle: guest.sockets.add(socket),
            source,
            identifier,
            payload: (0..=u8::MAX).cycle().take(size).collect(),
            sent_at: Vec::with_capacity(usize::from(count)),
            is_answered: vec![false; usize::from(count)],
            report: PingReport {
                target,
                sent: 0,
                replies: Vec::new(),
                duplicates: 0,
                corrupted: 0,
            },
            all_answered_at: None,
        })
    }

    /// Queues the next request; false when the queue is full.
    fn send(&mut self, guest: &mut GuestCore, now: Duration) -> bool {
        let (target, ident, seq_no) =
            (IpAddress::from(self.report.target), self.identifier, self.report.sent);
        let (source, data) = (self.source, &self.payload[..]);
        let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(self.handle);
        let checksums = ChecksumCapabilities::default();
        let Ok(buffer) = socket.send(ICMP_HEADER_LEN + data.len(), target) else { return false };
        match (source, self.report.target) {
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                let request = Icmpv6Repr::EchoRequest { ident, seq_no, data };
                let mut packet = Icmpv6Packet::new_unchecked(buffer);
                request.emit(&source, &target, &mut packet, &checksums);
            }
            _ => {
                let request = Icmpv4Repr::EchoRequest { ident, seq_no, data };
                request.emit(&mut Icmpv4Packet::new_unchecked(buffer), &checksums);
            }
        }
        self.sent_at.push(now);
        self.report.sent += 1;
        true
    }

    fn receive(&mut self, guest: &mut GuestCore, now: Duration, on_reply: &mut Option<OnReply>) {
        let socket = guest.sockets.get_mut::<icmp::Socket<'_>>(self.handle);
        while let Ok((bytes, from)) = socket.recv() {
            let from = IpAddr::from(from);
            let Some((sequence, payload)) = echo_reply(from, bytes) else { continue };
            let Some(sent_at) = self.sent_at.get(usize::from(sequence)) else { continue };
            if payload != self.payload {
                self.report.corrupted += 1;
            } else if std::mem::replace(&mut self.is_answered[usize::from(sequence)], true) {
                self.report.duplicates += 1;
            } else {
                let reply = PingReply { sequence, from, round_trip: now.saturating_sub(*sent_at) };
                if let Some(on_reply) = on_reply {
                    on_reply(&reply);
                }
                self.report.replies.push(reply);
            }
        }
        if self.all_answered_at.is_none() && self.is_answered.iter().all(|answered| *answered) {
            self.all_answered_at = Some(now);
        }
    }
}

/// The sequence number and payload of an echo reply; the stack has looked at its checksum.
fn echo_reply(from: IpAddr, bytes: &[u8]) -> Option<(u16, &[u8])> {
    let checksums = ChecksumCapabilities::ignored();
    match from {
        IpAddr::V4(_) => {
            let packet = Icmpv4Packet::new_checked(bytes).ok()?;
            match Icmpv4Repr::parse(&packet, &checksums).ok()? {
                Icmpv4Repr::EchoReply { seq_no, data, .. } => Some((seq_no, data)),
                _ => None,
            }
        }
        IpAddr::V6(from) => {
            let packet = Icmpv6Packet::new_checked(bytes).ok()?;
            match Icmpv6Repr::parse(&from, &from, &packet, &checksums).ok()? {
                Icmpv6Repr::EchoReply { seq_no, data, .. } => Some((seq_no, data)),
                _ => None,
            }
        }
    }
}

impl std::fmt::Debug for Ping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ping").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Type, code, checksum, identifier and sequence number (RFC 792, RFC 4443).
const ICMP_HEADER_LEN: usize = 8;
/// What one ping's queues hold, in each direction.
const BUFFER_BYTES: usize = 256 * 1024;
const REQUESTS_MAX: usize = 256;
