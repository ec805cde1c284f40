//! macOS.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use nix::unistd::Gid;
use vswitch::port::xnu::{BUFFERS, set_buffers};
use xnu_sys::{Descriptor, Host, SyscallError, UnixSocket};

/// What makes ports and uplinks here.
pub type HostPlatform = crate::xnu::HostXnu;

/// A network card without a switch yet: the switch's end of a pair of datagram sockets, and the
/// virtual machine's. Neither is passed on to other programs.
///
/// Both have large buffers already, as Virtualization.framework wants the end that it is given
/// (`VZFileHandleNetworkDeviceAttachment`): by default a queue holds two frames.
///
/// # Errors
/// When the process or the system has no descriptor left.
pub fn card_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = UnixDatagram::pair()?;
    Ok((enlarged(ours.into())?, enlarged(theirs.into())?))
}

fn enlarged(socket: OwnedFd) -> io::Result<OwnedFd> {
    let socket = Descriptor::<Host, UnixSocket>::new(Host, Host.adopt(socket));
    set_buffers(&socket, BUFFERS).map_err(|SyscallError { errno, .. }| errno)?;
    Ok(socket.into_fd())
}

/// Makes this process's groups those of a user, or `group` alone.
pub(crate) fn take_on_groups(user: Option<&CStr>, group: Gid) -> io::Result<()> {
    Ok(Host.take_on_groups(user, group.as_raw())?)
}
