//! unshare(2), user_namespaces(7).

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid};

use crate::failure::{Failure, Result};

/// See `namespace::enter`.
pub(super) fn enter() -> Result<()> {
    move_in()?;
    // A new namespace's loopback is down. That it can be brought up also shows that this process
    // really has the rights there: some systems let anyone in and then deny everything.
    ifctl::Interfaces::open()
        .and_then(|mut interfaces| interfaces.set_up("lo", true))
        .map_err(|error| refused("bring lo up", error))
}

fn move_in() -> Result<()> {
    if Uid::effective().is_root() && unshare(CloneFlags::CLONE_NEWNET).is_ok() {
        return Ok(());
    }
    // An ordinary user, or root in a container that may not make a network namespace directly.
    let (user, group) = (Uid::effective(), Gid::effective());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| refused("unshare", errno))?;
    // The group map may be written only once setgroups(2) is given up.
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {user} 1"))?;
    write("/proc/self/gid_map", &format!("0 {group} 1"))
}

fn write(path: &str, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| refused(&format!("write {path}"), error))
}

fn refused(call: &str, why: impl std::fmt::Display) -> Failure {
    let hint = "are user namespaces switched off? see the sysctls user.max_user_namespaces, \
                kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns";
    Failure::new("enter a network namespace", format!("{call}: {why} ({hint})"))
}
