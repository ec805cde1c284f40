//! What was asked for, so that an error can say it.

use std::fmt;
use std::net::IpAddr;

use crate::xnu::FethUnits;

/// A call of this crate with the objects it was about; prints as an action, such as
/// `create veth pair vsw0/vsw0p`. Where a variant has a `what`, that is the action in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the others are the method of `Interfaces` of that name")]
pub enum Call {
    Open,
    List,
    Find { name: String },
    CreatePair { a: String, b: String },
    CreateBridge { name: String },
    Destroy { name: String },
    SetUp { name: String, up: bool },
    SetMtu { name: String, mtu: u32 },
    Members { bridge: String },
    AddMember { bridge: String, member: String },
    RemoveMember { bridge: String, member: String },
    Mute { name: String },
    DisableOffloads { name: String },
    AddAddress { name: String, address: IpAddr, prefix_len: u8 },
    CreateFeth { units: FethUnits },
    CreateFethPair { a: String, b: String },
    SetPeer { a: String, b: String },
    OnInterface { what: &'static str, name: String },
    OnBridge { what: &'static str, bridge: String },
    OnMember { what: &'static str, bridge: Box<str>, member: Box<str> },
    OnMac { what: &'static str, bridge: String, mac: [u8; 6] },
    OnSystem { what: &'static str },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("open a handle to the interfaces"),
            Self::List => f.write_str("list interfaces"),
            Self::Find { name } => write!(f, "find {}", Shown(name)),
            Self::CreatePair { a, b } => {
                write!(f, "create veth pair {}/{}", Shown(a), Shown(b))
            }
            Self::CreateBridge { name } => write!(f, "create bridge {}", Shown(name)),
            Self::Destroy { name } => write!(f, "destroy {}", Shown(name)),
            Self::SetUp { name, up: true } => write!(f, "bring {} up", Shown(name)),
            Self::SetUp { name, up: false } => write!(f, "bring {} down", Shown(name)),
            Self::SetMtu { name, mtu } => write!(f, "set the MTU of {} to {mtu}", Shown(name)),
            Self::Members { bridge } => write!(f, "list the members of {}", Shown(bridge)),
            Self::AddMember { bridge, member } => {
                write!(f, "add {} to bridge {}", Shown(member), Shown(bridge))
            }
            Self::RemoveMember { bridge, member } => {
                write!(f, "remove {} from bridge {}", Shown(member), Shown(bridge))
            }
            Self::Mute { name } => write!(f, "mute {}", Shown(name)),
            Self::DisableOffloads { name } => write!(f, "turn off offloads of {}", Shown(name)),
            Self::AddAddress { name, address, prefix_len } => {
                write!(f, "add {address}/{prefix_len} to {}", Shown(name))
            }
            Self::CreateFeth { units } => write!(f, "create one of {units}"),
            Self::CreateFethPair { a, b } => {
                write!(f, "create feth pair {}/{}", Shown(a), Shown(b))
            }
            Self::SetPeer { a, b } => write!(f, "make {} and {} peers", Shown(a), Shown(b)),
            Self::OnInterface { what, name } => write!(f, "{what} {}", Shown(name)),
            Self::OnBridge { what, bridge } => write!(f, "{what} bridge {}", Shown(bridge)),
            Self::OnMember { what, bridge, member } => {
                write!(f, "{what} member {} of bridge {}", Shown(member), Shown(bridge))
            }
            Self::OnMac { what, bridge, mac } => {
                write!(f, "{what} {} on bridge {}", Mac(*mac), Shown(bridge))
            }
            Self::OnSystem { what } => f.write_str(what),
        }
    }
}

/// A link-layer address as text.
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A name as it may be printed: what a caller passed may hold anything, a terminal's escape codes
/// too.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("\"\"");
        }
        write!(f, "{}", self.0.escape_debug())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_an_action_with_its_objects() {
        let pair = Call::CreatePair { a: "vsw0".into(), b: "vsw0p".into() };
        assert_eq!(pair.to_string(), "create veth pair vsw0/vsw0p");
        let down = Call::SetUp { name: "vsw0".into(), up: false };
        assert_eq!(down.to_string(), "bring vsw0 down");
        let address = Call::AddAddress {
            name: "br0".into(),
            address: "fd00::1".parse().unwrap(),
            prefix_len: 64,
        };
        assert_eq!(address.to_string(), "add fd00::1/64 to br0");
    }

    #[test]
    fn xnus_calls_are_actions_too() {
        let (bridge, member) = ("bridge7".to_owned(), "feth20000".to_owned());
        let of = Call::OnMember {
            what: "change",
            bridge: bridge.clone().into(),
            member: member.clone().into(),
        };
        assert_eq!(of.to_string(), "change member feth20000 of bridge bridge7");
        let mac = [2, 0, 0xab, 0, 0, 1];
        let pin = Call::OnMac { what: "pin", bridge: bridge.clone(), mac };
        assert_eq!(pin.to_string(), "pin 02:00:ab:00:00:01 on bridge bridge7");
        let flush = Call::OnBridge { what: "empty the address table of", bridge };
        assert_eq!(flush.to_string(), "empty the address table of bridge bridge7");
        let peers = Call::SetPeer { a: member, b: "feth20001".into() };
        assert_eq!(peers.to_string(), "make feth20000 and feth20001 peers");
        let one = Call::CreateFeth { units: FethUnits::default() };
        assert_eq!(one.to_string(), "create one of feth20000 to feth20511");
    }

    #[test]
    fn names_that_a_terminal_would_obey_are_escaped() {
        let call = Call::Find { name: "a\u{1b}[2J".into() };
        assert_eq!(call.to_string(), "find a\\u{1b}[2J");
        assert_eq!(Call::Find { name: String::new() }.to_string(), "find \"\"");
    }
}
