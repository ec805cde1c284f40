//! The host's end of a network on a Mac: BPF receives and NDRV or BPF sends, on the switch's end of
//! a feth pair or on an interface as it is.

use std::fmt;
use std::io;

use arrayvec::ArrayVec;
use bpf::capture::BatchWriter;
use xnu_sys::{Host, Kernel, MESSAGES_MAX};

use super::link::Link;
use super::next_look;
use crate::counters::DropReason;
use crate::mac::MacAddr;
use crate::poller::Source;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// Who keeps what an uplink stands on: an interface may be destroyed, set down, or taken out of its
/// bridge, and XNU tells the descriptors on it nothing.
pub trait LinkKeeper<K: Kernel>: fmt::Debug + Send {
    /// Looks whether all is as it should be, and mends what is not. Called about four times a
    /// second, with whether the port has a link that works as far as it knows.
    fn tend(&mut self, has_link: bool, now: Nanos) -> Tended<K>;

    /// Has each link that it builds from now on pass what is for these addresses
    /// ([`LinkOptions::addresses`](super::LinkOptions::addresses)).
    fn set_addresses(&mut self, addresses: Option<&[MacAddr]>);
}

/// What a [`LinkKeeper`] found.
#[derive(Debug)]
pub enum Tended<K: Kernel> {
    /// What the port has is right.
    Kept,
    /// What the port has is of an interface that is gone, or going.
    Lost,
    /// Here is a new one.
    Built(Box<Link<K>>),
    /// There will never be one again.
    Gone(Gone),
}

/// An uplink's port.
pub struct UplinkPort<K: Kernel = Host> {
    link: Option<Box<Link<K>>>,
    keeper: Box<dyn LinkKeeper<K>>,
    batch: BatchWriter,
    /// Whether the device takes batches; a kernel that refuses one is not asked again.
    batches: bool,
    generation: u32,
    /// Frames that the kernel dropped under links that are no more.
    dropped_before: u64,
    told_down: bool,
}

/// How many records are looked at by one call, so that a buffer full of what is not passed on does
/// not hold up the loop.
const RECORDS_PER_CALL: usize = 64;

/// How many frames, and how many bytes, one call sends at most.
const SEND_FRAMES_MAX: usize = MESSAGES_MAX;
const BATCH_BYTES_MAX: usize = 256 << 10;

impl<K: Kernel> UplinkPort<K> {
    /// A port on `link`, which `keeper` keeps.
    #[must_use]
    pub fn new(link: Link<K>, keeper: Box<dyn LinkKeeper<K>>) -> Self {
        let batches = link.device.capabilities().batch_write;
        Self { link: Some(Box::new(link)), batches, ..Self::waiting(keeper) }
    }

    /// A port without a link, until `keeper` builds one.
    #[must_use]
    pub fn waiting(keeper: Box<dyn LinkKeeper<K>>) -> Self {
        Self {
            link: None,
            keeper,
            batch: BatchWriter::new(BATCH_BYTES_MAX),
            batches: false,
            generation: 0,
            dropped_before: 0,
            told_down: false,
        }
    }

    /// The interface is gone: its descriptors are closed, and none of them is ever asked again.
    /// (A stale NDRV socket would point at an interface of the same name made later; XNU
    /// `bsd/net/ndrv.c`.)
    fn lose(&mut self, why: &dyn fmt::Display) {
        let Some(mut link) = self.link.take() else { return };
        tracing::warn!(%why, "the uplink is lost; waiting for it");
        self.dropped_before += dropped_frames(&mut link);
        self.generation += 1;
    }

    fn build(&mut self, link: Box<Link<K>>) {
        self.lose(&"replaced");
        self.batches = link.device.capabilities().batch_write;
        self.link = Some(link);
        self.told_down = false;
    }

    fn is_down(&mut self, why: &dyn fmt::Display) -> SendFault {
        if !std::mem::replace(&mut self.told_down, true) {
            tracing::warn!(%why, "the uplink is down");
        }
        SendFault::NoPeer
    }

    /// Sends one batch by the device; `None` when it takes none.
    fn send_batch(&mut self, outbox: &Outbox<'_>) -> Option<Sent> {
        let link = self.link.as_mut().filter(|_| self.batches)?;
        let frame_max = link.device.frame_max_bytes();
        self.batch.clear();
        for frame in outbox.iter().take(SEND_FRAMES_MAX) {
            // What does not fit here goes by the socket, or is refused there.
            if frame.len() > frame_max || self.batch.push(frame).is_err() {
                break;
            }
        }
        if self.batch.is_empty() {
            return None;
        }
        let (taken, error) = link.device.write_batch(&self.batch);
        let Some(error) = error else { return Some(Sent::all(taken)) };
        use bpf::device::Error;
        Some(match error {
            // One of the batch was lost, the kernel does not say which: the last is counted.
            Error::Lost { .. } | Error::TooShort { .. } => Sent::until(taken, SendFault::Lost),
            Error::InterfaceDown { .. } => Sent::until(taken, self.is_down(&error)),
            Error::InterfaceGone { .. } => {
                self.lose(&error);
                Sent::until(taken, SendFault::NoPeer)
            }
            // What went before is not sent again.
            _ if taken > 0 => Sent::all(taken),
            error => {
                // Refused as a whole: nothing went, and the socket takes the same frames.
                tracing::debug!(%error, "no batches any more");
                self.batches = false;
                return None;
            }
        })
    }

    fn send_each(&mut self, outbox: &Outbox<'_>) -> Sent {
        let Some(link) = self.link.as_mut() else { return Sent::until(0, SendFault::NoPeer) };
        // Filled in place: a list that is collected is moved once it is full.
        let mut frames = ArrayVec::<&[u8], SEND_FRAMES_MAX>::new();
        frames.extend(outbox.iter().take(SEND_FRAMES_MAX));
        let (taken, error) = link.socket.send_batch(&frames);
        let Some(error) = error else { return Sent::all(taken) };
        use ndrv::Error;
        let fault = match error {
            Error::TooLong { .. } => SendFault::TooBig,
            Error::Lost { .. } | Error::TooShort { .. } => SendFault::Lost,
            Error::InterfaceDown { .. } => self.is_down(&error),
            // Gone, or refused for a reason that a new socket may not have.
            error => {
                self.lose(&error);
                SendFault::NoPeer
            }
        };
        Sent::until(taken, fault)
    }
}

impl<K: Kernel> Port for UplinkPort<K> {
    fn source(&self) -> Option<Source> {
        let descriptor = self.link.as_ref()?.device.descriptor();
        Some(Source { descriptor, generation: self.generation })
    }

    /// A read gives a whole buffer, perhaps thousands of frames: the rest of it waits for the next
    /// call.
    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let Some(link) = self.link.as_mut() else { return Received::Drained };
        match link.device.fill() {
            Ok(true) => {}
            Ok(false) => return Received::Drained,
            // Whatever it is, a new device may do better, and an uplink does not end while its
            // switch runs.
            Err(error) => {
                self.lose(&error);
                return Received::Drained;
            }
        }
        for _ in 0..RECORDS_PER_CALL {
            let Some(record) = link.device.peek_record() else { break };
            if record.is_truncated() {
                inbox.reject(DropReason::Oversize, record.frame.len());
            } else if !inbox.copy(record.frame) {
                return Received::NoBuffers;
            }
            let _ = link.device.next_record();
        }
        Received::More
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        if let Some(sent) = self.send_batch(outbox) {
            return sent;
        }
        self.send_each(outbox)
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        match self.keeper.tend(self.link.is_some(), now) {
            Tended::Kept => {}
            Tended::Lost => self.lose(&"its interface is gone"),
            Tended::Built(link) => self.build(link),
            Tended::Gone(why) => return Err(why),
        }
        Ok(next_look(now))
    }

    fn set_stations(&mut self, stations: Option<&[MacAddr]>) -> io::Result<()> {
        self.keeper.set_addresses(stations);
        match &mut self.link {
            Some(link) => link.set_addresses(stations).map_err(io::Error::other),
            None => Ok(()),
        }
    }

    fn kernel_dropped_frames(&mut self) -> u64 {
        self.dropped_before + self.link.as_mut().map_or(0, |link| dropped_frames(link))
    }
}

fn dropped_frames<K: Kernel>(link: &mut Link<K>) -> u64 {
    link.device.statistics().map_or(0, |statistics| statistics.dropped_frames)
}

impl<K: Kernel> fmt::Debug for UplinkPort<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UplinkPort")
            .field("place", &self.link.as_ref().map(|link| link.device.place()))
            .field("keeper", &self.keeper)
            .finish_non_exhaustive()
    }
}
