//! `PF_NDRV` sockets (XNU `bsd/net/ndrv.c`), which send whole frames.
//!
//! Nothing is received: without a registered demultiplexer nothing is ever queued, and the list of
//! one is behind a pointer in `setsockopt`'s value, which the face's `setsockopt` does not follow.

use std::collections::BTreeMap;

use crate::copyio::Raw;
use crate::errno::{
    EADDRNOTAVAIL, EBUSY, EDESTADDRREQ, EEXIST, EFAULT, EINVAL, EISCONN, EMSGSIZE, ENOENT,
    ENOPROTOOPT, ENOTSUP, ENXIO, EPERM, EPROTONOSUPPORT, Result,
};
use crate::machine::Machine;
use crate::net::IfId;
use crate::process::ProcessId;
use crate::unix::Space;

#[derive(Debug, Default)]
pub(crate) struct NdrvSockets {
    sockets: BTreeMap<u32, Socket>,
    opened: u32,
}

#[derive(Debug)]
struct Socket {
    opened_by: ProcessId,
    bound: Option<Bound>,
    /// A bind was tried: there is no second.
    has_address: bool,
    is_connected: bool,
    send_space: Space,
    receive_space: Space,
    has_no_sigpipe: bool,
    multicast: Vec<Vec<u8>>,
}

/// What a socket is bound to. It stays so when the interface goes, and is so again when one of its
/// name is made.
#[derive(Clone, Copy, Debug)]
struct Bound {
    interface: IfId,
    /// Family and unit of the interface, by which XNU tells sockets of one interface: those of
    /// `feth5`, `en5` and `bridge5` are the same to it.
    place: (u32, u32),
}

impl NdrvSockets {
    fn socket(&mut self, id: u32) -> Result<&mut Socket> {
        self.sockets.get_mut(&id).ok_or(EINVAL)
    }
}

impl Machine {
    /// A socket. Root is asked for now and never again.
    pub(crate) fn ndrv_open(
        &mut self,
        kind: i32,
        protocol: i32,
        process: ProcessId,
    ) -> Result<u32> {
        if kind != SOCK_RAW || protocol != 0 {
            return Err(EPROTONOSUPPORT);
        }
        if !self.processes.of(process).is_root {
            return Err(EPERM);
        }
        let limits = self.limits();
        let mut space = Space::EMPTY;
        space.reserve(BUFFER_LEN, &limits)?;
        let id = self.ndrv.opened;
        self.ndrv.opened += 1;
        let socket = Socket {
            opened_by: process,
            bound: None,
            has_address: false,
            is_connected: false,
            send_space: space,
            receive_space: space,
            has_no_sigpipe: false,
            multicast: Vec::new(),
        };
        self.ndrv.sockets.insert(id, socket);
        Ok(id)
    }

    /// The last socket of a place takes the protocol from its interface.
    pub(crate) fn ndrv_close(&mut self, id: u32) {
        let Some(socket) = self.ndrv.sockets.remove(&id) else { return };
        let Some(Bound { interface, place }) = socket.bound else { return };
        let mut others = self.ndrv.sockets.values().filter_map(|socket| socket.bound);
        if !others.any(|other| other.place == place) {
            self.detach_protocol(interface, PF_NDRV);
        }
    }

    /// `address` is a `sockaddr_ndrv`: length, family, the interface's name in 16 bytes.
    pub(crate) fn ndrv_bind(&mut self, id: u32, address: &[u8]) -> Result<()> {
        let socket = self.ndrv.socket(id)?;
        // Also after a bind that failed.
        if std::mem::replace(&mut socket.has_address, true) {
            return Err(EINVAL);
        }
        let name = address.text_at(2, 16);
        if name.is_empty() {
            return Err(EINVAL);
        }
        let found = self.net.find(&name);
        let interface = found.filter(|interface| self.net.name(*interface) == name);
        let interface = interface.ok_or(EADDRNOTAVAIL)?;
        let (family, unit, _) = self.net.event_data(interface);
        self.ndrv.socket(id)?.bound = Some(Bound { interface, place: (family, unit) });
        self.attach_protocol(interface, PF_NDRV);
        Ok(())
    }

    /// The interface that a socket is bound to.
    pub(crate) fn ndrv_interface(&mut self, id: u32) -> Option<IfId> {
        self.ndrv.socket(id).ok()?.bound.map(|bound| bound.interface)
    }

    /// Only the address's length is looked at. A second is refused, as the contract says. By its
    /// sources XNU may undo the first then, and refuse what is sent later (`EPIPE`): whoever sees
    /// this error has met that too.
    pub(crate) fn ndrv_connect(&mut self, id: u32, address: &[u8]) -> Result<()> {
        let socket = self.ndrv.socket(id)?;
        if socket.is_connected {
            return Err(EISCONN);
        }
        if address.len() < ADDRESS_LEN {
            return Err(EINVAL);
        }
        socket.is_connected = true;
        Ok(())
    }

    /// One frame; `has_address` when one was given (`sendto`), whatever is in it.
    pub(crate) fn ndrv_send(&mut self, id: u32, frame: &[u8], has_address: bool) -> Result<()> {
        let socket = self.ndrv.socket(id)?;
        if !socket.is_connected && !has_address {
            return Err(EDESTADDRREQ);
        }
        if frame.len() > socket.send_space.bytes_max as usize {
            return Err(EMSGSIZE);
        }
        let interface = socket.bound.ok_or(EINVAL)?.interface;
        let opened_by = socket.opened_by;
        self.raw_output(opened_by, interface, frame.to_vec())
    }

    pub(crate) fn ndrv_getsockopt(&mut self, id: u32, level: i32, name: i32) -> Result<Vec<u8>> {
        let socket = self.ndrv.socket(id)?;
        if level != SOL_SOCKET {
            return Err(ENOTSUP);
        }
        let value = match name {
            SO_SNDBUF => socket.send_space.bytes_max,
            SO_RCVBUF => socket.receive_space.bytes_max,
            SO_NOSIGPIPE => socket.has_no_sigpipe.into(),
            SO_TYPE => SOCK_RAW.cast_unsigned(),
            // Nothing fails later, nothing waits.
            SO_ERROR | SO_NREAD | SO_NWRITE => 0,
            _ => return Err(ENOPROTOOPT),
        };
        Ok(value.to_le_bytes().to_vec())
    }

    pub(crate) fn ndrv_setsockopt(
        &mut self,
        id: u32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<()> {
        let limits = self.limits();
        let socket = self.ndrv.socket(id)?;
        match (level, name) {
            (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF | SO_NOSIGPIPE) if value.len() < 4 => Err(EINVAL),
            (SOL_SOCKET, SO_SNDBUF | SO_RCVBUF) if value.u32_at(0).cast_signed() < 1 => Err(EINVAL),
            (SOL_SOCKET, SO_SNDBUF) => socket.send_space.reserve(value.u32_at(0), &limits),
            (SOL_SOCKET, SO_RCVBUF) => socket.receive_space.reserve(value.u32_at(0), &limits),
            (SOL_SOCKET, SO_NOSIGPIPE) => {
                socket.has_no_sigpipe = value.u32_at(0) != 0;
                Ok(())
            }
            (SOL_SOCKET, _) => Err(ENOPROTOOPT),
            (_, NDRV_SETDMXSPEC) => socket.set_demultiplexers(value),
            // None is registered; and none is named.
            (_, NDRV_DELDMXSPEC) => Err(EINVAL),
            (_, NDRV_ADDMULTICAST) => socket.add_multicast(level, value),
            (_, NDRV_DELMULTICAST) => socket.delete_multicast(level, value),
            _ => Err(ENOTSUP),
        }
    }
}

impl Socket {
    /// A `ndrv_protocol_desc`: version, family, how many, where. All is checked but what is there.
    fn set_demultiplexers(&self, value: &[u8]) -> Result<()> {
        if self.bound.is_none() {
            return Err(EBUSY);
        }
        let (version, family, count) = (value.u32_at(0), value.u32_at(4), value.u32_at(8));
        if value.len() != DEMULTIPLEXERS_LEN || family == PF_NDRV {
            return Err(EINVAL);
        }
        match version {
            0 => Err(EINVAL),
            1 if (1..=DEMULTIPLEXERS_MAX).contains(&count) => Err(EFAULT),
            1 => Err(EINVAL),
            _ => Err(ENOTSUP),
        }
    }

    fn add_multicast(&mut self, level: i32, value: &[u8]) -> Result<()> {
        check_multicast(level, value)?;
        if self.bound.is_none() {
            return Err(ENXIO);
        }
        if self.multicast.len() >= MULTICAST_MAX {
            return Err(EPERM);
        }
        if value.len() != usize::from(value.u8_at(0)) {
            return Err(EINVAL);
        }
        if self.multicast.iter().any(|address| address == value) {
            return Err(EEXIST);
        }
        self.multicast.push(value.to_vec());
        Ok(())
    }

    fn delete_multicast(&mut self, level: i32, value: &[u8]) -> Result<()> {
        check_multicast(level, value)?;
        if self.bound.is_none() || self.multicast.is_empty() {
            return Err(ENXIO);
        }
        if value.len() != usize::from(value.u8_at(0)) {
            return Err(EINVAL);
        }
        let at = self.multicast.iter().position(|address| address == value).ok_or(ENOENT)?;
        self.multicast.remove(at);
        Ok(())
    }
}

fn check_multicast(level: i32, value: &[u8]) -> Result<()> {
    let is_address = (2..=SOCKET_ADDRESS_LEN_MAX).contains(&value.len());
    if level == SOL_NDRVPROTO && is_address { Ok(()) } else { Err(EINVAL) }
}

/// `NDRVSNDQ`, `NDRVRCVQ`.
const BUFFER_LEN: u32 = 8192;
/// `sizeof(struct sockaddr_ndrv)`.
const ADDRESS_LEN: usize = 18;
const PF_NDRV: u32 = 27;
const SOCK_RAW: i32 = 3;
const SOL_SOCKET: i32 = 0xffff;
const SO_SNDBUF: i32 = 0x1001;
const SO_RCVBUF: i32 = 0x1002;
const SO_ERROR: i32 = 0x1007;
const SO_TYPE: i32 = 0x1008;
const SO_NREAD: i32 = 0x1020;
const SO_NOSIGPIPE: i32 = 0x1022;
const SO_NWRITE: i32 = 0x1024;
/// The level of NDRV's own options.
const SOL_NDRVPROTO: i32 = 0;
const NDRV_DELDMXSPEC: i32 = 2;
const NDRV_SETDMXSPEC: i32 = 4;
const NDRV_ADDMULTICAST: i32 = 5;
const NDRV_DELMULTICAST: i32 = 6;
/// `sizeof(struct ndrv_protocol_desc)`.
const DEMULTIPLEXERS_LEN: usize = 24;
/// `NDRV_PROTODEMUX_COUNT`.
const DEMULTIPLEXERS_MAX: u32 = 10;
/// `NDRV_DMUX_MAX_DESCR`.
const MULTICAST_MAX: usize = 1024;
/// `SOCK_MAXADDRLEN`.
const SOCKET_ADDRESS_LEN_MAX: usize = 255;
