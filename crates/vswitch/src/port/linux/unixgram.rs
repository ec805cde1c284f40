//! `unixgram:PATH`: a datagram socket bound at a path, for one VM.
//!
//! The peer's address is learnt from its first datagram, and the socket is connected back to it, so
//! that the kernel bounds the queue by the sender's buffer instead of by `net.unix.max_dgram_qlen`
//! (where the peer is connected too), tells by EPOLLOUT when there is room (late; see `room`), and
//! resolves no path per frame. What follows from af_unix.c:
//!
//! - A connected socket answers any other sender with EPERM, also while its peer is dead, and no
//!   event tells of that death. So the port connects again to the learnt path from time to time:
//!   that finds a new socket there, and changes nothing when it is still the same one. Where the
//!   path is dead, the port disconnects and hears everyone again.
//! - An empty datagram would tell as well, but makes QEMU stop reading for good: none is ever sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{MsgFlags, recv};
use socket2::Type;

use super::datagram::{fault, received};
use super::mmsg::Mmsg;
use super::peer_connect;
use super::room::Room;
use super::sys::{self, PeerAddress};
use crate::counters::DropReason;
use crate::poller::Source;
use crate::port::unix::peer_record::PeerRecord;
use crate::port::unix::socket_path::SocketPath;
use crate::port::unix::{Access, PathError, socket_buffers};
use crate::port::upkeep::next_look;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// A port that speaks vfkit's, krunkit's and QEMU's unix datagrams.
#[derive(Debug)]
pub struct UnixgramPort {
    path: SocketPath,
    socket: OwnedFd,
    mmsg: Mmsg,
    room: Room,
    peer: Peer,
    record: PeerRecord,
    /// A peer to which the switch could not connect was told of already.
    warned: bool,
}

#[derive(Debug)]
enum Peer {
    /// Nobody has sent yet.
    Unknown,
    /// The socket is connected to it.
    Connected(PeerAddress),
    /// It was there; it is looked for at its path, and whoever sends takes its place.
    Lost(PeerAddress),
}

/// How many datagrams of unusable senders one call looks at.
const STRANGERS_PER_CALL: usize = 32;

impl UnixgramPort {
    /// Binds `path` and waits for a peer there.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn bind(path: &Path, access: Access) -> Result<Self, PathError> {
        let (socket, path) = SocketPath::bind(path, Type::DGRAM, access)?;
        let room = Room::of(socket_buffers::enlarge(&socket));
        let record = PeerRecord::beside(path.as_path());
        let left = record.peer().and_then(PeerAddress::at);
        let peer = left.map_or(Peer::Unknown, Peer::Lost);
        Ok(Self { path, socket, mmsg: Mmsg::default(), room, peer, record, warned: false })
    }

    /// Looks at who sent the first datagram that waits, and connects to them. `None` when
    /// connected.
    fn learn_peer(&mut self, inbox: &mut Inbox<'_>) -> Option<Received> {
        for _ in 0..STRANGERS_PER_CALL {
            let sender = match sys::peek_sender(self.socket.as_fd()) {
                Ok(sender) => sender,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Some(Received::Drained);
                }
                Err(error) => return Some(received(Err(error))),
            };
            let Some(address) = sender else {
                self.take_strange(inbox, DropReason::NoAddress);
                self.warn("a peer has no address to answer to: it must bind its socket to a path");
                continue;
            };
            match self.connect(&address) {
                Ok(()) => {
                    tracing::debug!(path = %self.path_text(), peer = %address, "peer learnt");
                    self.record.remember(address.file().filter(|path| path.is_absolute()));
                    self.peer = Peer::Connected(address);
                    self.warned = false;
                    return None;
                }
                // It has gone since; what it said before is passed on.
                Err(error) if is_dead(&error) => {
                    return Some(received(self.mmsg.receive(self.socket.as_fd(), inbox)));
                }
                Err(error) => {
                    self.take_strange(inbox, DropReason::NoAddress);
                    self.warn(&format!("cannot connect to the peer at {address}: {error}"));
                }
            }
        }
        Some(Received::More)
    }

    fn connect(&self, peer: &PeerAddress) -> io::Result<()> {
        peer_connect::connect(self.socket.as_fd(), peer, self.path.owner())
    }

    /// Takes a datagram of a sender to whom nothing can be answered, and counts it.
    fn take_strange(&self, inbox: &mut Inbox<'_>, reason: DropReason) {
        let mut first = [0_u8; 1];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        if let Ok(len) = recv(self.socket.as_raw_fd(), &mut first, flags) {
            inbox.reject(reason, len);
        }
    }

    /// The peer does not answer any more: tries its path once, then waits for it or another.
    /// Whether it is there again.
    fn lose_peer(&mut self) -> bool {
        let (Peer::Connected(address) | Peer::Lost(address)) = self.peer else { return false };
        if self.connect(&address).is_ok() {
            self.peer = Peer::Connected(address);
            return true;
        }
        self.peer = Peer::Lost(address);
        // Disconnecting empties the queue: what the peer sent before it went is read first.
        if self.is_drained()
            && let Err(error) = sys::disconnect(self.socket.as_fd())
        {
            tracing::warn!(path = %self.path_text(), %error, "cannot let go of a peer that went");
        }
        false
    }

    fn is_drained(&self) -> bool {
        sys::peek_sender(self.socket.as_fd()).is_err()
    }

    fn warn(&mut self, what: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(path = %self.path_text(), "{what}");
        }
    }

    fn path_text(&self) -> impl std::fmt::Display {
        self.path.as_path().display()
    }
}

impl Port for UnixgramPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.socket.as_raw_fd(), generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        if !matches!(self.peer, Peer::Connected(_))
            && let Some(received) = self.learn_peer(inbox)
        {
            return received;
        }
        received(self.mmsg.receive(self.socket.as_fd(), inbox))
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        if !matches!(self.peer, Peer::Connected(_)) {
            return Sent::until(0, SendFault::NoPeer);
        }
        let first = self.mmsg.send(self.socket.as_fd(), outbox);
        let result = match first.as_ref().map_err(fault) {
            Err(SendFault::NoPeer) if self.lose_peer() => {
                self.mmsg.send(self.socket.as_fd(), outbox)
            }
            _ => first,
        };
        self.room.sent(&self.socket, result)
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        match self.peer {
            Peer::Unknown => {}
            Peer::Connected(address) => {
                if self.connect(&address).is_err() {
                    tracing::debug!(path = %self.path_text(), peer = %address, "peer lost");
                    self.lose_peer();
                }
            }
            Peer::Lost(_) => {
                self.lose_peer();
            }
        }
        Ok(next_look(now))
    }
}

/// Whether nobody listens at a path any more.
fn is_dead(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ENOENT))
}
