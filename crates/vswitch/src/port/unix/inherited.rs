//! Descriptors that the process was started with.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

use nix::sys::socket::{SockType, getsockopt, sockopt};
use socket2::SockRef;

use super::{StreamPort, descriptor};

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
    /// A socket that leads to another host.
    #[error("descriptor {number} is no unix socket")]
    NotUnix {
        /// The number.
        number: RawFd,
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

/// What a descriptor that was passed on is.
#[derive(Debug)]
pub enum Inherited {
    /// A datagram socket, each of whose datagrams is a frame. The port on it is the platform's.
    Datagram(OwnedFd),
    /// A stream of [length-prefixed frames](crate::framing).
    Stream(StreamPort),
}

/// Takes over the inherited socket `number`, which is closed with what is returned.
///
/// # Errors
/// [`InheritedError`].
pub fn inherit(number: RawFd) -> Result<Inherited, InheritedError> {
    if number <= 2 {
        return Err(InheritedError::Standard { number });
    }
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if taken.contains(&number) {
        return Err(InheritedError::Twice { number });
    }
    let os = |source| InheritedError::Os { number, source };
    if !descriptor::is_inheritable(number).map_err(os)? {
        return Err(InheritedError::NotInherited { number });
    }
    let inherited = of_type(descriptor::take_over(number).map_err(os)?)?;
    taken.insert(number);
    Ok(inherited)
}

/// Takes a connected socket that somebody gave this process while it runs.
///
/// # Errors
/// [`InheritedError`]; it is closed then.
pub fn given(socket: OwnedFd) -> Result<Inherited, InheritedError> {
    let number = socket.as_raw_fd();
    let os = |source| InheritedError::Os { number, source };
    let address = SockRef::from(&socket).local_addr().map_err(os)?;
    if !address.is_unix() {
        return Err(InheritedError::NotUnix { number });
    }
    of_type(socket)
}

fn of_type(socket: OwnedFd) -> Result<Inherited, InheritedError> {
    let number = socket.as_raw_fd();
    let os = |source| InheritedError::Os { number, source };
    match getsockopt(&socket, sockopt::SockType).map_err(|errno| os(errno.into()))? {
        SockType::Datagram => Ok(Inherited::Datagram(socket)),
        SockType::Stream => Ok(Inherited::Stream(StreamPort::new(socket))),
        kind => Err(InheritedError::Type { number, kind }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::IntoRawFd;
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
