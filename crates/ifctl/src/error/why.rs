//! Errors as words.

use std::fmt;

use crate::Error;
use crate::call::Mac;

pub(super) struct Why<'a>(pub(super) &'a Error);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::InvalidName { fault, .. } => write!(f, "{fault}"),
            Error::NotFound { name, .. } => write!(f, "there is no interface {name}"),
            Error::Exists { name, .. } => write!(f, "there is an interface {name} already"),
            Error::SameName { name, .. } => write!(f, "both ends would be named {name}"),
            Error::NotABridge { name, kind, .. } => {
                write!(f, "{name} is no bridge, its kind is {kind}")
            }
            Error::OtherMaster { member, master, .. } => {
                write!(f, "{member} belongs to {master} already")
            }
            Error::NotAMember { bridge, member, .. } => {
                write!(f, "{member} is no member of {bridge}")
            }
            Error::MtuRejected { name, min, max, .. } => {
                write!(f, "{name} takes an MTU from {min} to {max}")
            }
            Error::InvalidPrefix { prefix_len, max, .. } => {
                write!(f, "a prefix of {prefix_len} bits is longer than the address ({max} bits)")
            }
            Error::OffloadsLeft { features, .. } => {
                write!(f, "the driver keeps these on: {}", features.join(", "))
            }
            Error::NotMuted { path, source, .. } => {
                write!(f, "IPv6 is on, and cannot be turned off: write {path}: {source}")
            }
            Error::OtherNamespace { .. } => {
                f.write_str("the handle was opened in another network namespace")
            }
            Error::Refused { detail: Some(detail), source, .. } => write!(f, "{source}: {detail}"),
            Error::Refused { detail: None, source, .. } => write!(f, "{source}"),
            Error::Interrupted { attempts, .. } => {
                write!(f, "the interfaces changed while being read, {attempts} times in a row")
            }
            Error::Malformed { reason, .. } => write!(f, "the kernel's answer is broken: {reason}"),
            of_xnu => write_xnu(of_xnu, f),
        }
    }
}

/// What only XNU says.
fn write_xnu(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        Error::Xnu { source, .. } => write!(f, "{source}"),
        Error::StillDetaching { name, .. } => {
            write!(f, "the {name} that was destroyed before has not left the kernel yet")
        }
        Error::NoUnitLeft { units, .. } => write!(f, "{units} are all taken"),
        Error::NotAFeth { name, kind, .. } => write!(f, "{name} is no feth, its kind is {kind}"),
        Error::HasPeer { name, peer, .. } => write!(f, "{name} is the peer of {peer} already"),
        Error::MtuDiffers { bridge, mtu, member, member_mtu, .. } => {
            write!(f, "{bridge} needs members of MTU {mtu}, and {member} has {member_mtu}")
        }
        Error::NotBridgeable { member, kind, .. } => {
            write!(f, "a bridge takes no interface like {member}, whose kind is {kind}")
        }
        Error::SpanPort { bridge, member, .. } => {
            write!(f, "{member} is a span port of {bridge}, and so cannot be a member")
        }
        Error::SecondWifi { bridge, other, .. } => {
            write!(f, "{bridge} has {other} for its Wi-Fi, and takes no second one")
        }
        Error::TableFull { bridge, size, .. } => {
            write!(f, "the address table of {bridge} has its {size} entries")
        }
        Error::NotInTable { bridge, mac, .. } => {
            write!(f, "{} is not in the address table of {bridge}", Mac(*mac))
        }
        Error::NotUnicast { mac, .. } => write!(f, "{} is no interface's address", Mac(*mac)),
        Error::TextTooLong { len, max, .. } => {
            write!(f, "the text has {len} bytes, and {max} is most")
        }
        // All others were written before.
        other => write!(f, "{other:?}"),
    }
}
