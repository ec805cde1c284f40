//! Which process an interface belongs to, and whether that is alive.

use std::fs;
use std::io;
use std::os::linux::fs::MetadataExt as _;

use ifctl::Owner;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// This process.
pub(super) fn this_process() -> Owner {
    let pid = std::process::id();
    Owner { pid, started: started(pid).unwrap_or(0) }
}

/// Whether a process is alive; true where that cannot be known, since it is one of another PID
/// namespace.
pub(crate) fn is_alive(owner: Owner) -> bool {
    let Some(namespace) = pid_namespace() else { return true };
    if owner.started >> 32 != namespace {
        return true;
    }
    match fs::read_to_string(format!("/proc/{}/stat", owner.pid)) {
        Ok(stat) => started_in(&stat) == Some(owner.started),
        // Not there: or hidden from this user, whom the kernel tells so by a signal.
        Err(error) if error.kind() == io::ErrorKind::NotFound => !is_nobodys(owner.pid),
        Err(_) => true,
    }
}

/// Whether no process has this number.
fn is_nobodys(pid: u32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    kill(pid, None) == Err(nix::Error::ESRCH)
}

/// When a process began, if it is alive.
fn started(pid: u32) -> Option<u64> {
    started_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The low half of a process's start in clock ticks, below the number of this PID namespace, so
/// that a process is not taken for one of another namespace.
fn started_in(stat: &str) -> Option<u64> {
    // Behind the name, which is in parentheses and may have some of its own (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    let state = fields.split_ascii_whitespace().next()?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(START_TIME)?.parse().ok()?;
    // A zombie has no interfaces to look after any more.
    (state != "Z").then_some(pid_namespace()? << 32 | ticks & u64::from(u32::MAX))
}

/// The place of `starttime`, field 22, among those behind the name, which is field 2.
const START_TIME: usize = 22 - 3;

/// The number of this process's PID namespace, 32 bits of it (namespaces(7)).
fn pid_namespace() -> Option<u64> {
    let file = fs::metadata("/proc/self/ns/pid").ok()?;
    Some(file.st_ino() & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_alive_until_it_ends_and_another_of_its_number_is_not_it() {
        let own = this_process();
        assert_eq!(own.pid, std::process::id());
        assert!(own.started & u64::from(u32::MAX) > 0 && is_alive(own));
        assert!(!is_alive(Owner { started: own.started + 1, ..own }));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let of = Owner { pid: child.id(), started: started(child.id()).unwrap() };
        assert!(is_alive(of) && of.started >= own.started);
        child.kill().unwrap();
        // Not waited for yet: nothing of it is left but its number.
        assert!(testkit::wait_until(std::time::Duration::from_secs(10), || !is_alive(of)));
        child.wait().unwrap();
        assert!(!is_alive(of));
    }

    #[test]
    fn who_cannot_be_known_counts_as_alive() {
        let own = this_process();
        let elsewhere = Owner { started: own.started ^ 1 << 40, pid: u32::MAX };
        assert!(is_alive(elsewhere));
    }
}
