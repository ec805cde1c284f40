//! `stream:PATH`: a listener, each of whose clients is a port.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::socket::{Backlog, listen};
use socket2::Type;

use super::StreamPort;
use super::socket_path::{Access, PathError, SocketPath};
use crate::poller::Source;
use crate::port::{Listener, Port};

/// A unix stream socket that listens at a path.
#[derive(Debug)]
pub struct StreamListener {
    _path: SocketPath,
    listener: UnixListener,
}

impl StreamListener {
    /// Binds `path` and listens there.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn bind(path: &Path, access: Access) -> Result<Self, PathError> {
        let (listener, bound) = listen_at(path, access)?;
        Ok(Self { _path: bound, listener })
    }
}

/// Binds a stream socket to `path` and listens there, without blocking; with what removes the path
/// when it is dropped.
///
/// # Errors
/// [`PathError`].
pub fn listen_at(path: &Path, access: Access) -> Result<(UnixListener, SocketPath), PathError> {
    let (socket, bound) = SocketPath::bind(path, Type::STREAM, access)?;
    listen(&socket, Backlog::MAXCONN).map_err(|errno| PathError::Os {
        call: "listen at",
        path: path.to_owned(),
        source: errno.into(),
    })?;
    Ok((UnixListener::from(socket), bound))
}

impl Listener for StreamListener {
    fn source(&self) -> Source {
        Source { descriptor: self.listener.as_raw_fd(), generation: 0 }
    }

    fn accept(&mut self) -> io::Result<Option<Box<dyn Port>>> {
        let client = next_client(&self.listener)?;
        Ok(client.map(|client| Box::new(StreamPort::new(client)) as Box<dyn Port>))
    }
}

/// The next client of a non-blocking listener; `None` when there is none now.
pub(super) fn next_client(listener: &UnixListener) -> io::Result<Option<OwnedFd>> {
    match listener.accept() {
        Ok((client, _)) => Ok(Some(OwnedFd::from(client))),
        Err(error) => match error.kind() {
            // A client that went before it was taken is nobody's fault.
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted => Ok(None),
            _ => Err(error),
        },
    }
}
