//! macOS.

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;

use crate::config::Configuration;
use crate::doctor::xnu::Asker;
use crate::doctor::{self, Finding};
use crate::xnu::this_process;
use ifctl::{Interfaces, Reaped, Tag};
use nix::unistd::{Gid, Uid, User};
use vswitch::port::xnu::{BUFFERS, set_buffers};
use xnu_sys::{Descriptor, Host, SyscallError, UnixSocket};

/// What makes ports and uplinks here.
pub type HostPlatform = crate::xnu::HostXnu;

/// Takes away the interfaces that dead switches left behind, and only those: what one made says
/// whose it is ([`Tag`]).
///
/// # Errors
/// [`ifctl::Error`], such as without root; what was taken away before stays so.
pub fn reap() -> Result<Vec<(String, Tag)>, ifctl::Error> {
    let is_alive = this_process().is_alive;
    let reaped = Interfaces::open()?.reap_orphans(|owner| is_alive(owner))?;
    Ok(reaped.into_iter().map(|Reaped { name, tag }| (name, tag)).collect())
}

/// What [`reap`] would take away.
///
/// # Errors
/// [`ifctl::Error`].
pub fn leftovers() -> Result<Vec<(String, Tag)>, ifctl::Error> {
    let is_alive = this_process().is_alive;
    let mut tagged = Interfaces::open()?.tagged()?;
    tagged.retain(|(_, tag)| !is_alive(tag.owner()));
    Ok(tagged)
}

/// Looks at what `wanted` stands on, or, without, at what the switches that run stand on, and at
/// this Mac.
#[must_use]
pub fn examine(wanted: Option<&Configuration>) -> Vec<Finding> {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten();
    let is_alive = this_process().is_alive;
    let asker = Asker {
        user: user.map_or_else(|| uid.to_string(), |user| user.name),
        is_root: uid.is_root(),
        is_alive: &|owner| is_alive(owner),
    };
    let mut findings = doctor::xnu::examine(&Host, &asker, wanted);
    findings.extend(doctor::sockets::examine(wanted));
    findings
}

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
