//! What the switch may do here, on Linux.

use crate::doctor::facts::{Privileges, Refusal};
use crate::doctor::{Finding, Needs, Severity};

/// Judges privileges by what is needed; where that is not known, what is missing is a warning.
#[must_use]
pub fn privileges(found: &Privileges, needs: Option<&Needs>) -> Vec<Finding> {
    vec![
        interfaces(found, if_interfaces_stay(needs)),
        packets(found, severity(needs, |needs| needs.packets)),
        tun(found, needs),
    ]
}

/// How bad it is that something is missing.
fn severity(needs: Option<&Needs>, is_needed: impl Fn(&Needs) -> bool) -> Severity {
    match needs.map(is_needed) {
        None => Severity::Warning,
        Some(true) => Severity::Error,
        Some(false) => Severity::Note,
    }
}

/// How bad it is that interfaces cannot be changed. A TAP may have been made for this user.
fn if_interfaces_stay(needs: Option<&Needs>) -> Severity {
    match severity(needs, |needs| needs.interfaces) {
        Severity::Note if needs.is_some_and(|needs| !needs.taps.is_empty()) => Severity::Warning,
        severity => severity,
    }
}

fn interfaces(found: &Privileges, missing: Severity) -> Finding {
    const ID: &str = "interface-privilege";
    let user = format!("user {}", found.user);
    match &found.may_change_interfaces {
        Ok(true) => Finding::ok(ID, user, "may change interfaces (CAP_NET_ADMIN)"),
        Ok(false) => {
            let (what, to_do) = missing_because(found.has_net_admin, found, "CAP_NET_ADMIN");
            Finding::new(missing, ID, user, format!("may not change interfaces: {what}"))
                .why(
                    "without it there is no uplink bridge:, no new TAP, and socket buffers end at \
                     the system's limits; unixgram:, stream:, stream-connect: and fd: ports and \
                     uplink none work",
                )
                .to_do(to_do)
                .command(&SETCAP)
                .and_install(found)
        }
        Err(why) => Finding::note(ID, user, format!("cannot ask whether it may: {why}"))
            .why("without CAP_NET_ADMIN there is no uplink bridge: and no new TAP"),
    }
}

fn packets(found: &Privileges, missing: Severity) -> Finding {
    const ID: &str = "packet-socket";
    let object = "AF_PACKET";
    let why = "the switch reads and sends the frames of an uplink, bridge: or iface:, by a packet \
               socket; uplink none works without";
    match found.packet_socket {
        Refusal::Granted => Finding::ok(ID, object, "a packet socket can be had (CAP_NET_RAW)"),
        Refusal::NotPermitted => {
            let (what, to_do) = missing_because(found.has_net_raw, found, "CAP_NET_RAW");
            Finding::new(missing, ID, object, format!("user {} gets none: {what}", found.user))
                .why(why)
                .to_do(to_do)
                .command(&SETCAP)
                .and_install(found)
        }
        Refusal::Missing | Refusal::NoDriver => {
            Finding::new(missing, ID, object, "this kernel, or a filter of system calls, has none")
                .why(why)
                .to_do(
                    "load the module, or allow the address family AF_PACKET (in a systemd unit: \
                     RestrictAddressFamilies=)",
                )
                .command(&["sudo", "modprobe", "af_packet"])
        }
        Refusal::Other(errno) => {
            Finding::new(missing, ID, object, format!("socket(2) fails with errno {errno}"))
                .figure("errno", errno.unsigned_abs().into())
                .why(why)
                .to_do("look for what limits this process (ulimit -n, a seccomp filter)")
        }
    }
}

fn tun(found: &Privileges, needs: Option<&Needs>) -> Finding {
    const ID: &str = "tun-device";
    let object = "/dev/net/tun";
    // Most switches have no TAP: where it is not known, it is only told.
    let missing = match needs {
        Some(needs) if !needs.taps.is_empty() => Severity::Error,
        _ => Severity::Note,
    };
    let bad = |what: &str| {
        Finding::new(missing, ID, object, what).why("tap: ports are opened there; others work")
    };
    match found.tun_device {
        Refusal::Granted => Finding::ok(ID, object, "can be opened"),
        Refusal::Missing => bad("is not there")
            .to_do("load the driver; in a container, pass the device in")
            .command(&["sudo", "modprobe", "tun"]),
        Refusal::NoDriver => bad("is there, and the kernel has no driver for it")
            .to_do("load the driver on the host")
            .command(&["sudo", "modprobe", "tun"]),
        Refusal::NotPermitted => bad(&format!("user {} may not open it", found.user))
            .to_do("run as root, or let users open it: what they do with it is checked apart")
            .command(&["sudo", "chmod", "0666", object]),
        Refusal::Other(errno) => bad(&format!("open(2) fails with errno {errno}"))
            .figure("errno", errno.unsigned_abs().into())
            .to_do("load the driver; in a container, pass the device in")
            .command(&["sudo", "modprobe", "tun"]),
    }
}

/// Why a capability does not hold, and what to do about that.
fn missing_because(
    is_effective: Option<bool>,
    found: &Privileges,
    capability: &str,
) -> (String, &'static str) {
    match is_effective {
        Some(true) => (
            format!(
                "{capability} is effective, but in another user namespace than the one that this \
                 network belongs to"
            ),
            "run it in a network namespace of that user namespace (`unshare --user --net`), or as \
             root of the machine",
        ),
        _ if !found.is_initial_namespace => (
            format!("{capability} is not effective in this user namespace"),
            "run it as the namespace's root, or give the container the capability",
        ),
        _ => (
            format!("{capability} is not effective"),
            "run it as root (sudo), or give the binary the capabilities",
        ),
    }
}

/// What gives the binary both capabilities. The shell says where it is.
const SETCAP: [&str; 3] = ["sudo", "setcap", "cap_net_admin,cap_net_raw=ep"];

impl Finding {
    /// Adds the binary's place to [`SETCAP`]; in a user namespace a file's capabilities are no way.
    fn and_install(mut self, found: &Privileges) -> Self {
        self.command = self
            .command
            .filter(|_| found.is_initial_namespace)
            .map(|command| format!("{command} \"$(command -v vswitch)\""));
        self
    }
}
