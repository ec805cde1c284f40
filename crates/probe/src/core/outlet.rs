//! Where a guest's frames leave, and the device that the stack sees.

use std::collections::VecDeque;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::mld;
use super::watch::Watch;
use crate::frame::HEADER_LEN;
use crate::wire::{Transmit, Wire};

/// The way out: a short queue for what the cable cannot take yet, in order.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) watch: Watch,
    mtu: usize,
    scratch: Vec<u8>,
    pending: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
}

impl Outlet {
    pub(crate) fn new(watch: Watch, mtu: usize) -> Self {
        let scratch = vec![0; mtu + HEADER_LEN];
        Self { watch, mtu, scratch, pending: VecDeque::new(), spare: Vec::new() }
    }

    /// Whether nothing waits for the cable.
    pub(crate) fn is_clear(&self) -> bool {
        self.pending.is_empty()
    }

    /// How many more frames fit the queue.
    pub(crate) fn room(&self) -> usize {
        PENDING_MAX - self.pending.len()
    }

    /// Puts a frame at the end of the queue; counts it as dropped when that is full.
    pub(crate) fn queue(&mut self, frame: &[u8]) {
        if self.room() == 0 {
            self.watch.counters.dropped_queue_full += 1;
            return;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(frame);
        self.pending.push_back(copy);
    }

    /// Offers what waits to the cable, in order, until it takes no more; how many frames left.
    pub(crate) fn flush<W: Wire + ?Sized>(&mut self, wire: &mut W) -> usize {
        let mut left = 0;
        while let Some(frame) = self.pending.front() {
            match wire.transmit(frame) {
                Transmit::Full => break,
                Transmit::Taken => self.watch.sent(frame),
                Transmit::Lost => self.watch.counters.lost_at_link += 1,
            }
            left += 1;
            if let Some(frame) = self.pending.pop_front() {
                self.spare.push(frame);
            }
        }
        left
    }

    fn send<W: Wire + ?Sized, R>(
        &mut self,
        wire: &mut W,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        if self.scratch.len() < len {
            self.scratch.resize(len, 0);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let frame = &mut scratch[..len];
        frame.fill(0);
        let answer = fill(frame);
        mld::correct_report(frame);
        self.watch.made(frame);
        if self.is_clear() {
            match wire.transmit(frame) {
                Transmit::Taken => self.watch.sent(frame),
                Transmit::Full => self.queue(frame),
                Transmit::Lost => self.watch.counters.lost_at_link += 1,
            }
        } else {
            self.queue(frame);
        }
        self.scratch = scratch;
        answer
    }
}

/// The stack's device for one step: at most one frame in, any number out.
pub(crate) struct Port<'a, W: ?Sized> {
    pub(crate) incoming: Option<&'a [u8]>,
    pub(crate) outlet: &'a mut Outlet,
    pub(crate) wire: &'a mut W,
}

impl<W: Wire + ?Sized> Device for Port<'_, W> {
    type RxToken<'b>
        = Incoming<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Outgoing<'b, W>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_, W>)> {
        let frame = self.incoming.take()?;
        Some((Incoming(frame), Outgoing { outlet: self.outlet, wire: self.wire }))
    }

    /// None while the cable is full: the stack keeps its data and offers it again.
    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_, W>> {
        self.outlet.is_clear().then_some(Outgoing { outlet: self.outlet, wire: self.wire })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.outlet.mtu + HEADER_LEN;
        capabilities
    }
}

pub(crate) struct Incoming<'a>(&'a [u8]);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

pub(crate) struct Outgoing<'a, W: ?Sized> {
    outlet: &'a mut Outlet,
    wire: &'a mut W,
}

impl<W: Wire + ?Sized> TxToken for Outgoing<'_, W> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        self.outlet.send(self.wire, len, fill)
    }
}

/// Frames that wait for a full cable: replies the stack makes at once, and raw frames.
const PENDING_MAX: usize = 256;
