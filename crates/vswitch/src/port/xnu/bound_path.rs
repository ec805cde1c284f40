//! `unixgram:PATH` in a Mac's own file system.

use std::path::Path;

use xnu_sys::{Descriptor, Host, SyscallError};

use super::UnixgramPort;
use crate::port::unix::{Access, DatagramPlace, PathError};

impl UnixgramPort<Host> {
    /// Binds `path` and waits for a peer there.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn bind(path: &Path, access: Access) -> Result<Self, BindError> {
        let (socket, place) = DatagramPlace::bind(path, access)?;
        let socket = Descriptor::new(Host, Host.adopt(socket));
        Ok(Self::new(socket, Box::new(place))?)
    }
}

/// A path at which no port can be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SyscallError),
}
