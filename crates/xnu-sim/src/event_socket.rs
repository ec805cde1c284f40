//! `PF_SYSTEM` sockets of kernel events (`bsd/kern/kern_event.c`, `kev_*`; contract §1a, §2, §8,
//! M12).

use std::collections::{BTreeMap, VecDeque};

use crate::copyio::{Raw, RawMut};
use crate::errno::{EAGAIN, ENOENT, ENOTSUP, EPROTONOSUPPORT, EPROTOTYPE, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::object::Object;

/// `SYSPROTO_EVENT`, and the type that these sockets are of.
const PROTOCOL_EVENT: i32 = 1;

/// `KEV_RECVSPACE`: bytes that one socket holds; what comes then is lost.
const QUEUE_BYTES_MAX: usize = 32 * 1024;

/// The vendor, class and subclass of what happens to interfaces: `KEV_VENDOR_APPLE`,
/// `KEV_NETWORK_CLASS`, `KEV_DL_SUBCLASS`.
const INTERFACES: [u32; 3] = [1, 1, 2];

const HEADER_BYTES: usize = 24;
const DATA_BYTES: usize = 24;

const SIOCGKEVID: u64 = 0x4004_6501;
const SIOCSKEVFILT: u64 = 0x800c_6502;
const SIOCGKEVFILT: u64 = 0x400c_6503;
const SIOCGKEVVENDOR: u64 = 0xc0cc_6504;

/// `KEV_DL_*` (`bsd/net/net_kev.h`).
pub(crate) mod code {
    pub(crate) const SIFFLAGS: u32 = 1;
    pub(crate) const SIFMTU: u32 = 3;
    pub(crate) const ADDMULTI: u32 = 7;
    pub(crate) const DELMULTI: u32 = 8;
    pub(crate) const IF_ATTACHED: u32 = 9;
    pub(crate) const IF_DETACHING: u32 = 10;
    pub(crate) const IF_DETACHED: u32 = 11;
    pub(crate) const LINK_OFF: u32 = 12;
    pub(crate) const LINK_ON: u32 = 13;
    pub(crate) const PROTO_ATTACHED: u32 = 14;
    pub(crate) const PROTO_DETACHED: u32 = 15;
    pub(crate) const LINK_ADDRESS_CHANGED: u32 = 16;
    pub(crate) const IFCAP_CHANGED: u32 = 19;
}

#[derive(Debug, Default)]
pub(crate) struct EventSockets {
    sockets: BTreeMap<u32, EventSocket>,
    opened: u32,
    /// The number of the last event (`static_event_id`).
    last_id: u32,
}

#[derive(Debug)]
struct EventSocket {
    /// Vendor, class and subclass; 0 is any. A new socket wants a vendor that nobody is.
    filter: [u32; 3],
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
}

impl EventSocket {
    fn wants(&self, of: [u32; 3]) -> bool {
        // A filter of any vendor does not look further (`kev_post_msg_internal`).
        for (wanted, is) in self.filter.iter().zip(of) {
            if *wanted == 0 {
                return true;
            }
            if *wanted != is {
                return false;
            }
        }
        true
    }
}

impl Machine {
    pub(crate) fn events_open(&mut self, kind: i32, protocol: i32) -> Result<u32> {
        const SOCK_RAW: i32 = 3;
        if protocol != PROTOCOL_EVENT {
            return Err(EPROTONOSUPPORT);
        }
        if kind != SOCK_RAW {
            return Err(EPROTOTYPE);
        }
        let id = self.events.opened;
        self.events.opened += 1;
        let socket =
            EventSocket { filter: [u32::MAX, 0, 0], queue: VecDeque::new(), queued_bytes: 0 };
        self.events.sockets.insert(id, socket);
        Ok(id)
    }

    pub(crate) fn events_close(&mut self, id: u32) {
        self.events.sockets.remove(&id);
    }

    /// The requests of `kev_control`.
    pub(crate) fn events_ioctl(
        &mut self,
        id: u32,
        request: u64,
        argument: &mut [u8],
    ) -> Result<()> {
        let last_id = self.events.last_id;
        let socket = self.events.sockets.get_mut(&id).ok_or(ENOENT)?;
        match request {
            SIOCGKEVID => argument.put_u32(0, last_id),
            SIOCSKEVFILT => socket.filter = [0, 4, 8].map(|at| argument.u32_at(at)),
            SIOCGKEVFILT => {
                for (at, value) in [0, 4, 8].into_iter().zip(socket.filter) {
                    argument.put_u32(at, value);
                }
            }
            SIOCGKEVVENDOR => match argument.text_at(4, 200).as_str() {
                "com.apple" => argument.put_u32(0, INTERFACES[0]),
                _ => return Err(ENOENT),
            },
            _ => return Err(ENOTSUP),
        }
        Ok(())
    }

    /// The next event, whole.
    pub(crate) fn events_read(&mut self, id: u32) -> Result<Vec<u8>> {
        let socket = self.events.sockets.get_mut(&id).ok_or(EAGAIN)?;
        let event = socket.queue.pop_front().ok_or(EAGAIN)?;
        socket.queued_bytes -= event.len();
        Ok(event)
    }

    /// `EVFILT_READ`: the bytes that wait.
    pub(crate) fn events_readable(&mut self, id: u32) -> Option<i64> {
        let socket = self.events.sockets.get(&id)?;
        if socket.queue.is_empty() {
            return None;
        }
        i64::try_from(socket.queued_bytes).ok()
    }

    /// Tells all sockets that want it of an interface (vendor 1, class 1, subclass 2); the code is
    /// `KEV_DL_*`.
    pub(crate) fn post_interface_event(&mut self, interface: IfId, code: u32) {
        let data = self.net_event_data(interface);
        self.post(code, &data);
    }

    /// A protocol came to an interface or left it (`kev_dl_proto_data`); so many remain.
    pub(crate) fn post_protocol_event(
        &mut self,
        interface: IfId,
        code: u32,
        family: u32,
        remaining: u32,
    ) {
        let mut data = self.net_event_data(interface);
        data.extend(family.to_le_bytes());
        data.extend(remaining.to_le_bytes());
        self.post(code, &data);
    }

    /// A driver's own `LINK_ON` or `LINK_OFF`. Its message is 4 bytes longer than others, and up to
    /// macOS 15.3 what it says begins 4 bytes late (`interface_link_event`, `bsd/net/if_fake.c`;
    /// `bridge_link_event`, `bsd/net/if_bridge.c`).
    pub(crate) fn post_link_event(&mut self, interface: IfId, code: u32) {
        let mut data = self.net_event_data(interface);
        let at = if self.can.link_events_are_shifted { 0 } else { data.len() };
        data.splice(at..at, [0; 4]);
        self.post(code, &data);
        self.bridge_link_changed(interface);
    }

    /// `net_event_data`: family, unit, name without the unit.
    fn net_event_data(&self, interface: IfId) -> Vec<u8> {
        let (family, unit, name) = self.net.event_data(interface);
        let mut data = vec![0; DATA_BYTES];
        data.put_u32(0, family);
        data.put_u32(4, unit);
        data.put_text(8, 16, name);
        data
    }

    fn post(&mut self, code: u32, data: &[u8]) {
        self.events.last_id += 1;
        let mut event = vec![0; HEADER_BYTES];
        event.put_u32(0, u32::try_from(HEADER_BYTES + data.len()).unwrap_or(u32::MAX));
        for (at, value) in [4, 8, 12].into_iter().zip(INTERFACES) {
            event.put_u32(at, value);
        }
        event.put_u32(16, self.events.last_id);
        event.put_u32(20, code);
        event.extend_from_slice(data);
        let mut woken = Vec::new();
        for (id, socket) in &mut self.events.sockets {
            let has_room = socket.queued_bytes + event.len() <= QUEUE_BYTES_MAX;
            if socket.wants(INTERFACES) && has_room {
                socket.queued_bytes += event.len();
                socket.queue.push_back(event.clone());
                woken.push(*id);
            }
        }
        for id in woken {
            self.activate(Object::Events(id));
        }
    }
}
