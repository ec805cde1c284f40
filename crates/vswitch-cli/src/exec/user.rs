//! Becoming another user, where a process's groups can be set by name.

use std::process::Command;

use nix::unistd::{Gid, Uid, User, initgroups, setgid, setgroups, setuid};

/// This process, and so the command that it becomes, gets the user and all of its groups: a VM
/// needs kvm's.
pub(super) fn change(uid: Uid, gid: Gid, _: &mut Command) -> nix::Result<()> {
    match User::from_uid(uid) {
        Ok(Some(user)) => {
            let name = std::ffi::CString::new(user.name).unwrap_or_default();
            initgroups(&name, gid)
        }
        _ => setgroups(&[gid]),
    }
    .and_then(|()| setgid(gid))
    .and_then(|()| setuid(uid))
}
