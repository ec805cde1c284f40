//! `AF_UNIX` datagram sockets (XNU `bsd/kern/uipc_usrreq.c`, contract §7).
//!
//! Stream sockets are not modelled: they are POSIX, and are proven on real kernels.

mod buffer;
mod limits;
mod messages;
mod names;
mod options;
mod readiness;

use std::collections::{BTreeMap, BTreeSet};

use xnu_sys::Errno;

use crate::errno::{
    EAGAIN, ECONNRESET, EDESTADDRREQ, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EPIPE, EPROTONOSUPPORT,
    Result,
};
use crate::machine::Machine;
use crate::object::Object;
pub(crate) use buffer::Space;
use buffer::{MadeBy, Mbufs, ReceiveBuffer};

const SOCK_DGRAM: i32 = 2;

/// The address of a sender without a name (`sun_noname`): 16 bytes, `AF_LOCAL`.
const NO_NAME: [u8; 16] = [16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[derive(Debug)]
pub(crate) struct UnixSockets {
    sockets: BTreeMap<u32, Socket>,
    next: u32,
    /// The sockets in the file system: path, and the socket while it is open.
    names: BTreeMap<Vec<u8>, Option<u32>>,
    mbufs: Mbufs,
}

impl UnixSockets {
    pub(crate) fn new(has_big_mbufs: bool) -> Self {
        Self {
            sockets: BTreeMap::new(),
            next: 0,
            names: BTreeMap::new(),
            mbufs: Mbufs { are_big: has_big_mbufs },
        }
    }

    fn of(&mut self, id: u32) -> Result<&mut Socket> {
        self.sockets.get_mut(&id).ok_or(EINVAL)
    }

    fn set_peer(&mut self, id: u32, peer: Option<u32>) -> Result<()> {
        if let Some(before) = std::mem::replace(&mut self.of(id)?.peer, peer) {
            self.of(before)?.connected.remove(&id);
        }
        if let Some(peer) = peer {
            self.of(peer)?.connected.insert(id);
        }
        Ok(())
    }

    /// The socket at the other end, if there is one.
    fn peer_of(&self, id: u32) -> Option<&Socket> {
        self.sockets.get(&self.sockets.get(&id)?.peer?)
    }
}

#[derive(Debug)]
struct Socket {
    /// The address that it was bound to, as the caller gave it.
    name: Option<Vec<u8>>,
    /// Where what it sends goes. It may receive from any other socket nevertheless.
    peer: Option<u32>,
    /// The sockets that are connected to this one (`unp_refs`).
    connected: BTreeSet<u32>,
    /// `so_error`: given once, by whatever call comes first.
    error: Option<Errno>,
    /// `SO_SNDBUF`, the biggest datagram that it sends.
    send_space: Space,
    /// `SO_SNDLOWAT`.
    send_lowat: u32,
    receive: ReceiveBuffer,
    is_send_shut: bool,
    is_receive_shut: bool,
    /// Options that are on or off, by their bits.
    options: u32,
    no_sigpipe: bool,
    /// How often blocked readers were woken.
    wakeups: u64,
}

impl Machine {
    pub(crate) fn unix_open(&mut self, kind: i32) -> Result<u32> {
        if kind != SOCK_DGRAM {
            return Err(EPROTONOSUPPORT);
        }
        let limits = self.limits();
        let unix = &mut self.unix;
        let (mut send_space, mut receive_space) = (Space::EMPTY, Space::EMPTY);
        send_space.reserve(limits.datagram_max, &limits)?;
        receive_space.reserve(limits.receive_space, &limits)?;
        let socket = Socket {
            name: None,
            peer: None,
            connected: BTreeSet::new(),
            error: None,
            send_space,
            send_lowat: 1,
            receive: ReceiveBuffer::new(receive_space),
            is_send_shut: false,
            is_receive_shut: false,
            options: 0,
            no_sigpipe: false,
            wakeups: 0,
        };
        let id = unix.next;
        unix.next += 1;
        unix.sockets.insert(id, socket);
        Ok(id)
    }

    pub(crate) fn unix_pair(&mut self, kind: i32) -> Result<(u32, u32)> {
        let pair = (self.unix_open(kind)?, self.unix_open(kind)?);
        self.unix.set_peer(pair.0, Some(pair.1))?;
        self.unix.set_peer(pair.1, Some(pair.0))?;
        Ok(pair)
    }

    /// `unp_detach`: who was connected here gets `ECONNRESET`, and nobody is woken (§7, C26).
    pub(crate) fn unix_close(&mut self, id: u32) {
        let _ = self.unix.set_peer(id, None);
        let Some(socket) = self.unix.sockets.remove(&id) else { return };
        if let Some(name) = socket.name {
            self.unix.forget_name(&name, id);
        }
        for other in socket.connected {
            if let Ok(other) = self.unix.of(other) {
                other.peer = None;
                other.error = Some(ECONNRESET);
            }
        }
    }

    /// The next datagram, whole, and who sent it (a socket address). It stays there with `peek`.
    pub(crate) fn unix_receive(&mut self, id: u32, peek: bool) -> Result<(Vec<u8>, Vec<u8>)> {
        let socket = self.unix.of(id)?;
        if peek && let Some(record) = socket.receive.peek() {
            return Ok((record.bytes.clone(), record.from.clone()));
        }
        let Some(record) = socket.receive.take() else {
            return socket.nothing_to_receive(peek);
        };
        self.unix_wake_writer(id);
        Ok((record.bytes, record.from))
    }

    /// One datagram, to an address or to the peer.
    pub(crate) fn unix_send(&mut self, id: u32, bytes: &[u8], to: Option<&[u8]>) -> Result<()> {
        self.unix_check_send(id, to.is_some())?;
        if bytes.len() as u64 > u64::from(self.unix.of(id)?.send_space.bytes_max) {
            return Err(EMSGSIZE);
        }
        self.unix_pass(id, bytes, to, MadeBy::Sosend)
    }

    /// `sosendcheck`, but for the size.
    fn unix_check_send(&mut self, id: u32, has_address: bool) -> Result<()> {
        let socket = self.unix.of(id)?;
        if socket.is_send_shut {
            return Err(EPIPE);
        }
        if let Some(errno) = socket.error.take() {
            return Err(errno);
        }
        if socket.peer.is_none() && !has_address {
            return Err(EDESTADDRREQ);
        }
        Ok(())
    }

    /// `uipc_send`: straight into the receiver's buffer. A full one is `ENOBUFS` at once.
    fn unix_pass(
        &mut self,
        id: u32,
        bytes: &[u8],
        to: Option<&[u8]>,
        made_by: MadeBy,
    ) -> Result<()> {
        let Some(to) = to else {
            let peer = self.unix.of(id)?.peer.ok_or(ENOTCONN)?;
            return self.unix_append(id, peer, bytes, made_by);
        };
        if self.unix.of(id)?.peer.is_some() {
            return Err(EISCONN);
        }
        // Connected for this one datagram, which wakes whoever waits on this socket.
        let peer = self.unix.resolve(to)?;
        self.unix.set_peer(id, Some(peer))?;
        self.unix_wake_own(id);
        let sent = self.unix_append(id, peer, bytes, made_by);
        self.unix.set_peer(id, None)?;
        sent
    }

    fn unix_append(&mut self, id: u32, peer: u32, bytes: &[u8], made_by: MadeBy) -> Result<()> {
        let from = self.unix.of(id)?.name.clone();
        let from = from.as_deref().unwrap_or(&NO_NAME);
        let mbufs = self.unix.mbufs;
        self.unix.of(peer)?.receive.append(from, bytes, made_by, mbufs)?;
        self.unix_wake_reader(peer);
        Ok(())
    }

    /// `shutdown(2)`: 0 of reading, 1 of writing, 2 of both. The peer is not told (M24).
    pub(crate) fn unix_shutdown(&mut self, id: u32, how: i32) -> Result<()> {
        let socket = self.unix.of(id)?;
        if !(0..=2).contains(&how) {
            return Err(EINVAL);
        }
        if socket.peer.is_none() {
            return Err(ENOTCONN);
        }
        if how != 1 {
            if socket.is_receive_shut {
                return Err(ENOTCONN);
            }
            socket.is_receive_shut = true;
            socket.receive.shut_down();
            self.unix_wake_reader(id);
        }
        let socket = self.unix.of(id)?;
        if how != 0 {
            if socket.is_send_shut {
                return Err(ENOTCONN);
            }
            socket.is_send_shut = true;
            self.activate_writers(Object::Unix(id));
        }
        Ok(())
    }

    fn unix_wake_reader(&mut self, id: u32) {
        if let Ok(socket) = self.unix.of(id) {
            socket.wakeups += 1;
        }
        self.activate_readers(Object::Unix(id));
    }

    fn unix_wake_own(&mut self, id: u32) {
        self.unix_wake_reader(id);
        self.activate_writers(Object::Unix(id));
    }

    /// `uipc_rcvd`: since 15.0 whoever reads wakes the writers of the socket that *it* is connected
    /// to (§7, M25), which need not be the one that sent.
    fn unix_wake_writer(&mut self, id: u32) {
        if !self.can.dgram_reader_wakes_writer {
            return;
        }
        if let Some(peer) = self.unix.of(id).ok().and_then(|socket| socket.peer) {
            self.activate_writers(Object::Unix(peer));
        }
    }

    /// How often a blocked reader of this socket was woken: it looks again only then (C26).
    pub(crate) fn unix_wakeups(&self, id: u32) -> u64 {
        self.unix.sockets.get(&id).map_or(u64::MAX, |socket| socket.wakeups)
    }
}

impl Socket {
    /// Reads give nothing any more, and no error.
    const fn is_at_end(&self) -> bool {
        self.is_receive_shut && self.error.is_none()
    }

    /// What a read of an empty buffer gives: a pending error once (it stays with `peek`), the end
    /// after `shutdown`, else `EAGAIN`.
    fn nothing_to_receive(&mut self, peek: bool) -> Result<(Vec<u8>, Vec<u8>)> {
        if let Some(errno) = self.error {
            if !peek {
                self.error = None;
            }
            return Err(errno);
        }
        if self.is_receive_shut {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(EAGAIN)
    }
}
