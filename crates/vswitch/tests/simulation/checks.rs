//! What must hold, kept apart from the code that it is about.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use vswitch::counters::{Direction, DropReason};
use vswitch::offload::{Checksum, Gso, Offloads};
use vswitch::switch::{LoopReport, PoolReport, Report};
use vswitch::{MacAddr, Nanos};

use crate::frame::{CONTENT_LEN_MIN, Content, guest_of, station};
use crate::unfinished::{self, Raw, is_plain};
use crate::world::{End, Kind};

/// The switch may keep a frame between two sound guests for so long. They read within 50 µs; the
/// rest is the loop's own time, in which it may serve every other port once.
const SOUND_DELAY_MAX: Duration = Duration::from_millis(20);
/// A target that takes nothing for 25 ms is waited for no longer; in the second after that, for no
/// longer than 2 ms. The loop may see it a round later.
const PATIENCE_MAX: Duration = Duration::from_millis(27);
const WAIT_MAX: Duration = Duration::from_millis(4);
const PATIENCE: Duration = Duration::from_millis(25);
const PATIENCE_EVERY: Duration = Duration::from_secs(1);

/// A blocked port is tried every millisecond while frames come for it, and a round of the loop may
/// come between.
const ROOM_UNSEEN_MAX: Duration = Duration::from_micros(2_000);

/// Everything that was seen.
#[derive(Debug)]
pub(crate) struct Checks {
    sent: HashMap<u64, SentFrame>,
    /// Unfinished frames, and what they may be finished to: which, and the place among its pieces.
    undone: HashMap<u64, Raw>,
    by_bytes: HashMap<Vec<u8>, u64>,
    by_piece: HashMap<Vec<u8>, (u64, usize)>,
    /// Frames handed to the switch, by guest.
    read: Vec<u64>,
    /// Of those, what came back to the world's side of each port.
    given: Vec<u64>,
    /// Which port the switch must know a station behind, and from which frame on.
    known: HashMap<MacAddr, usize>,
    /// Frames that were read while their destination was known to be elsewhere: (frame, port).
    only_to: HashMap<u64, usize>,
    /// What arrived where, to see it does so once: frame, its piece, port.
    arrived: HashSet<(u64, Part, usize)>,
    /// By sender, receiver and destination: the last frame that arrived.
    last: HashMap<(usize, usize, MacAddr), (u64, Part)>,
    /// When each port last took a frame, and since when each has been waited for.
    took_at: Vec<Nanos>,
    awaited_since: Vec<Option<Nanos>>,
    /// Before this no sender is to wait for more than a moment: the port used up what it is given.
    patient_at: Vec<Nanos>,
    /// Frames dropped so far because a port was stalled.
    stalled: Vec<u64>,
    pub(crate) delivered: u64,
    /// Unfinished frames that were given as they were, and frames that others were finished to.
    pub(crate) whole: u64,
    pub(crate) pieces: u64,
    /// Frames from sound guest to sound guest: sent, and arrived.
    pub(crate) sound: (u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct SentFrame {
    content: Content,
    guest: usize,
    at: Nanos,
}

/// What of a frame arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Part {
    All,
    Piece(usize),
}

impl Checks {
    pub(crate) fn new(guests: usize) -> Self {
        Self {
            sent: HashMap::new(),
            undone: HashMap::new(),
            by_bytes: HashMap::new(),
            by_piece: HashMap::new(),
            read: vec![0; guests],
            given: vec![0; guests],
            known: HashMap::new(),
            only_to: HashMap::new(),
            arrived: HashSet::new(),
            last: HashMap::new(),
            took_at: vec![Nanos(0); guests],
            awaited_since: vec![None; guests],
            patient_at: vec![Nanos(0); guests],
            stalled: vec![0; guests],
            delivered: 0,
            whole: 0,
            pieces: 0,
            sound: (0, 0),
        }
    }

    pub(crate) fn sent(&mut self, guest: usize, content: Content, at: Nanos) {
        self.sent.insert(content.id, SentFrame { content, guest, at });
        if guest < 2 && content.to == station(1 - guest) {
            self.sound.0 += 1;
        }
    }

    pub(crate) fn sent_unfinished(&mut self, guest: usize, content: Content, at: Nanos, raw: Raw) {
        for (index, piece) in unfinished::pieces(&raw).into_iter().enumerate() {
            let before = self.by_piece.insert(piece, (content.id, index));
            assert_eq!(before, None, "two pieces that cannot be told from each other");
        }
        self.by_bytes.insert(raw.0.clone(), content.id);
        self.undone.insert(content.id, raw);
        self.sent.insert(content.id, SentFrame { content, guest, at });
    }

    /// A guest died with so many frames unread in its socket.
    pub(crate) fn lost_with_guest(&mut self, guest: usize, _frames: usize) {
        assert!(guest >= 2, "sound guests do not die");
    }

    /// The switch took a frame from a port.
    pub(crate) fn read_by_switch(&mut self, guest: usize, raw: &Raw) {
        self.read[guest] += 1;
        if raw.0.len() < CONTENT_LEN_MIN || !unfinished::is_placed(raw) {
            return;
        }
        let content = if is_plain(&raw.0) {
            Content::read(&raw.0).expect("as the guest wrote it")
        } else {
            self.sent[&self.by_bytes[&raw.0]].content
        };
        // No guest moves and nothing ages in a run: once known, a station stays known.
        self.known.insert(content.from, guest);
        if let Some(port) = self.known.get(&content.to) {
            self.only_to.insert(content.id, *port);
        }
    }

    /// The switch gave a frame to a port that takes `takes`.
    pub(crate) fn given(&mut self, guest: usize, raw: &Raw, takes: Offloads, now: Nanos) {
        self.given[guest] += 1;
        self.took_at[guest] = now;
        let (id, part) = self.identify(raw, takes);
        let sent = self.sent.get(&id).expect("a frame that nobody sent");
        let content = sent.content;
        assert_ne!(sent.guest, guest, "back to where it came from: {content:?}");
        assert!(self.arrived.insert((id, part, guest)), "twice to {guest}: {content:?}, {part:?}");
        if let Some(port) = self.only_to.get(&id) {
            assert_eq!(*port, guest, "to a wrong port: {content:?}");
        }
        let flow = (sent.guest, guest, content.to);
        if let Some(before) = self.last.insert(flow, (id, part)) {
            assert!(before < (id, part), "{content:?} came after {before:?}, sent later");
        }
    }

    /// Which frame it is, and that it is as it was sent or as that is finished.
    fn identify(&mut self, raw: &Raw, takes: Offloads) -> (u64, Part) {
        let (bytes, offload) = raw;
        if is_plain(bytes) {
            assert!(offload.is_none(), "{offload:?} on a finished frame");
            let content = Content::read(bytes).unwrap_or_else(|error| panic!("{error}"));
            let sent = self.sent.get(&content.id).expect("a frame that nobody sent");
            assert_eq!(sent.content, content, "not the frame that was sent");
            return (content.id, Part::All);
        }
        if offload.is_none() {
            self.pieces += 1;
            let (id, index) = self.by_piece.get(bytes).expect("what no frame is finished to");
            return (*id, Part::Piece(*index));
        }
        self.whole += 1;
        let id = self.by_bytes.get(bytes).expect("an unfinished frame that nobody sent");
        let sent = &self.undone[id];
        assert_eq!(sent.1, *offload, "its work is told otherwise");
        assert!(unfinished::is_placed(sent), "it would be followed wrongly: {offload:?}");
        let (cutting, summing) = (
            match offload.gso {
                Gso::None => Offloads::NONE,
                Gso::TcpV4 => Offloads::TSO4,
                Gso::TcpV6 => Offloads::TSO6,
                Gso::UdpL4 => Offloads::USO,
            },
            offload.checksum == Checksum::Unfinished,
        );
        let taken = takes.contains(cutting) && (!summing || takes.contains(Offloads::CHECKSUM));
        assert!(taken, "{offload:?} to a port that takes {takes:?}");
        (*id, Part::All)
    }

    /// A guest read a frame.
    pub(crate) fn delivered(&mut self, guest: usize, bytes: &[u8], now: Nanos) {
        self.delivered += 1;
        if guest >= 2 || !is_plain(bytes) {
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
            let in_batches = (ingress.batches.sum(), egress.batches.sum());
            assert_eq!(in_batches, (taken, egress.sent_frames), "{port:?}");
            for going in Direction::ALL {
                let strange = port.counters.dropped(going).iter().find(|(r, _)| !r.occurs(going));
                assert_eq!(strange, None, "{going:?} of {port:?}");
            }
        }
        let queued = report.ports.iter().map(|port| port.queued_bytes).sum::<usize>();
        for LoopReport { pool, .. } in &report.loops {
            let PoolReport { budget_bytes, allocated_bytes, used_bytes, available_bytes } = *pool;
            assert!(used_bytes <= allocated_bytes && allocated_bytes <= budget_bytes, "{pool:?}");
            assert!(used_bytes + available_bytes <= budget_bytes, "{pool:?}");
            assert!(queued == 0 || used_bytes > 0, "{queued} bytes queued in {pool:?}");
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
            let is_given_time = now >= self.patient_at[guest];
            let max = if is_given_time { PATIENCE_MAX } else { WAIT_MAX };
            assert!(silent <= max, "a sender has waited {silent:?} for silent port {guest}");
            if silent > PATIENCE && is_given_time {
                self.patient_at[guest] = now + (PATIENCE_EVERY - PATIENCE_MAX);
            }
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

    /// Whether this guest has got the frame, as it was or in all its pieces.
    pub(crate) fn has_arrived(&self, id: u64, guest: usize) -> bool {
        let has = |part| self.arrived.contains(&(id, part, guest));
        let pieces = self.undone.get(&id).map_or(0, |raw| unfinished::pieces(raw).len());
        has(Part::All) || (pieces > 0 && (0..pieces).all(|index| has(Part::Piece(index))))
    }

    /// The frames that were sent from one station to another, from `id` on.
    pub(crate) fn sent_from(&self, id: u64) -> impl Iterator<Item = (u64, usize)> {
        let late = self.sent.values().filter(move |sent| sent.content.id >= id);
        late.filter_map(|sent| Some((sent.content.id, guest_of(sent.content.to)?)))
    }
}
