//! `fd:N` on a Mac: one end of a datagram socketpair, whose other end a VM has.

use xnu_sys::{Descriptor, Host, Kernel, SyscallError, UnixSocket};

use super::datagrams::{Buffers, Datagrams, Look, is_gone};
use super::next_look;
use crate::poller::Source;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// A connected datagram socket, as Virtualization.framework's file-handle attachment takes its
/// other end.
///
/// No event tells that the VM closed its end: it shows by the next read or write, or by the look
/// that the port takes four times a second. What the VM sent before is passed on first.
#[derive(Debug)]
pub struct DatagramPort<K: Kernel = Host> {
    datagrams: Datagrams<K>,
    /// A write said so; what waits to be read is read before the port ends.
    peer_is_gone: bool,
}

impl<K: Kernel> DatagramPort<K> {
    /// A port on `socket`, whose buffers are enlarged; it is made non-blocking.
    ///
    /// # Errors
    /// When it is no socket.
    pub fn new(socket: Descriptor<K, UnixSocket>) -> Result<Self, SyscallError> {
        Ok(Self { datagrams: Datagrams::new(socket)?, peer_is_gone: false })
    }

    /// What the socket's buffers were granted.
    #[must_use]
    pub fn buffers(&self) -> Buffers {
        self.datagrams.buffers()
    }
}

impl<K: Kernel> Port for DatagramPort<K> {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.datagrams.socket().number(), generation: 0 })
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match self.datagrams.receive(inbox) {
            Ok(Received::Drained) if self.peer_is_gone => Received::Gone(Gone::Closed),
            Ok(received) => received,
            // Told only when the queue is empty (contract C26).
            Err(errno) if is_gone(errno) => Received::Gone(Gone::Closed),
            Err(errno) => Received::Gone(Gone::Os(errno.into())),
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        match self.datagrams.send(outbox) {
            Ok(sent) => sent,
            Err(errno) if is_gone(errno) => {
                self.peer_is_gone = true;
                match self.datagrams.look() {
                    Look::Waiting => Sent::until(0, SendFault::NoPeer),
                    _ => Sent::until(0, SendFault::Gone(Gone::Closed)),
                }
            }
            Err(errno) => Sent::until(0, SendFault::Gone(Gone::Os(errno.into()))),
        }
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        match self.datagrams.look() {
            Look::Waiting => Ok(next_look(now)),
            Look::Empty if !self.peer_is_gone => Ok(next_look(now)),
            _ => Err(Gone::Closed),
        }
    }
}
