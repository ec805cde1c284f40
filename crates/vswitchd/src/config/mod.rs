//! What a switch is to be: networks, their uplinks, their ports, and who may use the sockets.
//!
//! The short form of the command line (`--uplink bridge:br0 --port vm1=unixgram:/run/vm1.sock`) is
//! parsed here too, so that whatever else takes such words takes the same.

mod check;
mod control;
pub mod file;
mod given;
mod port;
mod uplink;

pub use check::{Conflict, Place, UPLINK_NAME, check};
pub use control::{ControlSettings, descriptor_socket};
pub use given::GivenSocket;
pub(crate) use port::station;
pub use port::{Attachment, AttachmentParseError, PortParseError, PortSpec};
pub use uplink::{UplinkParseError, UplinkSpec};

use std::net::SocketAddr;

use crate::access::Access;

/// Everything that is to be up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// In the order in which they come up.
    pub networks: Vec<Network>,
    /// Where it is asked and changed while it runs.
    pub control: Option<ControlSettings>,
    /// Where its metrics are served over TCP, to whoever can connect.
    pub metrics: Option<SocketAddr>,
}

impl Configuration {
    /// How many ports and uplinks there are.
    pub(crate) fn members(&self) -> usize {
        let of = |network: &Network| {
            network.ports.len() + usize::from(network.uplink != UplinkSpec::None)
        };
        self.networks.iter().map(of).sum()
    }
}

impl From<Vec<Network>> for Configuration {
    fn from(networks: Vec<Network>) -> Self {
        Self { networks, control: None, metrics: None }
    }
}

impl From<Network> for Configuration {
    fn from(network: Network) -> Self {
        Self::from(vec![network])
    }
}

/// One network: a broadcast domain.
#[derive(Clone, Debug, PartialEq, Eq)]
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
