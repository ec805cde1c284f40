//! What can go wrong, and what to do about it.

mod advice;
mod why;

use std::{error, fmt, io};

use xnu_sys::SyscallError;

use self::why::Why;
use crate::xnu::FethUnits;
use crate::{Call, Kind, NAME_LEN_MAX, NameFault};

/// A call that failed. Prints as `what: why`; [`Error::to_do`] has the advice.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the fields are the objects that the variant's line speaks of")]
pub enum Error {
    /// No interface can have this name.
    InvalidName { call: Call, name: String, fault: NameFault },
    /// There is no interface of this name.
    NotFound { call: Call, name: String },
    /// There is one already.
    Exists { call: Call, name: String },
    /// Both ends of a pair were to have this name.
    SameName { call: Call, name: String },
    /// A bridge was asked for, and this is something else.
    NotABridge { call: Call, name: String, kind: Kind },
    /// The interface belongs to another master already (a bridge, a bond, …), and was left there.
    OtherMaster { call: Call, member: String, master: String },
    /// The interface is no member of this bridge.
    NotAMember { call: Call, bridge: String, member: String },
    /// The interface takes an MTU from `min` to `max` only.
    MtuRejected { call: Call, name: String, mtu: u32, min: u32, max: u32 },
    /// A prefix longer than the address.
    InvalidPrefix { call: Call, prefix_len: u8, max: u8 },
    /// These offloads cannot be turned off on this interface.
    OffloadsLeft { call: Call, features: Vec<String> },
    /// IPv6 stayed on, since `path` could not be written.
    NotMuted { call: Call, path: String, source: io::Error },
    /// The calling thread is in another network namespace than the handle.
    OtherNamespace { call: Call },
    /// The kernel said no: `source` has the errno, `detail` the kernel's own words if it gave any.
    Refused { call: Call, detail: Option<String>, source: io::Error },
    /// The interfaces kept changing while they were being read, `attempts` times.
    Interrupted { call: Call, attempts: u32 },
    /// The kernel's answer is not what its protocol promises.
    Malformed { call: Call, reason: &'static str },
    /// XNU said no, for a reason that none of the other variants is.
    Xnu { call: Call, source: SyscallError },
    /// An interface of this name was destroyed, and is still on its way out of the kernel.
    StillDetaching { call: Call, name: String },
    /// Each of these units is taken.
    NoUnitLeft { call: Call, units: FethUnits },
    /// The interface is no feth.
    NotAFeth { call: Call, name: String, kind: Kind },
    /// The interface has a peer already, and keeps it.
    HasPeer { call: Call, name: String, peer: String },
    /// Members of a bridge have one MTU, the bridge's, and this one has another.
    MtuDiffers { call: Call, bridge: String, mtu: u32, member: String, member_mtu: u32 },
    /// A bridge does not take interfaces of this kind.
    NotBridgeable { call: Call, member: String, kind: Kind },
    /// The interface gets a copy of a bridge's traffic, and so cannot be a member of it.
    SpanPort { call: Call, bridge: String, member: String },
    /// A bridge takes one Wi-Fi interface, and has `other` already.
    SecondWifi { call: Call, bridge: String, other: String },
    /// The bridge's address table is full.
    TableFull { call: Call, bridge: String, size: u32 },
    /// The address is not in the bridge's table.
    NotInTable { call: Call, bridge: String, mac: [u8; 6] },
    /// A group's address, or none, where an interface's was needed.
    NotUnicast { call: Call, mac: [u8; 6] },
    /// A text that is longer than `max` bytes.
    TextTooLong { call: Call, len: usize, max: usize },
}

impl Error {
    /// The call that failed.
    #[must_use]
    pub fn call(&self) -> &Call {
        match self {
            Self::InvalidName { call, .. }
            | Self::NotFound { call, .. }
            | Self::Exists { call, .. }
            | Self::SameName { call, .. }
            | Self::NotABridge { call, .. }
            | Self::OtherMaster { call, .. }
            | Self::NotAMember { call, .. }
            | Self::MtuRejected { call, .. }
            | Self::InvalidPrefix { call, .. }
            | Self::OffloadsLeft { call, .. }
            | Self::NotMuted { call, .. }
            | Self::OtherNamespace { call }
            | Self::Refused { call, .. }
            | Self::Interrupted { call, .. }
            | Self::Malformed { call, .. }
            | Self::Xnu { call, .. }
            | Self::StillDetaching { call, .. }
            | Self::NoUnitLeft { call, .. }
            | Self::NotAFeth { call, .. }
            | Self::HasPeer { call, .. }
            | Self::MtuDiffers { call, .. }
            | Self::NotBridgeable { call, .. }
            | Self::SpanPort { call, .. }
            | Self::SecondWifi { call, .. }
            | Self::TableFull { call, .. }
            | Self::NotInTable { call, .. }
            | Self::NotUnicast { call, .. }
            | Self::TextTooLong { call, .. } => call,
        }
    }

    /// Why it failed, without the call: the part of the message after the first colon.
    #[must_use]
    pub fn why(&self) -> impl fmt::Display + '_ {
        Why(self)
    }

    /// The kernel's error number, where it gave one: Linux's, or XNU's.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } | Self::NotMuted { source, .. } => source.raw_os_error(),
            Self::Xnu { source, .. } => Some(source.errno.0),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn to_do(&self) -> Option<String> {
        Some(match self {
            Self::InvalidName { fault: NameFault::TooLong { .. }, .. } => {
                format!("choose a name of at most {NAME_LEN_MAX} bytes")
            }
            Self::InvalidName { fault: NameFault::NotOfKind { prefix }, .. } => {
                format!("choose a name such as {prefix}20")
            }
            Self::InvalidName { .. } => "choose a name of letters, digits, - _ . and @".into(),
            Self::NotFound { .. } => "`vswitch if list` shows what there is".into(),
            Self::Exists { name, .. } => {
                format!("choose another name, or `vswitch if destroy {name}` first")
            }
            Self::SameName { .. } => "give the two ends different names".into(),
            Self::NotABridge { .. } => "`vswitch bridge create` makes a bridge".into(),
            Self::OtherMaster { member, master, .. } => {
                format!("`vswitch bridge remove {master} {member}` first, if that is meant")
            }
            Self::NotAMember { bridge, .. } => {
                format!("`vswitch bridge members {bridge}` shows who is")
            }
            Self::MtuRejected { min, max, .. } => format!("choose an MTU from {min} to {max}"),
            Self::InvalidPrefix { max, .. } => format!("choose a prefix of 0 to {max} bits"),
            Self::OffloadsLeft { .. } => "use a veth pair, whose offloads can all be off".into(),
            Self::NotMuted { .. } => {
                "make /proc/sys writable here, or set net.ipv6.conf.default.disable_ipv6=1 \
                 before (for a container: --sysctl)"
                    .into()
            }
            Self::OtherNamespace { .. } => "open the handle in the thread that uses it".into(),
            Self::Refused { call, source, .. } => return advice::of_linux(call, source),
            Self::Interrupted { .. } => "try again when fewer interfaces come and go".into(),
            Self::Malformed { .. } => return None,
            of_xnu => return advice::of_xnu(of_xnu),
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call(), self.why())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Refused { source, .. } | Self::NotMuted { source, .. } => Some(source),
            Self::Xnu { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use xnu_sys::Errno;

    use super::*;

    const EPERM: i32 = 1;
    const EACCES: i32 = 13;
    const ELOOP: i32 = 40;
    const EXFULL: i32 = 54;

    fn refused(call: Call, errno: i32) -> Error {
        Error::Refused { call, detail: None, source: io::Error::from_raw_os_error(errno) }
    }

    #[test]
    fn it_names_the_call_the_object_the_errno_and_the_way_out() {
        let call = Call::CreatePair { a: "vsw0".into(), b: "vsw0p".into() };
        let error = refused(call, EPERM);
        assert_eq!(
            error.to_string(),
            "create veth pair vsw0/vsw0p: Operation not permitted (os error 1)"
        );
        assert_eq!(error.to_do().as_deref(), Some("run as root, or give it CAP_NET_ADMIN"));
        assert_eq!(error.errno(), Some(EPERM));
        assert!(error::Error::source(&error).is_some());
    }

    #[test]
    fn the_kernels_own_words_are_kept() {
        let error = Error::Refused {
            call: Call::Destroy { name: "a".into() },
            detail: Some("words".into()),
            source: io::Error::from_raw_os_error(22),
        };
        assert_eq!(error.to_string(), "destroy a: Invalid argument (os error 22): words");
    }

    fn says(error: &Error, why: &str, to_do: &str) {
        assert_eq!(error.to_string(), format!("do it: {why}"));
        let said = error.to_do().unwrap_or_default();
        assert!(said.contains(to_do), "{error}: {said}");
        assert_eq!(error.call(), &do_it());
    }

    fn do_it() -> Call {
        Call::OnSystem { what: "do it" }
    }

    #[test]
    fn what_is_wrong_with_a_feth_has_words_and_a_way_out() {
        let (call, name) = (do_it, || "feth1".to_owned());
        let units = FethUnits::new(1, 2).unwrap();
        let going = Error::StillDetaching { call: call(), name: name() };
        let why = "the feth1 that was destroyed before has not left the kernel yet";
        says(&going, why, "try again");
        let full = Error::NoUnitLeft { call: call(), units };
        says(&full, "feth1 to feth2 are all taken", "another range");
        let other = Error::NotAFeth { call: call(), name: name(), kind: Kind::Tun };
        says(&other, "feth1 is no feth, its kind is tun", "only feth");
        let peered = Error::HasPeer { call: call(), name: name(), peer: "feth2".into() };
        says(&peered, "feth1 is the peer of feth2 already", "`ifconfig feth1 -peer`");
        let long = Error::TextTooLong { call: call(), len: 129, max: 128 };
        says(&long, "the text has 129 bytes, and 128 is most", "at most 128");
    }

    #[test]
    fn what_is_wrong_with_a_member_has_words_and_a_way_out() {
        let (call, bridge, member) = (do_it, || "bridge7".to_owned(), || "feth1".to_owned());
        let mtu = Error::MtuDiffers {
            call: call(),
            bridge: bridge(),
            mtu: 1400,
            member: member(),
            member_mtu: 1500,
        };
        let why = "bridge7 needs members of MTU 1400, and feth1 has 1500";
        says(&mtu, why, "`vswitch if mtu feth1 1400`");
        let kind = Error::NotBridgeable { call: call(), member: member(), kind: Kind::Tun };
        says(&kind, "a bridge takes no interface like feth1, whose kind is tun", "VLAN");
        let span = Error::SpanPort { call: call(), bridge: bridge(), member: member() };
        let why = "feth1 is a span port of bridge7, and so cannot be a member";
        says(&span, why, "`ifconfig bridge7 -span feth1`");
        let wifi = Error::SecondWifi { call: call(), bridge: bridge(), other: "en0".into() };
        says(&wifi, "bridge7 has en0 for its Wi-Fi, and takes no second one", "for each");
    }

    #[test]
    fn what_is_wrong_with_an_address_has_words_and_a_way_out() {
        let (call, bridge, mac) = (do_it, || "bridge7".to_owned(), [2, 0, 0, 0, 0, 1]);
        let full = Error::TableFull { call: call(), bridge: bridge(), size: 100 };
        let why = "the address table of bridge7 has its 100 entries";
        says(&full, why, "`ifconfig bridge7 maxaddr 200`");
        let none = Error::NotInTable { call: call(), bridge: bridge(), mac };
        let why = "02:00:00:00:00:01 is not in the address table of bridge7";
        says(&none, why, "`ifconfig bridge7 addr`");
        let group = Error::NotUnicast { call: call(), mac: [0xff; 6] };
        says(&group, "ff:ff:ff:ff:ff:ff is no interface's address", "one machine");
    }

    #[test]
    fn an_errno_of_xnu_is_told_in_its_own_words_and_advised_by_the_call() {
        let error = |call, errno| Error::Xnu { call, source: SyscallError { call: "X", errno } };
        let bridge = || Call::CreateBridge { name: "bridge7".into() };
        let refused = error(bridge(), Errno::ENXIO);
        assert_eq!(refused.to_string(), "create bridge bridge7: X: no such device (ENXIO)");
        assert!(error::Error::source(&refused).is_some());
        let to_do = |call, errno| error(call, errno).to_do().unwrap_or_default();
        assert!(to_do(bridge(), Errno::ENXIO).contains("32767"));
        assert_eq!(to_do(Call::List, Errno::ENXIO), "");
        assert!(to_do(Call::List, Errno::EPERM).contains("root"));
        assert!(to_do(Call::List, Errno::ENOSYS).contains("Mac"));
        assert!(to_do(Call::List, Errno::EOPNOTSUPP).contains("no such thing"));
        assert!(to_do(Call::Open, Errno::EMFILE).contains("ulimit"));
        let units = FethUnits::default();
        assert!(to_do(Call::CreateFeth { units }, Errno::EINVAL).contains("net.link.fake"));
        let destroy = || Call::Destroy { name: "en0".into() };
        assert!(to_do(destroy(), Errno::EINVAL).contains("software"));
        assert!(to_do(destroy(), Errno::EOPNOTSUPP).contains("software"));
    }

    #[test]
    fn advice_depends_on_the_call() {
        let join = Call::AddMember { bridge: "br0".into(), member: "br1".into() };
        assert!(refused(join.clone(), ELOOP).to_do().unwrap().contains("veth pair"));
        assert!(refused(join.clone(), EXFULL).to_do().unwrap().contains("1023"));
        assert!(refused(join, 22).to_do().unwrap().contains("Ethernet"));
        let v6 = Call::AddAddress {
            name: "a".into(),
            address: "fd00::1".parse().unwrap(),
            prefix_len: 64,
        };
        assert!(refused(v6.clone(), EACCES).to_do().unwrap().contains("disable_ipv6"));
        assert!(refused(v6, EPERM).to_do().unwrap().contains("root"));
        assert_eq!(refused(Call::List, 5).to_do(), None);
    }
}
