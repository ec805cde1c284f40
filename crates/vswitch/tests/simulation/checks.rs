//! What must hold, kept apart from the code that it is about.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use vswitch::counters::DropReason;
use vswitch::switch::Report;
use vswitch::{MacAddr, Nanos};

use crate::frame::{CONTENT_LEN_MIN, Content, guest_of, station};
use crate::world::{End, Kind};

/// The switch may keep a frame between two sound guests for so long. They read within 50 µs; the
/// rest is the loop's own time, in which it may serve every other port once.
const SOUND_DELAY_MAX: Duration = Duration::from_millis(20);

/// A target that takes nothing for 2 ms is waited for no longer; the loop may see it a round later.
const WAIT_MAX: Duration = Duration::from_millis(4);

/// A blocked port is tried every millisecond while frames come for it, and a round of the loop may
/// come between.
const ROOM_UNSEEN_MAX: Duration = Duration::from_micros(2_000);

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Checks {
    sent: HashMap<u64, SentFrame>,
    /// Frames handed to the switch, by guest.
    read: Vec<u64>,
    /// Of those, what came back to the world's side of each port.
    given: Vec<u64>,
    /// Which port the switch must know a station behind, and from which frame on.
    known: HashMap<MacAddr, usize>,
    /// Frames that were read while their destination was known to be elsewhere: (frame, port).
    only_to: HashMap<u64, usize>,
    /// What arrived where, to see it does so once.
    arrived: HashSet<(u64, usize)>,
    /// By sender, receiver and destination: the last frame that arrived.
    last: HashMap<(usize, usize, MacAddr), u64>,
    /// When each port last took a frame, and since when each has been waited for.
    took_at: Vec<Nanos>,
    awaited_since: Vec<Option<Nanos>>,
    /// Frames dropped so far because a port was stalled.
    stalled: Vec<u64>,
    pub(crate) delivered: u64,
    /// Frames from sound guest to sound guest: sent, and arrived.
    pub(crate) sound: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct SentFrame {
    content: Content,
    guest: usize,
    at: Nanos,
}

impl Checks {
    pub(crate) fn new(guests: usize) -> Self {
        Self {
            sent: HashMap::new(),
            read: vec![0; guests],
            given: vec![0; guests],
            known: HashMap::new(),
            only_to: HashMap::new(),
            arrived: HashSet::new(),
            last: HashMap::new(),
            took_at: vec![Nanos(0); guests],
            awaited_since: vec![None; guests],
            stalled: vec![0; guests],
            delivered: 0,
            sound: (0, 0),
        }
    }

    pub(crate) fn sent(&mut self, guest: usize, content: Content, at: Nanos) {
        self.sent.insert(content.id, SentFrame { content, guest, at });
        if guest < 2 && content.to == station(1 - guest) {
            self.sound.0 += 1;
        }
    }

    /// A guest died with so many frames unread in its socket.
    pub(crate) fn lost_with_guest(&mut self, guest: usize, _frames: usize) {
        assert!(guest >= 2, "sound guests do not die");
    }

    /// The switch took a frame from a port.
    pub(crate) fn read_by_switch(&mut self, guest: usize, bytes: &[u8]) {
        self.read[guest] += 1;
        if bytes.len() < CONTENT_LEN_MIN {
            return;
        }
        let content = Content::read(bytes).expect("as the guest wrote it");
        // No guest moves and nothing ages in a run: once known, a station stays known.
        self.known.insert(content.from, guest);
        if let Some(port) = self.known.get(&content.to) {
            self.only_to.insert(content.id, *port);
        }
    }

    /// The switch gave a frame to a port.
    pub(crate) fn given(&mut self, guest: usize, bytes: &[u8], now: Nanos) {
        self.given[guest] += 1;
        self.took_at[guest] = now;
        let content = Content::read(bytes).unwrap_or_else(|error| panic!("to {guest}: {error}"));
        let sent = self.sent.get(&content.id).expect("a frame that nobody sent");
        assert_eq!(sent.content, content, "not the frame that was sent");
        assert_ne!(sent.guest, guest, "back to where it came from: {content:?}");
        assert!(self.arrived.insert((content.id, guest)), "twice to {guest}: {content:?}");
        if let Some(port) = self.only_to.get(&content.id) {
            assert_eq!(*port, guest, "to a wrong port: {content:?}");
        }
        let flow = (sent.guest, guest, content.to);
        if let Some(before) = self.last.insert(flow, content.id) {
            assert!(before < content.id, "{content:?} came after {before}, sent later");
        }
    }

    /// A guest read a frame.
    pub(crate) fn delivered(&mut self, guest: usize, bytes: &[u8], now: Nanos) {
        self.delivered += 1;
        if guest >= 2 {
            return;
        }
        let content = Content::read(bytes).expect("checked when it was given");
        let sent = self.sent[&content.id];
        if sent.guest < 2 && content.to == station(guest) {
            self.sound.1 += 1;
            let took = now.since(sent.at);
            assert!(took <= SOUND_DELAY_MAX, "{took:?} from sound to sound: {content:?}");
        }
    }

    /// The two sums of every port, and that nothing was counted that did not happen.
    pub(crate) fn accounting(&self, report: &Report) {
        for (guest, port) in report.ports.iter().enumerate() {
            let (ingress, egress) = (&port.counters.ingress, &port.counters.egress);
            assert!(ingress.balances(), "{port:?}");
            assert!(egress.balances(port.queued_frames), "{port:?}");
            let taken = ingress.received_frames + port.held_frames as u64;
            assert_eq!(self.read[guest], taken, "taken from {guest}, against {port:?}");
            assert_eq!(self.given[guest], egress.sent_frames, "given to {guest}: {port:?}");
        }
    }

    /// Senders wait only for a port that takes frames.
    pub(crate) fn waiting(&mut self, report: &Report, now: Nanos) {
        for guest in 0..self.took_at.len() {
            let awaited = report
                .ports
                .iter()
                .any(|port| port.waiting_on.is_some_and(|on| usize::from(on.0) == guest));
            if !awaited {
                self.awaited_since[guest] = None;
                continue;
            }
            let since = *self.awaited_since[guest].get_or_insert(now);
            let silent = now.since(since.max(self.took_at[guest]));
            assert!(silent <= WAIT_MAX, "a sender has waited {silent:?} for silent port {guest}");
        }
    }

    /// A port with room is not called stalled.
    pub(crate) fn stalls(&mut self, report: &Report, ends: &[End], now: Nanos) {
        for (guest, port) in report.ports.iter().enumerate() {
            let stalled = port.counters.egress.dropped.of(DropReason::Stalled);
            if stalled > std::mem::replace(&mut self.stalled[guest], stalled) {
                let room = ends[guest].room_for(now).unwrap_or_default();
                assert!(room <= ROOM_UNSEEN_MAX, "{guest} called stalled with room for {room:?}");
            }
        }
    }

    /// Frames do not lie in the queue of a port that has room and said so, or asked for a retry.
    pub(crate) fn prompt(&self, report: &Report, ends: &[End], now: Nanos) {
        for (end, port) in ends.iter().zip(&report.ports) {
            let told = end.alive && end.kind != Kind::Connected && port.queued_frames > 0;
            let room = end.room_for(now).filter(|_| told).unwrap_or_default();
            assert!(room <= ROOM_UNSEEN_MAX, "room for {room:?}, and still queued: {port:?}");
        }
    }

    /// Whether this guest has got the frame.
    pub(crate) fn has_arrived(&self, id: u64, guest: usize) -> bool {
        self.arrived.contains(&(id, guest))
    }

    /// The frames that were sent from one station to another, from `id` on.
    pub(crate) fn sent_from(&self, id: u64) -> impl Iterator<Item = (u64, usize)> {
        let late = self.sent.values().filter(move |sent| sent.content.id >= id);
        late.filter_map(|sent| Some((sent.content.id, guest_of(sent.content.to)?)))
    }
}
