//! Becoming another user on macOS.

use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::{Gid, Uid};

/// The command gets the user and its first group, and no others: nothing that a VM opens asks for
/// one.
pub(super) fn change(uid: Uid, gid: Gid, command: &mut Command) -> nix::Result<()> {
    if !Uid::effective().is_root() {
        return Err(nix::Error::EPERM);
    }
    command.gid(gid.as_raw()).uid(uid.as_raw());
    Ok(())
}
