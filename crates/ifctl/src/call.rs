//! What was asked for, so that an error can say it.

use std::fmt;
use std::net::IpAddr;

/// A call of this crate with the objects it was about; prints as an action, such as
/// `create veth pair vsw0/vsw0p`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is the method of `Interfaces` of that name")]
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
        }
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
    fn names_that_a_terminal_would_obey_are_escaped() {
        let call = Call::Find { name: "a\u{1b}[2J".into() };
        assert_eq!(call.to_string(), "find a\\u{1b}[2J");
        assert_eq!(Call::Find { name: String::new() }.to_string(), "find \"\"");
    }
}
