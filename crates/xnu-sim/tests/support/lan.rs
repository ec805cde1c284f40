//! A bridge with a card and guests.

use xnu_sim::{EthernetOptions, MacOs, SimKernel, Wire};

use super::taps::{Ndrv, Tap};
use super::{Control, let_frames_through, machine};

/// The card's own address.
pub(crate) const CARD: [u8; 6] = [0x3c, 0x22, 0xfb, 0, 0, 1];

/// `bridge0` with `en0` on a LAN and guests by pairs of feths: of guest n the member is `feth1n`,
/// the guest's own end `feth2n`.
pub(crate) struct Lan {
    pub(crate) kernel: SimKernel,
    pub(crate) control: Control,
    pub(crate) wire: Wire,
    guests: Vec<(Ndrv, Tap)>,
}

impl Lan {
    pub(crate) fn new(version: MacOs, guests: usize) -> Self {
        Self::with(machine(version), EthernetOptions::default(), guests)
    }

    pub(crate) fn with(
        (kernel, control): (SimKernel, Control),
        card: EthernetOptions,
        guests: usize,
    ) -> Self {
        let wire = kernel.add_ethernet("en0", CARD, card);
        control.bridge("bridge0", &["en0"]);
        let mut this = Self { kernel, control, wire, guests: Vec::new() };
        (0..guests).for_each(|_| this.add_guest());
        this
    }

    pub(crate) fn add_guest(&mut self) {
        let number = self.guests.len();
        let (member, guest) = (member(number), guest_end(number));
        self.control.pair(&member, &guest);
        self.control.add_member("bridge0", &member).unwrap();
        let tap = Tap::on(&self.kernel, &guest).only_in();
        self.guests.push((Ndrv::on(&self.kernel, &guest), tap));
    }

    /// A guest sends.
    pub(crate) fn send(&self, guest: usize, frame: &[u8]) {
        assert_eq!(self.guests[guest].0.send(frame), Ok(frame.len()));
        let_frames_through(&self.kernel);
    }

    /// A host of the LAN sends.
    pub(crate) fn send_from_lan(&self, frame: &[u8]) {
        self.wire.send(frame);
        let_frames_through(&self.kernel);
    }

    /// What a guest received since.
    pub(crate) fn seen_by(&self, guest: usize) -> Vec<Vec<u8>> {
        self.guests[guest].1.frames()
    }

    /// What came onto the LAN since.
    pub(crate) fn seen_on_lan(&self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.wire.take()).collect()
    }

    /// Who received a frame since: each guest, then the LAN.
    pub(crate) fn receivers(&self) -> Vec<usize> {
        let guests = (0..self.guests.len()).map(|guest| self.seen_by(guest).len());
        guests.chain([self.seen_on_lan().len()]).collect()
    }

    pub(crate) fn host_received(&self, interface: &str) -> usize {
        self.kernel.host_received(interface).len()
    }
}

pub(crate) fn member(guest: usize) -> String {
    format!("feth1{guest}")
}

pub(crate) fn guest_end(guest: usize) -> String {
    format!("feth2{guest}")
}
