//! A socket that a client of the running switch gave, or was given the other end of.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// A connected socket for one port, `SOCK_DGRAM` or `SOCK_STREAM`. Copies are the same socket,
/// which can be taken once.
#[derive(Clone)]
pub struct GivenSocket(Arc<Mutex<Option<OwnedFd>>>);

impl GivenSocket {
    /// The socket, until a port takes it.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self(Arc::new(Mutex::new(Some(socket))))
    }

    /// The socket, if nobody took it yet.
    #[must_use]
    pub fn take(&self) -> Option<OwnedFd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl PartialEq for GivenSocket {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for GivenSocket {}

impl fmt::Debug for GivenSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GivenSocket").finish_non_exhaustive()
    }
}
