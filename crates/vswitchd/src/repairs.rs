//! What was lost outside and had again while the switch ran: counted, logged and told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::events::{Event, Events};

/// Something that was lost and is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mended {
    /// The membership of the pair's end, or of the lent interface, in the bridge.
    Membership,
    /// The pair, or the descriptors on it.
    Link,
    /// The bridge that was made here.
    Bridge,
    /// An interface that had been set down.
    Up,
    /// An MTU that differed from the bridge's.
    Mtu,
}

impl Mended {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Membership, Self::Link, Self::Bridge, Self::Up, Self::Mtu];

    /// Its name, for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::Link => "link",
            Self::Bridge => "bridge",
            Self::Up => "up",
            Self::Mtu => "mtu",
        }
    }
}

/// How often each was mended. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<[AtomicU64; Mended::ALL.len()]>);

impl Tally {
    fn count(&self, what: Mended) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far, in the order of [`Mended::ALL`].
    #[must_use]
    pub fn counts(&self) -> [u64; Mended::ALL.len()] {
        Mended::ALL.map(|what| self.of(what))
    }

    /// How often so far.
    #[must_use]
    pub fn of(&self, what: Mended) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }
}

/// Where repairs are told. Clones tell, and count, together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repairs {
    tally: Tally,
    events: Option<Events>,
}

impl Repairs {
    /// Tells to `events` from now on; clones that were made before do not.
    pub(crate) fn tell_to(&mut self, events: Events) {
        self.events = Some(events);
    }

    /// What was mended so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// `object` was mended, so that it is as `what` says.
    pub(crate) fn note(&self, mended: Mended, object: &str, what: &str) {
        tracing::info!(object, "repaired: {what}");
        self.tally.count(mended);
        self.tell(Event::Repaired { object: object.to_owned(), what: what.to_owned() });
    }

    /// `object` was mended so often that it is mended less often from now on.
    #[cfg(target_os = "linux")]
    pub(crate) fn contested(&self, mended: Mended, object: &str) {
        let what = format!("{} is undone again and again: repaired less often", mended.name());
        tracing::warn!(object, "{what}");
        self.tell(Event::Contested { object: object.to_owned(), what });
    }

    /// Tells an event, if anybody is to be told.
    pub(crate) fn tell(&self, event: Event) {
        if let Some(events) = &self.events {
            events.tell(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_counted_and_told() {
        let (mut repairs, events) = (Repairs::default(), Events::default());
        let tally = repairs.tally();
        repairs.note(Mended::Up, "br0", "is up again");
        let mut listener = events.listen();
        repairs.tell_to(events);
        repairs.clone().note(Mended::Up, "br0", "is up again");
        assert_eq!(tally.of(Mended::Up), 2);
        assert_eq!(tally.counts(), [0, 0, 0, 2, 0]);
        assert!(Mended::ALL.iter().all(|of| (tally.of(*of) > 0) == (*of == Mended::Up)));
        let told = listener.try_recv().expect("the second").event;
        let (object, what) = ("br0".to_owned(), "is up again".to_owned());
        assert_eq!(told, Event::Repaired { object, what });
        assert!(listener.try_recv().is_err(), "nobody listened to the first");
    }

    #[test]
    fn each_has_a_place_and_a_name_of_its_own() {
        for (place, of) in Mended::ALL.into_iter().enumerate() {
            assert_eq!(of as usize, place);
            assert_eq!(Mended::ALL.iter().filter(|other| other.name() == of.name()).count(), 1);
        }
    }
}
