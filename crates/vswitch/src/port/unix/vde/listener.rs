//! Where VDE clients come in.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use super::super::listener::{listen_at, next_client};
use super::super::socket_path::{Access, PathError, SocketPath};
use super::VdePort;
use super::directory::{CONTROL, Directory};
use crate::poller::Source;
use crate::port::{Listener, Port};

/// A directory with a control socket on which VDE clients ask for ports.
#[derive(Debug)]
pub struct VdeListener {
    listener: UnixListener,
    access: Access,
    /// The number of the next client, which its socket's name has.
    next: u16,
    // What is in the directory goes before it does.
    _control: SocketPath,
    directory: Arc<Directory>,
}

impl VdeListener {
    /// Makes the directory `path`, or takes over a dead switch's, and listens in it. Who may use
    /// the control socket may make sockets in the directory.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn bind(path: &Path, access: Access) -> Result<Self, PathError> {
        let directory = Directory::take(path, access)?;
        let control = directory.told(CONTROL);
        let (listener, bound) =
            listen_at(&directory.place(CONTROL), access).map_err(|error| error.of(control))?;
        directory.remove_dead();
        directory.give(access)?;
        let directory = Arc::new(directory);
        Ok(Self { listener, access, next: 1, _control: bound, directory })
    }
}

impl Listener for VdeListener {
    fn source(&self) -> Source {
        Source { descriptor: self.listener.as_raw_fd(), generation: 0 }
    }

    fn accept(&mut self) -> io::Result<Option<Box<dyn Port>>> {
        let Some(client) = next_client(&self.listener)? else { return Ok(None) };
        let number = self.next;
        self.next = self.next.checked_add(1).unwrap_or(1);
        let directory = Arc::clone(&self.directory);
        Ok(Some(Box::new(VdePort::new(client, number, self.access, directory))))
    }
}
