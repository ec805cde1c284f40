//! What a guest notices of the frames that pass: counts, answers to questions, news.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::packet::{self, Packet};
use crate::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Frame};
use crate::mac::MacAddress;

/// Which way a frame passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Towards the guest.
    Received,
    /// From the guest.
    Sent,
}

/// Frames of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// All of them.
    pub frames: u64,
    /// Their bytes, Ethernet headers included.
    pub bytes: u64,
    /// ARP.
    pub arp: u64,
    /// IPv4.
    pub ipv4: u64,
    /// IPv6.
    pub ipv6: u64,
    /// Numbered frames ([`crate::flow`]).
    pub flow: u64,
    /// To the broadcast address.
    pub broadcast: u64,
    /// To any other group.
    pub multicast: u64,
}

/// What a guest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that arrived.
    pub received: FrameCounts,
    /// Frames given to the cable and taken by it.
    pub sent: FrameCounts,
    /// Received unicast frames for another station: what a switch flooded.
    pub received_for_others: u64,
    /// Received frames without a whole Ethernet header, or over the MTU.
    pub malformed: u64,
    /// Frames that the cable lost (it was down, or they were too big for it).
    pub lost_at_link: u64,
    /// Frames dropped because the cable was full and so was the guest's own queue.
    pub dropped_queue_full: u64,
    /// Echo requests answered, IPv4 and IPv6.
    pub echo_replies_sent: u64,
    /// TCP segments sent again.
    pub tcp_retransmits: u64,
}

/// Something a guest saw or did; kept when [`crate::GuestConfig::tells`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A station's first frame.
    Station {
        /// Its address.
        mac: MacAddress,
    },
    /// An echo request was answered.
    EchoAnswered {
        /// Who asked.
        to: IpAddr,
        /// Bytes of ICMP payload (of the first fragment).
        size: usize,
    },
    /// A TCP client came.
    Connected {
        /// The service, such as `throughput`.
        service: &'static str,
        /// The client.
        from: SocketAddr,
    },
    /// A TCP client is done.
    Served {
        /// The service, such as `throughput`.
        service: &'static str,
        /// The client.
        from: SocketAddr,
        /// Bytes received.
        received: u64,
        /// Bytes sent.
        sent: u64,
        /// Since it came.
        elapsed: Duration,
        /// Whether the client got what it asked for and its bytes were right.
        ok: bool,
    },
    /// The cable came back after it was down.
    LinkBack,
}

/// An answer to an ARP request or a neighbour solicitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborAnswer {
    /// The address it names.
    pub mac: MacAddress,
    /// When, since the guest's epoch.
    pub at: Duration,
}

pub(crate) type Observer = Box<dyn FnMut(Direction, &[u8]) + Send>;

/// Sees each frame once, in each direction.
pub(crate) struct Watch {
    mac: MacAddress,
    pub(crate) now: Duration,
    pub(crate) counters: Counters,
    pub(crate) observer: Option<Observer>,
    pub(crate) answers: Option<AnswerLog>,
    pub(crate) dhcp: Option<DhcpLog>,
    retransmits: Vec<RetransmitLog>,
    tells: bool,
    events: VecDeque<Event>,
    stations: HashSet<MacAddress>,
    /// Whether something arrived that may resolve a neighbour; whoever waits for it resets it.
    pub(crate) neighbor_news: bool,
}

/// The answers that concern one address.
#[derive(Debug)]
pub(crate) struct AnswerLog {
    pub(crate) target: IpAddr,
    pub(crate) answers: Vec<NeighborAnswer>,
}

/// The DHCP messages seen since the log began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DhcpLog {
    pub(crate) discovers: u32,
    pub(crate) requests: u32,
    pub(crate) offers: u32,
    pub(crate) naks: u32,
    pub(crate) refused_by: Option<IpAddr>,
    /// Of the last DHCPACK.
    pub(crate) lease_seconds: Option<u32>,
}

#[derive(Debug)]
struct RetransmitLog {
    local_port: u16,
    next_sequence: Option<u32>,
    count: u64,
}

impl Watch {
    pub(crate) fn new(mac: MacAddress, tells: bool) -> Self {
        Self {
            mac,
            now: Duration::ZERO,
            counters: Counters::default(),
            observer: None,
            answers: None,
            dhcp: None,
            retransmits: Vec::new(),
            tells,
            events: VecDeque::new(),
            stations: HashSet::new(),
            neighbor_news: false,
        }
    }

    /// Notes a frame that arrived; its parts, when it has a whole header.
    pub(crate) fn received<'a>(&mut self, bytes: &'a [u8]) -> Option<Frame<'a>> {
        if let Some(observer) = &mut self.observer {
            observer(Direction::Received, bytes);
        }
        let Some(frame) = Frame::parse(bytes) else {
            self.counters.malformed += 1;
            return None;
        };
        count(&mut self.counters.received, bytes.len(), &frame);
        if frame.destination != self.mac && !frame.destination.is_group() {
            self.counters.received_for_others += 1;
        }
        if self.tells && self.stations.len() < STATIONS_MAX && self.stations.insert(frame.source) {
            self.tell(Event::Station { mac: frame.source });
        }
        match Packet::parse(&frame) {
            Packet::NeighborAnswer { address, mac } => self.neighbor_answer(address, mac),
            Packet::Dhcp(dhcp) if self.dhcp.is_some() => self.dhcp_received(dhcp),
            _ => {}
        }
        Some(frame)
    }

    /// Notes a frame that the cable took.
    pub(crate) fn sent(&mut self, bytes: &[u8]) {
        if let Some(observer) = &mut self.observer {
            observer(Direction::Sent, bytes);
        }
        let Some(frame) = Frame::parse(bytes) else { return };
        count(&mut self.counters.sent, bytes.len(), &frame);
    }

    /// Notes a frame that the guest's stack made, before it is offered to the cable.
    pub(crate) fn made(&mut self, bytes: &[u8]) {
        let Some(frame) = Frame::parse(bytes) else { return };
        match Packet::parse(&frame) {
            Packet::EchoReply { to, size } => {
                self.counters.echo_replies_sent += 1;
                self.tell(Event::EchoAnswered { to, size });
            }
            Packet::Tcp(tcp) if tcp.payload_len > 0 => self.segment(&tcp),
            Packet::Dhcp(dhcp) => self.dhcp_sent(dhcp),
            _ => {}
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        if !self.tells {
            return;
        }
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Begins to count the retransmitted segments of the connection from `local_port`.
    pub(crate) fn count_retransmits(&mut self, local_port: u16) {
        self.retransmits.push(RetransmitLog { local_port, next_sequence: None, count: 0 });
    }

    /// Ends what [`Watch::count_retransmits`] began.
    pub(crate) fn take_retransmits(&mut self, local_port: u16) -> u64 {
        let index = self.retransmits.iter().position(|log| log.local_port == local_port);
        index.map_or(0, |index| self.retransmits.swap_remove(index).count)
    }

    fn segment(&mut self, tcp: &packet::Tcp) {
        let log = self.retransmits.iter_mut().find(|log| log.local_port == tcp.source_port);
        let Some(log) = log else { return };
        let again = log.next_sequence.is_some_and(|next| precedes(tcp.sequence, next));
        if again {
            log.count += 1;
            self.counters.tcp_retransmits += 1;
        }
        let end = tcp.sequence.wrapping_add(tcp.payload_len);
        if log.next_sequence.is_none_or(|next| precedes(next, end)) {
            log.next_sequence = Some(end);
        }
    }

    fn neighbor_answer(&mut self, address: IpAddr, mac: MacAddress) {
        self.neighbor_news = true;
        let at = self.now;
        if let Some(log) = &mut self.answers
            && log.target == address
            && log.answers.len() < ANSWERS_MAX
        {
            log.answers.push(NeighborAnswer { mac, at });
        }
    }

    fn dhcp_received(&mut self, dhcp: packet::Dhcp) {
        let Some(log) = &mut self.dhcp else { return };
        if dhcp.client != self.mac {
            return;
        }
        match dhcp.kind {
            packet::DhcpKind::Offer => log.offers += 1,
            packet::DhcpKind::Ack => log.lease_seconds = dhcp.lease_seconds,
            packet::DhcpKind::Nak => {
                log.naks += 1;
                log.refused_by = Some(dhcp.from);
            }
            _ => {}
        }
    }

    fn dhcp_sent(&mut self, dhcp: packet::Dhcp) {
        let Some(log) = &mut self.dhcp else { return };
        match dhcp.kind {
            packet::DhcpKind::Discover => log.discovers += 1,
            packet::DhcpKind::Request => log.requests += 1,
            _ => {}
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("counters", &self.counters).finish_non_exhaustive()
    }
}

fn count(counts: &mut FrameCounts, len: usize, frame: &Frame<'_>) {
    counts.frames += 1;
    counts.bytes += len as u64;
    match frame.ethertype {
        ETHERTYPE_ARP => counts.arp += 1,
        ETHERTYPE_IPV4 => counts.ipv4 += 1,
        ETHERTYPE_IPV6 => counts.ipv6 += 1,
        crate::flow::ETHERTYPE => counts.flow += 1,
        _ => {}
    }
    if frame.destination == MacAddress::BROADCAST {
        counts.broadcast += 1;
    } else if frame.destination.is_group() {
        counts.multicast += 1;
    }
}

/// Whether sequence number `a` is before `b`, in arithmetic modulo 2^32 (RFC 9293, 3.4).
const fn precedes(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

/// News kept for a reader that does not come; the oldest go first.
const EVENTS_MAX: usize = 1024;
/// Stations told of.
const STATIONS_MAX: usize = 4096;
/// Answers kept of one question.
const ANSWERS_MAX: usize = 256;
