//! A network card, and the wire that it is on.

use std::collections::VecDeque;
use std::fmt;

use super::interface::{
    Driver, EFLAG_TXSTART, ETHERNET_HEADER_BYTES, Frame, Mac, NewInterface, capability, flags,
};
use super::{Direction, IfId};
use crate::event_socket::code;
use crate::fault::FaultAction;
use crate::machine::Machine;
use crate::sim_kernel::SimKernel;

/// `IFT_ETHER`.
pub(super) const IFT_ETHER: u8 = 6;
/// `IFNET_FAMILY_ETHERNET`.
pub(super) const FAMILY_ETHERNET: u32 = 2;
/// `IFNET_SUBFAMILY_WIFI`.
pub(super) const SUBFAMILY_WIFI: u32 = 3;

/// Frames that a wire holds until somebody takes them; the oldest are lost.
const WIRE_FRAMES_MAX: usize = 65_536;

/// What kind of card.
#[derive(Clone, Copy, Debug)]
pub struct EthernetOptions {
    /// A Wi-Fi station: a bridge treats it in its own way (contract §3, MAC NAT).
    pub is_wifi: bool,
    /// It can segment TCP (contract §3, `bridge_set_tso`).
    pub has_tso: bool,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// The greatest that can be set.
    pub mtu_max: u32,
}

impl Default for EthernetOptions {
    fn default() -> Self {
        Self { is_wifi: false, has_tso: true, mtu: 1500, mtu_max: 9000 }
    }
}

/// The driver's state.
#[derive(Debug)]
pub(crate) struct Ethernet {
    pub(super) has_link: bool,
    pub(super) mtu_max: u32,
    /// What the card put on the wire.
    sent: VecDeque<Vec<u8>>,
}

/// The wire of a card, seen from the LAN.
#[derive(Clone)]
pub struct Wire {
    kernel: SimKernel,
    interface: IfId,
}

impl SimKernel {
    /// Adds a network card that is up, has link and is wired to whoever holds what this gives.
    ///
    /// # Panics
    /// When the name is taken or is none.
    #[must_use]
    pub fn add_ethernet(&self, name: &str, mac: [u8; 6], options: EthernetOptions) -> Wire {
        let interface = self.act(|machine| machine.add_ethernet(name, mac, options));
        Wire { kernel: self.clone(), interface }
    }
}

impl Wire {
    /// A frame comes to the card from the LAN.
    pub fn send(&self, frame: &[u8]) {
        self.kernel.act(|machine| machine.ethernet_receive(self.interface, frame));
    }

    /// The next frame that the card put on the wire.
    #[must_use]
    pub fn take(&self) -> Option<Vec<u8>> {
        match &mut self.kernel.machine().net[self.interface].driver {
            Driver::Ethernet(ethernet) => ethernet.sent.pop_front(),
            _ => None,
        }
    }

    /// Plugs the wire in or out.
    pub fn set_link(&self, has_link: bool) {
        self.kernel.act(|machine| machine.ethernet_set_link(self.interface, has_link));
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({:?})", self.interface)
    }
}

impl Machine {
    fn add_ethernet(&mut self, name: &str, mac: Mac, options: EthernetOptions) -> IfId {
        let (driver_name, unit) = super::split_name(name).expect("a name with a number");
        let id = self.net.object(name);
        assert!(!self.net[id].is_attached(), "{name} is there already");
        let ethernet = Ethernet { has_link: true, mtu_max: options.mtu_max, sent: VecDeque::new() };
        let new = NewInterface {
            driver_name: driver_name.to_owned(),
            unit,
            driver: Driver::Ethernet(ethernet),
            kind: IFT_ETHER,
            family: FAMILY_ETHERNET,
            subfamily: if options.is_wifi { SUBFAMILY_WIFI } else { 0 },
            mac: None,
            flags: flags::UP
                | flags::BROADCAST
                | flags::RUNNING
                | flags::SIMPLEX
                | flags::MULTICAST,
            mtu: options.mtu,
            eflags: EFLAG_TXSTART,
            capabilities: capability::CHECKSUM | if options.has_tso { capability::TSO } else { 0 },
        };
        self.attach(id, new);
        self.set_mac(id, mac);
        id
    }

    /// The starter thread: onto the wire. Runts do not get there.
    pub(super) fn ethernet_start(&mut self, id: IfId) {
        while let Some(frame) = self.pop_frame(id) {
            if frame.bytes.len() < ETHERNET_HEADER_BYTES {
                self.net[id].traffic.dropped += 1;
                continue;
            }
            self.tap(id, &frame, Direction::Out);
            let name = self.net.name(id);
            let fault = self.faults.strike("wire", std::slice::from_ref(&name));
            let is_lost = matches!(fault, Some(FaultAction::Lose)) || self.is_foreign(id, &frame);
            let interface = &mut self.net[id];
            interface.traffic.frames_out += 1;
            interface.traffic.bytes_out += frame.bytes.len() as u64;
            let Driver::Ethernet(ethernet) = &mut interface.driver else { return };
            if !ethernet.has_link || is_lost {
                interface.traffic.dropped += 1;
                continue;
            }
            if ethernet.sent.len() == WIRE_FRAMES_MAX {
                ethernet.sent.pop_front();
            }
            ethernet.sent.push_back(frame.for_tap().into_owned());
        }
    }

    /// An access point takes no frames of others than its stations (contract §3 Wi-Fi).
    fn is_foreign(&self, id: IfId, frame: &Frame) -> bool {
        let interface = &self.net[id];
        interface.subfamily == SUBFAMILY_WIFI && interface.mac != Some(frame.source())
    }

    /// The card takes what is for it; with `PROMISC` everything.
    fn ethernet_receive(&mut self, id: IfId, bytes: &[u8]) {
        let interface = &self.net[id];
        let Driver::Ethernet(ethernet) = &interface.driver else { return };
        let frame = Frame::new(bytes.to_vec());
        let is_for_it = frame.is_group()
            || interface.mac == Some(frame.destination())
            || (interface.has(flags::PROMISCUOUS) && interface.subfamily != SUBFAMILY_WIFI);
        let can_receive = ethernet.has_link && interface.has(flags::UP | flags::RUNNING);
        if !can_receive || !is_for_it || bytes.len() < ETHERNET_HEADER_BYTES {
            return;
        }
        self.tap(id, &frame, Direction::In);
        self.input(id, frame);
    }

    fn ethernet_set_link(&mut self, id: IfId, has_link: bool) {
        let Driver::Ethernet(ethernet) = &mut self.net[id].driver else { return };
        if ethernet.has_link != has_link {
            ethernet.has_link = has_link;
            let code = if has_link { code::LINK_ON } else { code::LINK_OFF };
            self.post_interface_event(id, code);
            self.bridge_link_changed(id);
        }
    }
}
