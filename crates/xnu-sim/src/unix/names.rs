//! Names: a table stands for the file system, in which every directory exists.

use crate::copyio::Raw;
use crate::errno::{EADDRINUSE, EAFNOSUPPORT, ECONNREFUSED, EINVAL, ENAMETOOLONG, ENOENT, Result};
use crate::machine::Machine;
use crate::unix::UnixSockets;

const AF_UNIX: u8 = 1;
/// `SOCK_MAXADDRLEN`.
const ADDRESS_LEN_MAX: usize = 255;

/// A caller's address as the kernel has it (`getsockaddr`): its length byte is the length given.
fn taken_in(address: &[u8]) -> Result<Vec<u8>> {
    let len = u8::try_from(address.len()).map_err(|_| ENAMETOOLONG)?;
    if address.len() < 2 {
        return Err(EINVAL);
    }
    let mut address = address.to_vec();
    address[0] = len;
    Ok(address)
}

/// The path in a unix address: what is before its first zero.
fn path_of(address: &[u8]) -> Result<Vec<u8>> {
    let family = address.u8_at(1);
    if family != 0 && family != AF_UNIX {
        return Err(EAFNOSUPPORT);
    }
    let path = address.get(2..).unwrap_or_default();
    if path.is_empty() || path.len() >= ADDRESS_LEN_MAX {
        return Err(EINVAL);
    }
    Ok(path.iter().take_while(|byte| **byte != 0).copied().collect())
}

impl UnixSockets {
    /// The socket that an address leads to.
    pub(super) fn resolve(&self, address: &[u8]) -> Result<u32> {
        let path = path_of(&taken_in(address)?)?;
        self.names.get(&path).ok_or(ENOENT)?.ok_or(ECONNREFUSED)
    }

    /// A socket is closed: its name stays in the file system and leads nowhere.
    pub(super) fn forget_name(&mut self, address: &[u8], id: u32) {
        let Ok(path) = path_of(address) else { return };
        if let Some(socket) = self.names.get_mut(&path)
            && *socket == Some(id)
        {
            *socket = None;
        }
    }
}

impl Machine {
    pub(crate) fn unix_bind(&mut self, id: u32, address: &[u8]) -> Result<()> {
        let address = taken_in(address)?;
        let socket = self.unix.of(id)?;
        let is_shut = socket.is_send_shut && socket.is_receive_shut;
        if address[1] != 0 && address[1] != AF_UNIX {
            return Err(EAFNOSUPPORT);
        }
        if socket.name.is_some() || is_shut {
            return Err(EINVAL);
        }
        let path = path_of(&address)?;
        if path.is_empty() {
            return Err(ENOENT);
        }
        if self.unix.names.contains_key(&path) {
            return Err(EADDRINUSE);
        }
        self.unix.of(id)?.name = Some(address);
        self.unix.names.insert(path, Some(id));
        Ok(())
    }

    /// Connects, or connects to another. The connection before ends even when this fails; and an
    /// error that was pending comes out although the socket is connected then (`connectit`).
    pub(crate) fn unix_connect(&mut self, id: u32, address: &[u8]) -> Result<()> {
        taken_in(address)?;
        self.unix.set_peer(id, None)?;
        let peer = self.unix.resolve(address)?;
        self.unix.set_peer(id, Some(peer))?;
        self.unix_wake_own(id);
        self.unix.of(id)?.error.take().map_or(Ok(()), Err)
    }

    /// `unlink(2)` of a socket's path; the socket stays as it is.
    pub(crate) fn unix_unlink(&mut self, path: &[u8]) -> Result<()> {
        self.unix.names.remove(path).map(drop).ok_or(ENOENT)
    }
}
