//! What must hold, kept apart from the code that it is about.

use std::collections::{HashMap, HashSet};

use vswitch::switch::Report;

use crate::frame::{BROADCAST, Content, number_of};

/// Everything that was seen.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    sent: HashMap<u64, (usize, Content)>,
    arrived: HashSet<(u64, usize)>,
    /// By sender, receiver and destination: the last frame that arrived.
    last: HashMap<(usize, usize, [u8; 6]), u64>,
    next_id: u64,
    pub(crate) delivered: u64,
}

impl Checks {
    /// A frame is about to be sent; it gets the next number.
    pub(crate) fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The kernel took it.
    pub(crate) fn sent(&mut self, by: usize, content: Content) {
        self.sent.insert(content.id, (by, content));
    }

    /// A station read a frame.
    pub(crate) fn received(&mut self, by: usize, bytes: &[u8]) {
        let Some(content) = Content::read(bytes) else { return };
        let content = content.unwrap_or_else(|why| panic!("to station {by}: {why}"));
        let (from, sent) = *self.sent.get(&content.id).expect("a frame that nobody sent");
        assert_eq!(sent, content, "not the frame that was sent");
        assert_ne!(from, by, "back to who sent it: {content:?}");
        assert!(self.arrived.insert((content.id, by)), "twice to {by}: {content:?}");
        let flow = (from, by, content.to);
        if let Some(before) = self.last.insert(flow, content.id) {
            assert!(before < content.id, "{content:?} came after {before}, sent later");
        }
        self.delivered += 1;
    }

    /// The two sums of every port.
    pub(crate) fn accounting(report: &Report) {
        for port in &report.ports {
            assert!(port.counters.ingress.balances(), "{port:?}");
            assert!(port.counters.egress.balances(port.queued_frames), "{port:?}");
        }
    }

    pub(crate) fn has_arrived(&self, id: u64, at: usize) -> bool {
        self.arrived.contains(&(id, at))
    }

    /// Frames from station to station, from number `first` on: number, sender, receiver.
    pub(crate) fn sent_since(&self, first: u64) -> impl Iterator<Item = (u64, usize, usize)> {
        let late = self.sent.iter().filter(move |(id, _)| **id >= first);
        late.filter(|(_, (_, content))| content.to != BROADCAST)
            .filter_map(|(id, (from, content))| Some((*id, *from, number_of(content.to)?)))
    }
}
