//! What the kernel tells of interfaces on its own: the rtnetlink group `RTNLGRP_LINK`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::attributes::{find, text_in, u32_in};
use super::message::{Message, messages};
use crate::{Call, Error};

/// Something happened to an interface.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InterfaceEvent {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name; a new one after it was renamed.
    pub name: String,
    /// The number of the bridge, or the like, that it belongs to.
    pub master: Option<u32>,
    /// What.
    pub change: Change,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// It is new, or something of it is: flags, MTU, master, name, carrier. The kernel tells what
    /// is, not what was.
    Changed,
    /// It is gone, or in another namespace.
    Gone,
    /// Events were lost: anything may have happened to any interface. Index and name are empty.
    Lost,
}

/// Events of the interfaces of one network namespace: that of the thread that opened it. Needs no
/// privilege.
///
/// ```
/// let mut events = ifctl::Events::open()?;
/// assert_eq!(events.next_event()?, None, "nothing happened since");
/// # Ok::<(), ifctl::Error>(())
/// ```
pub struct Events {
    socket: Socket,
    datagram: Vec<u8>,
    /// Told by the last datagram and not yet passed on, the first last.
    waiting: Vec<InterfaceEvent>,
}

impl Events {
    /// Begins to listen in the calling thread's namespace.
    ///
    /// # Errors
    /// The kernel has no socket for it.
    pub fn open() -> Result<Self, Error> {
        let refused = |source| Error::Refused { call: CALL, detail: None, source };
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.add_membership(libc::RTNLGRP_LINK)?;
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        let datagram = Vec::with_capacity(DATAGRAM_LEN_MAX);
        Ok(Self { socket: open().map_err(refused)?, datagram, waiting: Vec::new() })
    }

    /// The next event; `None` when there is none now. To wait for one, wait until the descriptor is
    /// readable.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn next_event(&mut self) -> Result<Option<InterfaceEvent>, Error> {
        loop {
            if let Some(event) = self.waiting.pop() {
                return Ok(Some(event));
            }
            self.datagram.clear();
            match self.socket.recv_from(&mut self.datagram, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
                // Nobody but the kernel is believed.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((len, _)) if len > self.datagram.len() => return Ok(Some(lost())),
                Ok(_) => {
                    self.waiting = told(&self.datagram);
                    self.waiting.reverse();
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    Some(libc::EINTR) => {}
                    // The socket's buffer was full; it is empty again after this.
                    Some(libc::ENOBUFS) => return Ok(Some(lost())),
                    _ => return Err(self.failed(error)),
                },
            }
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Refused { call: CALL, detail: None, source }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("socket", &self.socket).finish_non_exhaustive()
    }
}

fn lost() -> InterfaceEvent {
    InterfaceEvent { index: 0, name: String::new(), master: None, change: Change::Lost }
}

/// The events of one datagram, in their order. What is broken tells nothing.
fn told(datagram: &[u8]) -> Vec<InterfaceEvent> {
    let pieces = messages(datagram).map_while(Result::ok);
    pieces
        .filter_map(|received| match received.message {
            Message::Piece { kind, payload } => read(kind, payload),
            Message::Lost => Some(lost()),
            Message::End(_) | Message::Noop => None,
        })
        .collect()
}

/// Reads a message of type `kind`; nothing when it is about no interface.
fn read(kind: u16, payload: &[u8]) -> Option<InterfaceEvent> {
    // struct ifinfomsg: family, pad, type, index, flags, change.
    let (header, body) = payload.split_at_checked(HEADER_LEN)?;
    let change = match (kind, i32::from(header[0])) {
        (libc::RTM_NEWLINK, _) => Change::Changed,
        // A bridge tells so that a member left it (net/bridge/br_netlink.c): that is still there.
        (libc::RTM_DELLINK, libc::AF_BRIDGE) => Change::Changed,
        (libc::RTM_DELLINK, _) => Change::Gone,
        _ => return None,
    };
    let name = find(body, libc::IFLA_IFNAME).map(text_in).unwrap_or_default();
    let master = find(body, libc::IFLA_MASTER).and_then(u32_in).filter(|index| *index != 0);
    Some(InterfaceEvent { index: u32_in(&header[4..])?, name, master, change })
}

const CALL: Call = Call::OnSystem { what: "listen to changes of interfaces" };
const HEADER_LEN: usize = 16;
/// A link with all of a card's virtual functions is the longest message.
const DATAGRAM_LEN_MAX: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u16, family: u8, index: u32, name: &str) -> Vec<u8> {
        let mut payload = vec![0; HEADER_LEN];
        payload[0] = family;
        payload[4..8].copy_from_slice(&index.to_ne_bytes());
        payload.extend(u16::try_from(5 + name.len()).unwrap().to_ne_bytes());
        payload.extend(libc::IFLA_IFNAME.to_ne_bytes());
        payload.extend(name.bytes().chain([0]));
        payload.resize(payload.len().next_multiple_of(4), 0);
        payload.extend([8_u16.to_ne_bytes(), libc::IFLA_MASTER.to_ne_bytes()].concat());
        payload.extend(u32::from(family).to_ne_bytes());
        let len = u32::try_from(16 + payload.len()).unwrap();
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), [0; 2]].concat());
        bytes.extend([0; 8]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_datagram_tells_of_interfaces_in_their_order() {
        let datagram = [
            message(libc::RTM_NEWLINK, 0, 7, "br0"),
            message(libc::RTM_NEWADDR, 0, 7, "br0"),
            message(libc::RTM_DELLINK, 7, 8, "eth0"),
            message(libc::RTM_DELLINK, 0, 9, "vsw0"),
        ];
        let event = |index, name: &str, master, change| InterfaceEvent {
            index,
            name: name.to_owned(),
            master,
            change,
        };
        let expected = [
            event(7, "br0", None, Change::Changed),
            event(8, "eth0", Some(7), Change::Changed),
            event(9, "vsw0", None, Change::Gone),
        ];
        assert_eq!(told(&datagram.concat()), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_tell_something_or_nothing(
            bytes in prop::collection::vec(any::<u8>(), 0..256), cut in 0..80_usize
        ) {
            told(&bytes);
            let datagram = message(libc::RTM_NEWLINK, 0, 7, "br0");
            let cut = &datagram[..cut.min(datagram.len())];
            prop_assert!(told(cut).len() <= 1);
        }
    }
}
