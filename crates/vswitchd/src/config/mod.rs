//! What a switch is to be: a network, its uplink, its ports, and who may use their sockets.
//!
//! The short form of the command line (`--uplink bridge:br0 --port vm1=unixgram:/run/vm1.sock`) is
//! parsed here too, so that whatever else takes such words takes the same.

mod port;
mod uplink;

pub use port::{Attachment, PortParseError, PortSpec};
pub use uplink::{UplinkParseError, UplinkSpec};

use crate::access::Access;

/// One network: a broadcast domain.
#[derive(Debug)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// How it reaches the world beyond its ports.
    pub uplink: UplinkSpec,
    /// Where virtual machines plug in.
    pub ports: Vec<PortSpec>,
    /// Who may use the ports' sockets.
    pub access: Access,
}

/// The name of a network or a port: 1 to 32 letters, digits, `-`, `_` and `.`, the first a letter
/// or a digit, so that it stands in a log, a metric or a file's name without quotes.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=32).contains(&text.len())
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// What [`is_name`] asks for, in words.
pub const NAME_RULE: &str =
    "1 to 32 letters, digits, '-', '_' and '.', beginning with a letter or digit";
