//! `NAME=KIND:ARG[,mac=MAC]`: where a virtual machine plugs in.

use std::fmt;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use vswitch::MacAddr;

use super::{GivenSocket, NAME_RULE, is_name};

/// One port as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// Its name, unique in its network.
    pub name: String,
    /// What it is attached to.
    pub attachment: Attachment,
    /// Its only address, when it names one: frames from others are dropped.
    pub mac: Option<MacAddr>,
}

/// What a port is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// `fd:N`: an inherited socket, `SOCK_DGRAM` or `SOCK_STREAM`.
    Fd(RawFd),
    /// `unixgram:PATH`: a datagram socket bound at a path.
    Unixgram(PathBuf),
    /// `stream:PATH`: a listener, each of whose clients is a port.
    Stream(PathBuf),
    /// `stream-connect:PATH`: a stream to a socket that somebody else listens on.
    StreamConnect(PathBuf),
    /// `vde:DIR`: a directory in which VDE's programs ask for ports, each of which is one.
    Vde(PathBuf),
    /// A socket that a client of the running switch gave. No text says so.
    Given(GivenSocket),
    /// `tap:IFNAME`: a TAP interface. Only Linux has them.
    Tap(String),
}

/// A port that is not written as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("port {text:?}: {why}; NAME=KIND:ARG[,mac=MAC] is expected, with a KIND of {KINDS}")]
pub struct PortParseError {
    text: String,
    why: String,
}

const KINDS: &str =
    "unixgram:PATH, stream:PATH, stream-connect:PATH, vde:DIR, fd:N or (Linux) tap:IFNAME";

impl FromStr for PortSpec {
    type Err = PortParseError;

    fn from_str(text: &str) -> Result<Self, PortParseError> {
        parse(text).map_err(|why| PortParseError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<PortSpec, String> {
    let (name, rest) = text.split_once('=').ok_or("there is no '=' behind a name")?;
    if !is_name(name) {
        return Err(format!("{name:?} is no name ({NAME_RULE})"));
    }
    // The options stand behind the last commas, so that a path may have commas of its own.
    let (attachment, mac) = match rest.rsplit_once(",mac=") {
        Some((attachment, mac)) => (attachment, Some(station(mac)?)),
        None => (rest, None),
    };
    Ok(PortSpec { name: name.to_owned(), attachment: attach(attachment)?, mac })
}

/// A station's address.
pub(crate) fn station(text: &str) -> Result<MacAddr, String> {
    let mac: MacAddr = text.parse().map_err(|error: vswitch::ParseMacError| error.to_string())?;
    if mac.is_station() {
        Ok(mac)
    } else {
        Err(format!("{mac} is no station's address (it is a group's, or all zeros)"))
    }
}

/// An attachment that is not written as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attachment {text:?}: {why}; {KINDS} is expected")]
pub struct AttachmentParseError {
    text: String,
    why: String,
}

impl FromStr for Attachment {
    type Err = AttachmentParseError;

    fn from_str(text: &str) -> Result<Self, AttachmentParseError> {
        attach(text).map_err(|why| AttachmentParseError { text: text.to_owned(), why })
    }
}

fn attach(attachment: &str) -> Result<Attachment, String> {
    let (kind, argument) = attachment.split_once(':').ok_or("there is no KIND:ARG")?;
    if argument.is_empty() {
        return Err(format!("there is nothing behind {kind}:"));
    }
    Ok(match kind {
        "fd" => Attachment::Fd(
            argument.parse().map_err(|_| format!("{argument:?} is no descriptor's number"))?,
        ),
        "unixgram" => Attachment::Unixgram(argument.into()),
        "stream" => Attachment::Stream(argument.into()),
        "stream-connect" => Attachment::StreamConnect(argument.into()),
        "vde" => Attachment::Vde(argument.into()),
        "tap" => Attachment::Tap(argument.to_owned()),
        _ => return Err(format!("there is no kind {kind:?}")),
    })
}

impl Attachment {
    /// Where its socket is, if it is at a path.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unixgram(path)
            | Self::Stream(path)
            | Self::StreamConnect(path)
            | Self::Vde(path) => Some(path),
            Self::Fd(_) | Self::Given(_) | Self::Tap(_) => None,
        }
    }

    /// The same, with a path that does not begin at the root beginning at `directory`.
    #[must_use]
    pub fn in_directory(self, directory: &Path) -> Self {
        match self {
            Self::Unixgram(path) => Self::Unixgram(directory.join(path)),
            Self::Stream(path) => Self::Stream(directory.join(path)),
            Self::StreamConnect(path) => Self::StreamConnect(directory.join(path)),
            Self::Vde(path) => Self::Vde(directory.join(path)),
            other @ (Self::Fd(_) | Self::Given(_) | Self::Tap(_)) => other,
        }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fd(number) => write!(f, "fd:{number}"),
            Self::Given(_) => f.write_str("given"),
            Self::Unixgram(path) => write!(f, "unixgram:{}", path.display()),
            Self::Stream(path) => write!(f, "stream:{}", path.display()),
            Self::StreamConnect(path) => write!(f, "stream-connect:{}", path.display()),
            Self::Vde(path) => write!(f, "vde:{}", path.display()),
            Self::Tap(name) => write!(f, "tap:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind() {
        for (text, shown) in [
            ("vm1=unixgram:/run/vm1.sock", "unixgram:/run/vm1.sock"),
            ("vm1=stream:/run/a,b.sock", "stream:/run/a,b.sock"),
            ("vm1=stream-connect:q.sock", "stream-connect:q.sock"),
            ("vm1=vde:/run/vde.ctl", "vde:/run/vde.ctl"),
            ("vm1=fd:3", "fd:3"),
            ("vm1=tap:tap0", "tap:tap0"),
        ] {
            let port: PortSpec = text.parse().unwrap();
            assert_eq!((port.name.as_str(), port.attachment.to_string().as_str()), ("vm1", shown));
            assert_eq!(port.mac, None);
        }
        let port: PortSpec = "vm-1.a=fd:7,mac=52:54:00:00:00:01".parse().unwrap();
        assert_eq!(port.mac.unwrap().to_string(), "52:54:00:00:00:01");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("unixgram:/run/vm1.sock", "no '='"),
            ("=fd:3", "is no name"),
            ("a b=fd:3", "is no name"),
            ("vm1=/run/vm1.sock", "no KIND:ARG"),
            ("vm1=carrier-pigeon:3", "no kind \"carrier-pigeon\""),
            ("vm1=fd:three", "is no descriptor's number"),
            ("vm1=unixgram:", "nothing behind unixgram:"),
            ("vm1=vde:", "nothing behind vde:"),
            ("vm1=fd:3,mac=banana", "\"banana\" is not a MAC address"),
            ("vm1=fd:3,mac=ff:ff:ff:ff:ff:ff", "no station's address"),
        ] {
            let error = text.parse::<PortSpec>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_survived(text in ".{0,80}") {
            let _ = text.parse::<PortSpec>();
        }
    }
}
