//! What this process may do. The kernel is asked by doing, where that changes nothing; what /proc
//! tells of capabilities only explains a refusal.

use std::fs::{self, File};

use ifctl::Interfaces;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{Uid, User};

use crate::doctor::facts::{Privileges, Refusal};

/// include/uapi/linux/capability.h
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

pub(super) fn gather() -> Privileges {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let map = fs::read_to_string("/proc/thread-self/uid_map").unwrap_or_default();
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten();
    let may_change = Interfaces::open().and_then(|mut interfaces| interfaces.may_change());
    Privileges {
        user: user.map_or_else(|| uid.to_string(), |user| user.name),
        has_net_admin: is_effective(&status, CAP_NET_ADMIN),
        has_net_raw: is_effective(&status, CAP_NET_RAW),
        is_initial_namespace: is_whole(&map),
        may_change_interfaces: may_change.map_err(|error| error.to_string()),
        packet_socket: packet_socket(),
        tun_device: tun_device(),
    }
}

/// Whether a capability is among the effective ones of a `status` file (proc_pid_status(5)).
fn is_effective(status: &str, capability: u32) -> Option<bool> {
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let set = u64::from_str_radix(set.trim(), 16).ok()?;
    Some(set & 1 << capability != 0)
}

/// Whether a `uid_map` has all users as they are: that of the machine's own user namespace
/// (user_namespaces(7)).
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// One of no protocol: it receives nothing.
fn packet_socket() -> Refusal {
    let made = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
    match made.map(drop) {
        Ok(()) => Refusal::Granted,
        Err(errno) => refusal(errno),
    }
}

/// Opened, it is no interface yet.
fn tun_device() -> Refusal {
    match File::options().read(true).write(true).open("/dev/net/tun").map(drop) {
        Ok(()) => Refusal::Granted,
        Err(error) => refusal(Errno::from_raw(error.raw_os_error().unwrap_or(0))),
    }
}

fn refusal(errno: Errno) -> Refusal {
    match errno {
        Errno::EPERM | Errno::EACCES => Refusal::NotPermitted,
        Errno::ENOENT | Errno::EAFNOSUPPORT => Refusal::Missing,
        Errno::ENODEV | Errno::ENXIO => Refusal::NoDriver,
        other => Refusal::Other(other as i32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_bits() {
        let status = "Name:\tx\nCapPrm:\t0000000000003000\nCapEff:\t0000000000001000\n";
        assert_eq!(is_effective(status, CAP_NET_ADMIN), Some(true));
        assert_eq!(is_effective(status, CAP_NET_RAW), Some(false));
        assert_eq!(is_effective("CapPrm:\t1000\n", CAP_NET_ADMIN), None);
        assert_eq!(is_effective("CapEff:\tx\n", CAP_NET_ADMIN), None);
    }

    #[test]
    fn only_the_whole_map_is_the_machines() {
        assert!(is_whole("         0          0 4294967295\n"));
        assert!(!is_whole("0 1000 1\n") && !is_whole("") && !is_whole("0 0 4294967295\n1 1 1\n"));
    }
}
