//! Descriptors that the process was started with.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::sync::Mutex;

use nix::sys::socket::{SockType, getsockopt, sockopt};

use super::{DatagramPort, StreamPort, sys};
use crate::port::Port;

/// A descriptor that cannot be a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritedError {
    /// Standard input, output and error are not for frames.
    #[error("descriptor {number} is a standard one; pass the socket as 3 or above")]
    Standard {
        /// The number.
        number: RawFd,
    },
    /// The same number twice.
    #[error("descriptor {number} is a port already")]
    Twice {
        /// The number.
        number: RawFd,
    },
    /// Opened by this process itself.
    #[error(
        "descriptor {number} was not passed to the switch (start it with the socket open there)"
    )]
    NotInherited {
        /// The number.
        number: RawFd,
    },
    /// Not open, or not a socket.
    #[error(
        "descriptor {number}: {source} (it must be open in the process that starts the switch)"
    )]
    Os {
        /// The number.
        number: RawFd,
        /// What the system said.
        source: io::Error,
    },
    /// A socket of a type that carries no frames.
    #[error(
        "descriptor {number} is a socket of type {kind:?}; SOCK_DGRAM or SOCK_STREAM is needed"
    )]
    Type {
        /// The number.
        number: RawFd,
        /// What it is.
        kind: SockType,
    },
}

/// The numbers taken over so far in this process.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Makes a port of the inherited socket `number`: a datagram socket carries a frame in each
/// datagram, a stream socket [length-prefixed frames](crate::framing).
///
/// # Errors
/// [`InheritedError`].
pub fn inherit(number: RawFd) -> Result<Box<dyn Port>, InheritedError> {
    if number <= 2 {
        return Err(InheritedError::Standard { number });
    }
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(InheritedError::Twice { number });
    }
    let os = |source| InheritedError::Os { number, source };
    if !sys::is_inheritable(number).map_err(os)? {
        return Err(InheritedError::NotInherited { number });
    }
    let socket = sys::take_over(number).map_err(os)?;
    let port = port_on(socket, number)?;
    taken.insert(number);
    Ok(port)
}

fn port_on(socket: OwnedFd, number: RawFd) -> Result<Box<dyn Port>, InheritedError> {
    let os = |errno: nix::Error| InheritedError::Os { number, source: errno.into() };
    match getsockopt(&socket, sockopt::SockType).map_err(os)? {
        SockType::Datagram => Ok(Box::new(DatagramPort::new(socket))),
        SockType::Stream => Ok(Box::new(StreamPort::new(socket))),
        kind => Err(InheritedError::Type { number, kind }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};
    use std::os::unix::net::UnixDatagram;

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    #[test]
    fn only_open_sockets_above_two_and_each_once() {
        assert!(matches!(inherit(1), Err(InheritedError::Standard { number: 1 })));
        assert!(matches!(inherit(999_999), Err(InheritedError::Os { .. })));
        let file = std::fs::File::open("/dev/null").unwrap();
        fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let file = file.into_raw_fd();
        assert!(matches!(inherit(file), Err(InheritedError::Os { .. })), "no socket");
        let (near, _far) = UnixDatagram::pair().unwrap();
        let number = near.as_raw_fd();
        assert!(matches!(inherit(number), Err(InheritedError::NotInherited { .. })), "our own");
        near.send(b"still open").unwrap();
        fcntl(&near, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let _ = near.into_raw_fd();
        let _port = inherit(number).unwrap();
        assert!(matches!(inherit(number), Err(InheritedError::Twice { .. })));
    }
}
