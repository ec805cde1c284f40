//! `bridge:BR[,create][,member=IF][,messages][,wait]`, `iface:IF[,messages][,wait]` or `none`:
//! how a network reaches the host's.

use std::fmt;
use std::str::FromStr;

/// An uplink as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkSpec {
    /// `none`: the network is its ports alone.
    None,
    /// `bridge:BR`: a pair of interfaces is made, one of them a member of the bridge.
    Bridge {
        /// The bridge.
        bridge: String,
        /// Whether it is made at the start and taken away at the end.
        create: bool,
        /// An interface to be made a member of it, and to be released at the end.
        member: Option<String>,
        /// Linux: whether all frames come and go as messages: none by a ring, none by `AF_XDP`.
        messages: bool,
        /// Whether the network comes up without the bridge or the member when that is missing, and
        /// waits for it.
        wait: bool,
    },
    /// `iface:IF`: an interface used directly.
    Interface {
        /// The interface.
        name: String,
        /// Linux: whether all frames come as messages, and none by a ring.
        messages: bool,
        /// Whether the network comes up without it when it is missing, and waits for it.
        wait: bool,
    },
}

impl UplinkSpec {
    /// `bridge:BR`, without options.
    #[must_use]
    pub fn bridge(name: &str) -> Self {
        let bridge = name.to_owned();
        Self::Bridge { bridge, create: false, member: None, messages: false, wait: false }
    }

    /// `iface:IF`, without options.
    #[must_use]
    pub fn interface(name: &str) -> Self {
        Self::Interface { name: name.to_owned(), messages: false, wait: false }
    }
}

/// An uplink that is not written as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "uplink {text:?}: {why}; bridge:BRIDGE[,create][,member=INTERFACE][,messages][,wait], \
     iface:INTERFACE[,messages][,wait] or none is expected"
)]
pub struct UplinkParseError {
    text: String,
    why: String,
}

impl FromStr for UplinkSpec {
    type Err = UplinkParseError;

    fn from_str(text: &str) -> Result<Self, UplinkParseError> {
        parse(text).map_err(|why| UplinkParseError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<UplinkSpec, String> {
    if text == "none" {
        return Ok(UplinkSpec::None);
    }
    let (kind, rest) = text.split_once(':').ok_or("there is no KIND:NAME")?;
    let mut words = rest.split(',');
    let name = words.next().filter(|name| !name.is_empty()).ok_or("a name is missing")?.to_owned();
    match kind {
        "iface" => {
            let (mut messages, mut wait) = (false, false);
            for word in words {
                match word {
                    "messages" => messages = true,
                    "wait" => wait = true,
                    _ => return Err(format!("iface takes no option {word:?}")),
                }
            }
            Ok(UplinkSpec::Interface { name, messages, wait })
        }
        "bridge" => {
            let (mut create, mut member, mut messages, mut wait) = (false, None, false, false);
            for word in words {
                match word.split_once('=') {
                    None if word == "create" => create = true,
                    None if word == "messages" => messages = true,
                    None if word == "wait" => wait = true,
                    Some(("member", of)) if !of.is_empty() && member.is_none() => {
                        member = Some(of.to_owned());
                    }
                    _ => return Err(format!("bridge takes no option {word:?} (here)")),
                }
            }
            Ok(UplinkSpec::Bridge { bridge: name, create, member, messages, wait })
        }
        _ => Err(format!("there is no kind {kind:?}")),
    }
}

impl fmt::Display for UplinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Interface { name, messages, wait } => {
                write!(f, "iface:{name}")?;
                f.write_str(if *messages { ",messages" } else { "" })?;
                f.write_str(if *wait { ",wait" } else { "" })
            }
            Self::Bridge { bridge, create, member, messages, wait } => {
                write!(f, "bridge:{bridge}")?;
                f.write_str(if *create { ",create" } else { "" })?;
                if let Some(member) = member {
                    write!(f, ",member={member}")?;
                }
                f.write_str(if *messages { ",messages" } else { "" })?;
                f.write_str(if *wait { ",wait" } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_reads_as_it_is_written() {
        for text in [
            "none",
            "iface:eth0",
            "bridge:br0",
            "bridge:br0,create",
            "bridge:br0,create,member=eth0",
            "bridge:br0,wait",
            "bridge:br0,create,member=eth0,wait",
            "bridge:br0,messages",
            "bridge:br0,create,member=eth0,messages,wait",
            "iface:eth0,wait",
            "iface:eth0,messages",
            "iface:eth0,messages,wait",
        ] {
            assert_eq!(text.parse::<UplinkSpec>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "no KIND:NAME"),
            ("br0", "no KIND:NAME"),
            ("bridge:", "a name is missing"),
            ("bridge:br0,creat", "no option \"creat\""),
            ("bridge:br0,member=", "no option \"member=\""),
            ("bridge:br0,member=a,member=b", "no option \"member=b\""),
            ("iface:eth0,create", "iface takes no option"),
            ("iface:eth0,member=eth1", "iface takes no option"),
            ("wifi:en0", "no kind \"wifi\""),
        ] {
            let error = text.parse::<UplinkSpec>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
