//! What kqueues see of a socket (XNU `bsd/kern/uipc_socket.c`, `filt_soread_common` and
//! `filt_sowrite_common`).

use crate::kqueue::Readiness;
use crate::machine::Machine;
use crate::unix::Socket;

impl Machine {
    /// `EVFILT_READ`: ready with an error that waits, after `shutdown`, or when payload *and
    /// addresses* reach the mark; says the payload of all datagrams (§7, M23).
    pub(crate) fn unix_readable(&mut self, id: u32, lowat: Option<u64>) -> Option<Readiness> {
        let socket = self.unix.of(id).ok()?;
        let payload = i64::try_from(socket.receive.payload_bytes()).unwrap_or(i64::MAX);
        if socket.is_receive_shut {
            return Some(socket.end(payload));
        }
        let mark = mark(lowat, socket.receive.lowat, socket.receive.space.bytes_max);
        let is_ready = socket.error.is_some() || socket.receive.charged_bytes() >= mark;
        is_ready.then(|| Readiness::with(payload))
    }

    /// `EVFILT_WRITE`: up to 12 it looks at the socket's own, ever empty, buffer; since 13 also at
    /// the peer's room, while there is a peer. The mark is cut to `SO_SNDBUF` (§7, C25, C26).
    pub(crate) fn unix_writable(&mut self, id: u32, lowat: Option<u64>) -> Option<Readiness> {
        let sees_peer = self.can.dgram_write_event_sees_peer;
        let peer_room = self.unix.peer_of(id).map(|peer| peer.receive.room());
        let socket = self.unix.of(id).ok()?;
        let own_room = u64::from(socket.send_space.bytes_max);
        if socket.is_send_shut {
            return Some(socket.end(signed(own_room)));
        }
        if socket.error.is_some() {
            return Some(Readiness::with(signed(own_room)));
        }
        let room = match peer_room {
            Some(room) if sees_peer => room.min(own_room),
            _ => own_room,
        };
        let mark = mark(lowat, socket.send_lowat, socket.send_space.bytes_max);
        (room >= mark).then(|| Readiness::with(signed(room)))
    }

    /// `FIONREAD`: addresses are counted too (M22).
    pub(crate) fn unix_bytes_to_read(&mut self, id: u32) -> u32 {
        let bytes = self.unix.of(id).map_or(0, |socket| socket.receive.charged_bytes());
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

impl Socket {
    fn end(&self, data: i64) -> Readiness {
        let fflags = self.error.map_or(0, |errno| errno.0.unsigned_abs());
        Readiness { data, is_end: true, fflags }
    }
}

/// The mark of `NOTE_LOWAT`, between the socket's own and its buffer's size.
fn mark(lowat: Option<u64>, own: u32, buffer: u32) -> u64 {
    match lowat {
        Some(lowat) if lowat > u64::from(buffer) => u64::from(buffer),
        Some(lowat) => lowat.max(u64::from(own)),
        None => u64::from(own),
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
