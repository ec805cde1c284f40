//! `unixgram:PATH` on a Mac: a datagram socket bound at a path, for one VM (vfkit, krunkit, QEMU).
//!
//! The peer's address is learnt from its first datagram, and the socket is connected back to it, so
//! that no path is resolved per frame. What follows from XNU `bsd/kern/uipc_usrreq.c`:
//!
//! - A connected datagram socket still hears everyone. Who may open the path is the VM.
//! - No event tells that the peer went: the next write, or a look, says `ECONNRESET` once. Then the
//!   learnt path is tried again from time to time, and whoever sends takes its place.

use std::fmt;
use std::path::{Path, PathBuf};

use xnu_sys::sys_socket::{MSG_DONTWAIT, MSG_PEEK};
use xnu_sys::{Descriptor, Errno, Host, Kernel, SocketAddress, SyscallError, UnixSocket, address};

use super::datagrams::{Datagrams, Look, is_gone};
use super::next_look;
use crate::counters::DropReason;
use crate::poller::Source;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// What the path of a port's socket is to the port: who may be connected to, and who is remembered
/// for a switch that is started again after it was killed. Dropped, the path is taken away.
pub trait Place: fmt::Debug + Send {
    /// The path, for people.
    fn path(&self) -> &Path;

    /// The peer that a killed switch left.
    fn remembered(&self) -> Option<PathBuf> {
        None
    }

    /// Remembers a peer, or none.
    fn remember(&mut self, _peer: Option<&Path>) {}

    /// Has `connect` connect to the socket at `peer`, a path that a peer says is its own: by that
    /// path, or by another name of the same socket.
    ///
    /// # Errors
    /// [`Unreached`]: what `connect` says, or why it was not asked.
    fn reach(
        &self,
        peer: &Path,
        connect: &mut dyn FnMut(&Path) -> Result<(), Errno>,
    ) -> Result<(), Unreached> {
        Ok(connect(peer)?)
    }
}

/// Why a peer was not connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// Nobody is there any more.
    Dead,
    /// Something else stands against it, in words.
    Refused(String),
}

impl From<Errno> for Unreached {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ECONNREFUSED => Self::Dead,
            errno => Self::Refused(errno.to_string()),
        }
    }
}

/// A port that speaks vfkit's, krunkit's and QEMU's unix datagrams.
#[derive(Debug)]
pub struct UnixgramPort<K: Kernel = Host> {
    datagrams: Datagrams<K>,
    peer: Peer,
    place: Box<dyn Place>,
    /// A peer to which the switch could not connect was told of already.
    warned: bool,
}

#[derive(Debug)]
enum Peer {
    /// Nobody has sent yet.
    Unknown,
    /// The socket is connected to it.
    Connected(SocketAddress),
    /// It was there; it is looked for at its path, and whoever sends takes its place.
    Lost(SocketAddress),
}

/// How many datagrams of unusable senders one call looks at.
const STRANGERS_PER_CALL: usize = 32;

impl<K: Kernel> UnixgramPort<K> {
    /// A port on `socket`, which is bound at `place`'s path.
    ///
    /// # Errors
    /// When it is no socket.
    pub fn new(
        socket: Descriptor<K, UnixSocket>,
        place: Box<dyn Place>,
    ) -> Result<Self, SyscallError> {
        let left = place.remembered();
        let left =
            left.and_then(|path| address::unix_path(path.as_os_str().as_encoded_bytes()).ok());
        let peer = left.map_or(Peer::Unknown, Peer::Lost);
        Ok(Self { datagrams: Datagrams::new(socket)?, peer, place, warned: false })
    }

    /// Looks at who sent the first datagram that waits, and connects to them. `None` when
    /// connected.
    fn learn_peer(&mut self, inbox: &mut Inbox<'_>) -> Option<Received> {
        for _ in 0..STRANGERS_PER_CALL {
            let sender = match self.peek_sender() {
                Ok(sender) => sender,
                Err(Errno::EAGAIN | Errno::EINTR) => return Some(Received::Drained),
                // The last word on a peer that went: said once.
                Err(errno) if is_gone(errno) => return Some(Received::More),
                Err(errno) => return Some(Received::Gone(Gone::Os(errno.into()))),
            };
            if address::unix_path_of(sender.as_bytes()).is_none_or(<[u8]>::is_empty) {
                self.take_strange(inbox);
                self.warn("a peer has no address to answer to: it must bind its socket to a path");
                continue;
            }
            match self.connect(&sender) {
                Ok(()) => {
                    let path = path_of(&sender);
                    tracing::debug!(path = %self.path_text(), peer = ?path, "peer learnt");
                    self.place.remember(path.filter(|path| path.is_absolute()));
                    self.peer = Peer::Connected(sender);
                    self.warned = false;
                    return None;
                }
                // It has gone since; what it said before is passed on.
                Err(Unreached::Dead) => return Some(self.receive_now(inbox)),
                Err(Unreached::Refused(why)) => {
                    self.take_strange(inbox);
                    self.warn(&format!("cannot connect to the peer at {sender:?}: {why}"));
                }
            }
        }
        Some(Received::More)
    }

    fn peek_sender(&self) -> Result<SocketAddress, Errno> {
        let mut sender = SocketAddress::EMPTY;
        let socket = self.datagrams.socket();
        let flags = MSG_DONTWAIT | MSG_PEEK;
        socket.kernel().recvfrom(socket.fd(), &mut [0; 1], flags, Some(&mut sender))?;
        Ok(sender)
    }

    /// Takes a datagram of a sender to whom nothing can be answered, and counts it.
    fn take_strange(&self, inbox: &mut Inbox<'_>) {
        let socket = self.datagrams.socket();
        let mut room = [0; 2048];
        if let Ok(len) = socket.kernel().recvfrom(socket.fd(), &mut room, MSG_DONTWAIT, None) {
            inbox.reject(DropReason::NoAddress, len);
        }
    }

    fn connect(&self, peer: &SocketAddress) -> Result<(), Unreached> {
        let socket = self.datagrams.socket();
        let Some(path) = path_of(peer) else {
            return Err(Unreached::Refused("its address is no path".to_owned()));
        };
        self.place.reach(path, &mut |name| {
            let name = address::unix_path(name.as_os_str().as_encoded_bytes());
            let name = name.map_err(|_| Errno::ENAMETOOLONG)?;
            let connect = || socket.kernel().connect(socket.fd(), name.as_bytes());
            match connect() {
                // What was still to be said of the peer before; it is said once (`connectit` in XNU
                // `bsd/kern/uipc_syscalls.c`).
                Err(Errno::ECONNRESET) => connect(),
                connected => connected,
            }
        })
    }

    fn receive_now(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match self.datagrams.receive(inbox) {
            Ok(received) => received,
            Err(errno) if is_gone(errno) => {
                self.lose_peer();
                Received::More
            }
            Err(errno) => Received::Gone(Gone::Os(errno.into())),
        }
    }

    /// The peer does not answer any more: tries its path once, then waits for it or another.
    /// Whether it is there again.
    fn lose_peer(&mut self) -> bool {
        let (Peer::Connected(address) | Peer::Lost(address)) = self.peer else { return false };
        let is_there = self.connect(&address).is_ok();
        self.peer = if is_there { Peer::Connected(address) } else { Peer::Lost(address) };
        is_there
    }

    fn warn(&mut self, what: &str) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(path = %self.path_text(), "{what}");
        }
    }

    fn path_text(&self) -> impl fmt::Display {
        self.place.path().display()
    }
}

impl<K: Kernel> Port for UnixgramPort<K> {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.datagrams.socket().number(), generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        if !matches!(self.peer, Peer::Connected(_))
            && let Some(received) = self.learn_peer(inbox)
        {
            return received;
        }
        self.receive_now(inbox)
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        if !matches!(self.peer, Peer::Connected(_)) {
            return Sent::until(0, SendFault::NoPeer);
        }
        let first = self.datagrams.send(outbox);
        let result = match first {
            Err(errno) if is_gone(errno) && self.lose_peer() => self.datagrams.send(outbox),
            first => first,
        };
        match result {
            Ok(sent) => sent,
            Err(errno) if is_gone(errno) => Sent::until(0, SendFault::NoPeer),
            Err(errno) => Sent::until(0, SendFault::Gone(Gone::Os(errno.into()))),
        }
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        match self.peer {
            Peer::Unknown => {}
            Peer::Connected(_) => {
                if let Look::Broken(errno) = self.datagrams.look()
                    && is_gone(errno)
                {
                    tracing::debug!(path = %self.path_text(), "peer lost");
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

fn path_of(address: &SocketAddress) -> Option<&Path> {
    let bytes = address::unix_path_of(address.as_bytes())?;
    std::str::from_utf8(bytes).ok().filter(|path| !path.is_empty()).map(Path::new)
}
