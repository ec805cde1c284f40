//! The way out of an error, where one is known.

use std::io;

use xnu_sys::Errno;

use crate::{Call, Error};

/// What an errno of Linux means for the call that met it.
pub(super) fn of_linux(call: &Call, source: &io::Error) -> Option<String> {
    use io::ErrorKind as E;
    let advice = match (source.kind(), call) {
        // IPv6 answers EACCES, not EPERM, on an interface where it is switched off.
        (E::PermissionDenied, Call::AddAddress { name, address, .. })
            if address.is_ipv6() && source.raw_os_error() == Some(EACCES) =>
        {
            format!("IPv6 is off there: sysctl net.ipv6.conf.{name}.disable_ipv6=0")
        }
        (E::PermissionDenied, _) => "run as root, or give it CAP_NET_ADMIN".into(),
        (E::AlreadyExists, Call::AddAddress { .. }) => "it has that address already".into(),
        (E::Unsupported, Call::CreatePair { .. }) => "load the kernel module veth".into(),
        (E::Unsupported, Call::CreateBridge { .. }) => "load the kernel module bridge".into(),
        (E::Unsupported, Call::Destroy { .. }) => {
            "only interfaces made by software can be destroyed".into()
        }
        (E::Unsupported | E::InvalidInput, Call::AddMember { .. }) => {
            "a bridge takes Ethernet interfaces, but no loopback, wireless station or macvlan"
                .into()
        }
        (_, Call::AddMember { .. }) if source.raw_os_error() == Some(ELOOP) => {
            "a bridge cannot be a member of a bridge; join them by a veth pair".into()
        }
        (_, Call::AddMember { .. }) if source.raw_os_error() == Some(EXFULL) => {
            "a bridge holds 1023 members; use a second bridge".into()
        }
        (E::ResourceBusy, _) => "something else uses it: `ip -d link show` tells what".into(),
        _ => return None,
    };
    Some(advice)
}

/// The way out of an error that only XNU makes.
pub(super) fn of_xnu(error: &Error) -> Option<String> {
    Some(match error {
        Error::Xnu { call, source } => return of_xnu_errno(call, source.errno),
        Error::StillDetaching { .. } => "try again in a moment".into(),
        Error::NoUnitLeft { .. } => {
            "choose another range, or destroy those that nobody uses".into()
        }
        Error::NotAFeth { .. } => "only feth interfaces have peers".into(),
        Error::HasPeer { name, .. } => format!("part it first: `ifconfig {name} -peer`"),
        Error::MtuDiffers { mtu, member, .. } => {
            format!("`vswitch if mtu {member} {mtu}` first, or change the bridge's other members")
        }
        Error::NotBridgeable { .. } => {
            "a bridge takes Ethernet, VLAN and bond interfaces; no bridge, tunnel or loopback"
                .into()
        }
        Error::SpanPort { bridge, member, .. } => {
            format!("`ifconfig {bridge} -span {member}` first, if that is meant")
        }
        Error::SecondWifi { .. } => "use a bridge for each Wi-Fi interface".into(),
        Error::TableFull { bridge, size, .. } => {
            format!("`ifconfig {bridge} maxaddr {}` makes it larger", size.saturating_mul(2))
        }
        Error::NotInTable { bridge, .. } => format!("`ifconfig {bridge} addr` shows what is"),
        Error::NotUnicast { .. } => "give the address of one machine".into(),
        Error::TextTooLong { max, .. } => format!("give at most {max} bytes"),
        _ => return None,
    })
}

/// What an errno of XNU means for the call that met it.
fn of_xnu_errno(call: &Call, errno: Errno) -> Option<String> {
    Some(match (errno, call) {
        (Errno::EPERM | Errno::EACCES, _) => "run as root".into(),
        (Errno::ENOSYS, _) => {
            "this needs a Mac; elsewhere it works on the simulated kernel alone".into()
        }
        (Errno::EINVAL, Call::CreateFeth { .. } | Call::CreateFethPair { .. }) => {
            "this kernel makes no feth as it is set: `sysctl net.link.fake` shows how".into()
        }
        (Errno::EINVAL | Errno::EOPNOTSUPP, Call::Destroy { .. }) => {
            "only interfaces made by software can be destroyed".into()
        }
        (Errno::EINVAL, Call::AddMember { .. }) => {
            "a bridge takes no interface to a coprocessor or for management".into()
        }
        (Errno::ENXIO, Call::CreateBridge { .. }) => "choose a number up to 32767".into(),
        (Errno::ENOTSUP | Errno::EOPNOTSUPP, _) => {
            "this kind of interface has no such thing".into()
        }
        (Errno::EMFILE | Errno::ENFILE, _) => "raise the limit of open files (`ulimit -n`)".into(),
        _ => return None,
    })
}

// Numbers of Linux; std has no stable kind for the last two, and two numbers for the first.
const EACCES: i32 = 13;
const ELOOP: i32 = 40;
const EXFULL: i32 = 54;
