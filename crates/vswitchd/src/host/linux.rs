//! Linux.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use nix::unistd::{Gid, initgroups, setgroups};

/// What makes ports and uplinks here.
pub type HostPlatform = crate::linux::Linux;

pub use crate::doctor::linux::examine;
pub use crate::linux::{leftovers, reap};

/// A network card without a switch yet: the switch's end of a pair of datagram sockets, and the
/// virtual machine's. Neither is passed on to other programs.
///
/// # Errors
/// When the process or the system has no descriptor left.
pub fn card_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    Ok((ours.into(), theirs.into()))
}

/// Makes this process's groups those of a user, or `group` alone.
pub(crate) fn take_on_groups(user: Option<&CStr>, group: Gid) -> io::Result<()> {
    let taken = match user {
        Some(user) => initgroups(user, group),
        None => setgroups(&[group]),
    };
    Ok(taken?)
}
