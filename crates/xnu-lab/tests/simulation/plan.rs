//! What goes wrong in a run: calls that fail, and a person at the machine who breaks things.

use std::time::Duration;

use xnu_lab::{BRIDGE, CARD};
use xnu_sim::{Fault, FaultAction, Rng, SimKernel};
use xnu_sys::Errno;

/// Calls on the uplink's descriptors, and how they may fail.
const DATA_CALLS: [(&str, &[Errno]); 3] = [
    ("read", &[Errno::EAGAIN, Errno::ENXIO, Errno::ENOMEM]),
    ("write", &[Errno::ENOBUFS, Errno::ENETDOWN, Errno::ENXIO, Errno::EMSGSIZE, Errno::EINVAL]),
    ("sendmsg_x", &[Errno::ENOBUFS, Errno::ENETDOWN, Errno::ENXIO, Errno::EINTR]),
];

/// Requests made while something is mended, and how they may fail. An interface whose description
/// or peer is asked for, or that is destroyed, is never said to be gone while it is there: nobody
/// would look for it again.
const REQUESTS: [(&str, &[Errno]); 15] = [
    ("BRDGADD", &[Errno::EBUSY, Errno::ENOENT, Errno::EINVAL, Errno::ENXIO, Errno::ENOMEM]),
    ("BRDGGIFFLGS", &[Errno::ENOENT, Errno::ENXIO]),
    ("SIOCIFCREATE", &[Errno::EEXIST, Errno::EBUSY, Errno::ENOMEM]),
    ("SIOCIFDESTROY", &[Errno::EBUSY, Errno::ENOMEM]),
    ("SIOCSIFFLAGS", &[Errno::ENXIO, Errno::EPERM]),
    ("SIOCGIFFLAGS", &[Errno::ENOMEM]),
    ("SIOCGIFDESC", &[Errno::ENOMEM]),
    ("SIOCSIFDESC", &[Errno::ENXIO]),
    ("IF_FAKE_G_CMD_GET_PEER", &[Errno::ENOMEM]),
    ("IF_FAKE_S_CMD_SET_PEER", &[Errno::EBUSY, Errno::ENXIO, Errno::EINVAL]),
    ("BIOCSETIF", &[Errno::ENXIO, Errno::ENOBUFS, Errno::ENOMEM]),
    ("BIOCSETF", &[Errno::EINVAL, Errno::ENOMEM]),
    ("BIOCSBLEN", &[Errno::EINVAL]),
    ("BIOCGSTATS", &[Errno::ENXIO]),
    ("SIOCGIFMTU", &[Errno::ENXIO]),
];

/// Other calls, and how they may fail.
const OTHER_CALLS: [(&str, &[Errno]); 6] = [
    ("open", &[Errno::EBUSY, Errno::EACCES, Errno::ENOENT, Errno::EMFILE]),
    ("socket", &[Errno::EMFILE, Errno::ENOBUFS, Errno::EPERM]),
    ("bind", &[Errno::EADDRNOTAVAIL, Errno::EINVAL]),
    ("getifaddrs", &[Errno::ENOMEM, Errno::EMFILE]),
    ("kevent64", &[Errno::EINTR]),
    ("fcntl", &[Errno::EBADF]),
];

/// Adds a few faults to the machine's plan, on the uplink and on what mends it.
pub(crate) fn add_faults(rng: &mut Rng, operator: &SimKernel, interfaces: &[String]) {
    for _ in 0..rng.below(6) {
        let (call, errnos, object) = match rng.below(4) {
            0 | 1 => {
                let (call, errnos) = DATA_CALLS[rng.place(DATA_CALLS.len())];
                let object = interfaces.get(rng.place(interfaces.len())).cloned();
                // Without an object it could be a guest's socket.
                let Some(object) = object else { continue };
                (call, errnos, Some(object))
            }
            2 => {
                let (call, errnos) = REQUESTS[rng.place(REQUESTS.len())];
                (call, errnos, None)
            }
            _ => {
                let (call, errnos) = OTHER_CALLS[rng.place(OTHER_CALLS.len())];
                (call, errnos, None)
            }
        };
        let action = match rng.below(8) {
            0 if call != "kevent64" => FaultAction::Delay { ns: rng.range(1_000..3_000_000) },
            1 if call == "sendmsg_x" => FaultAction::Short(rng.place(3) + 1),
            2 if matches!(call, "write" | "sendmsg_x") => FaultAction::Lose,
            _ => FaultAction::Fail(errnos[rng.place(errnos.len())]),
        };
        let (after, times) = (rng.below(20), rng.range(1..6));
        operator.add_fault(Fault { call, object, after, times, action });
    }
}

/// A person's deed; whether it can be done is the kernel's to say.
pub(crate) fn break_something(rng: &mut Rng, operator: &SimKernel) {
    let interfaces = operator.interfaces();
    let feths: Vec<&String> = interfaces.iter().filter(|name| name.starts_with("feth")).collect();
    let feth = match feths.len() {
        0 => return,
        len => feths[rng.place(len)].as_str(),
    };
    // What cannot be done, since something is gone already, is not done.
    match rng.below(9) {
        0 | 1 => drop(operator.remove_member(BRIDGE, feth)),
        2 | 3 => drop(operator.destroy_interface(feth)),
        4 | 5 => drop(operator.set_interface_up(feth, false)),
        6 => drop(operator.set_interface_up(BRIDGE, false)),
        7 => drop(operator.set_interface_up(CARD, false)),
        _ => drop(operator.remove_member(BRIDGE, CARD)),
    }
}

/// The person puts right what the switch may not touch: the bridge and the card are not its own.
pub(crate) fn put_right(operator: &SimKernel) {
    for name in [CARD, BRIDGE] {
        operator.set_interface_up(name, true).unwrap();
    }
    let interfaces = ifctl::xnu::Interfaces::open_on(operator.clone()).unwrap();
    interfaces.ensure_member(BRIDGE, CARD).unwrap();
}

/// Some time between deeds.
pub(crate) fn pause(rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.range(200..400_000))
}
