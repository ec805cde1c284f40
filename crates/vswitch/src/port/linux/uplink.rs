//! An uplink that outlives the interface it stands on: a packet socket, another one when that is
//! lost, and none in between.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::kernel::kernel_offloads;
use super::packet::PacketPort;
use crate::mac::MacAddr;
use crate::offload::Offloads;
use crate::poller::Source;
use crate::port::upkeep::next_look;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// Where a keeper leaves packet sockets for an [`UplinkPort`], from another thread: opening and
/// closing them can take long, and the loop does neither.
#[derive(Clone, Debug)]
pub struct LinkSlot(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// For the port to take.
    offered: Option<Box<PacketPort>>,
    /// For the keeper to close.
    #[allow(clippy::vec_box, reason = "the loop hands them over as they are: pointers")]
    retired: Vec<Box<PacketPort>>,
    /// The port has one that works as far as it knows.
    has_link: bool,
    addresses: Option<Vec<MacAddr>>,
}

impl LinkSlot {
    /// Leaves `link` for the port, which takes it within a quarter of a second, in the place of the
    /// one that it has.
    pub fn offer(&self, link: PacketPort) {
        let before = self.lock().offered.replace(Box::new(link));
        // Closed here, and not with the slot held.
        drop(before);
    }

    /// Whether the port has no link, and none is offered to it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let contents = self.lock();
        !contents.has_link && contents.offered.is_none()
    }

    /// Closes what the port gave back.
    pub fn close_retired(&self) {
        let retired = std::mem::take(&mut self.lock().retired);
        drop(retired);
    }

    /// The only addresses behind the switch ([`PacketPort::open`]), as the port was told last.
    #[must_use]
    pub fn addresses(&self) -> Option<Vec<MacAddr>> {
        self.lock().addresses.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The contents, unless somebody else has them just now.
    fn try_lock(&self) -> Option<MutexGuard<'_, Contents>> {
        match self.0.try_lock() {
            Ok(contents) => Some(contents),
            Err(TryLockError::Poisoned(contents)) => Some(contents.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// An uplink's port. It never ends by itself: without a link, what is for it is dropped.
#[derive(Debug)]
pub struct UplinkPort {
    link: Option<Box<PacketPort>>,
    /// Given up since the last look, and before that: the poller may still watch the first, and a
    /// descriptor that it watches must not be closed by another thread.
    #[allow(clippy::vec_box, reason = "they are handed over as they are: pointers")]
    retired: Vec<Box<PacketPort>>,
    #[allow(clippy::vec_box, reason = "they are handed over as they are: pointers")]
    unwatched: Vec<Box<PacketPort>>,
    slot: LinkSlot,
    takes: Offloads,
    generation: u32,
    /// Frames that the kernel dropped under links that are no more.
    dropped_before: u64,
}

impl UplinkPort {
    /// A port that waits for its first link, and the slot by which it gets that and others.
    /// `addresses` are the only ones behind the switch.
    #[must_use]
    pub fn waiting(addresses: Option<&[MacAddr]>) -> (Self, LinkSlot) {
        let addresses = addresses.map(<[MacAddr]>::to_vec);
        let contents = Contents { addresses, ..Contents::default() };
        let slot = LinkSlot(Arc::new(Mutex::new(contents)));
        let port = Self {
            link: None,
            retired: Vec::new(),
            unwatched: Vec::new(),
            slot: slot.clone(),
            takes: kernel_offloads(),
            generation: 0,
            dropped_before: 0,
        };
        (port, slot)
    }

    /// The link is of no use any more.
    fn lose(&mut self, why: &Gone) {
        let Some(mut link) = self.link.take() else { return };
        tracing::warn!(interface = link.interface(), %why, "the uplink is lost; waiting for it");
        self.dropped_before += link.kernel_dropped_frames();
        self.generation += 1;
        self.retired.push(link);
    }

    /// Gives back what is of no use, and takes what is offered.
    fn exchange(&mut self) {
        let Some(mut contents) = self.slot.try_lock() else { return };
        contents.retired.append(&mut self.unwatched);
        self.unwatched.append(&mut self.retired);
        if let Some(offered) = contents.offered.take() {
            if let Some(mut before) = self.link.replace(offered) {
                self.dropped_before += before.kernel_dropped_frames();
                self.retired.push(before);
            }
            self.generation += 1;
            if let Some(link) = &mut self.link
                && let Err(error) = link.set_stations(contents.addresses.as_deref())
            {
                tracing::debug!(%error, "the new link passes what the old one did not");
            }
        }
        contents.has_link = self.link.is_some();
    }
}

impl Port for UplinkPort {
    fn source(&self) -> Option<Source> {
        let source = self.link.as_ref()?.source()?;
        Some(Source { generation: self.generation, ..source })
    }

    fn takes(&self) -> Offloads {
        self.link.as_ref().map_or(self.takes, |link| link.takes())
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match self.link.as_mut().map(|link| link.receive(inbox)) {
            None => Received::Drained,
            Some(Received::Gone(why)) => {
                self.lose(&why);
                Received::Drained
            }
            Some(received) => received,
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let Some(sent) = self.link.as_mut().map(|link| link.send(outbox)) else {
            return Sent::until(0, SendFault::NoPeer);
        };
        match sent.then {
            Some(SendFault::Gone(why)) => {
                self.lose(&why);
                Sent::until(sent.taken_frames, SendFault::NoPeer)
            }
            _ => sent,
        }
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        self.exchange();
        if let Some(Err(why)) = self.link.as_mut().map(|link| link.upkeep(now)) {
            self.lose(&why);
        }
        Ok(next_look(now))
    }

    fn set_stations(&mut self, stations: Option<&[MacAddr]>) -> io::Result<()> {
        self.slot.lock().addresses = stations.map(<[MacAddr]>::to_vec);
        self.link.as_mut().map_or(Ok(()), |link| link.set_stations(stations))
    }

    fn kernel_dropped_frames(&mut self) -> u64 {
        let now = self.link.as_mut().map_or(0, |link| link.kernel_dropped_frames());
        self.dropped_before + now
    }
}
