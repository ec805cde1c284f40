//! `SIOCSIFFLAGS` and promiscuous mode (`ifnet_set_flags`, `if_updown`, `bsd/net/if.c`).

use super::IfId;
use super::interface::{Driver, flags};
use crate::event_socket::code;
use crate::machine::Machine;

impl Machine {
    /// What `SIOCSIFFLAGS` does: the flags that may be changed, then the driver, whose error counts
    /// for nothing (contract §1a).
    pub(super) fn ioctl_set_flags(&mut self, id: IfId, new_flags: u16) {
        self.set_flags(id, new_flags, !flags::CANNOT_CHANGE);
        self.driver_flags_changed(id);
        self.post_interface_event(id, code::SIFFLAGS);
    }

    /// `ifnet_set_flags`: `UP` going on or off empties the send queue (contract §4).
    pub(super) fn set_flags(&mut self, id: IfId, new_flags: u16, mask: u16) {
        let interface = &mut self.net[id];
        let old_flags = interface.flags;
        interface.flags = new_flags & mask | old_flags & !mask;
        if (old_flags ^ interface.flags) & flags::UP != 0 {
            interface.traffic.dropped += interface.send.flush();
        }
    }

    /// The driver sees the flags (`SIOCSIFFLAGS` of each driver): `RUNNING` follows `UP`.
    pub(super) fn driver_flags_changed(&mut self, id: IfId) {
        let is_up = self.net[id].has(flags::UP);
        match self.net[id].driver {
            Driver::Bridge(_) => self.bridge_flags_changed(id),
            Driver::Feth(_) | Driver::Ethernet(_) => {
                let running = if is_up { flags::RUNNING } else { 0 };
                self.set_flags(id, running, flags::RUNNING);
            }
            Driver::None | Driver::Loopback => {}
        }
    }

    /// `ifnet_set_promiscuous`: counted; the flag is set while the count is not 0. None of the
    /// modelled drivers refuses.
    pub(crate) fn set_promiscuous(&mut self, id: IfId, is_on: bool) {
        let interface = &mut self.net[id];
        let count = &mut interface.promiscuous_count;
        *count = if is_on { *count + 1 } else { count.saturating_sub(1) };
        let old_flags = interface.flags;
        if *count > 0 {
            interface.flags |= flags::PROMISCUOUS;
        } else {
            interface.flags &= !flags::PROMISCUOUS;
        }
        if interface.flags != old_flags && interface.has(flags::UP) {
            self.driver_flags_changed(id);
        }
    }

    /// `if_allmulti`.
    pub(super) fn set_all_multicast(&mut self, id: IfId, is_on: bool) {
        let interface = &mut self.net[id];
        let count = &mut interface.all_multicast_count;
        *count = if is_on { *count + 1 } else { count.saturating_sub(1) };
        if *count > 0 {
            interface.flags |= flags::ALL_MULTICAST;
        } else {
            interface.flags &= !flags::ALL_MULTICAST;
        }
    }
}
