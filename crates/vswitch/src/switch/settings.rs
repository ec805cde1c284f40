//! How a port or a listener is to be treated.

use std::io;

use crate::fabric::{AddressError, PortPolicy};
use crate::mac::MacAddr;

/// A network of the switch: one broadcast domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetworkId(pub(super) u16);

/// How a port is to be treated.
#[derive(Clone, Debug)]
pub struct PortSettings {
    /// Its name, for people and counters.
    pub name: String,
    /// The network it belongs to.
    pub network: NetworkId,
    /// What the fabric knows of it.
    pub policy: PortPolicy,
    /// What to do when its other end is gone for good.
    pub when_gone: WhenGone,
    /// Whether its reading pauses while a target is full. A guest's may: it waits for itself alone.
    /// An uplink's may not: one slow guest would make all others wait.
    pub waits: bool,
}

/// What to do with a port whose other end is gone for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenGone {
    /// Keep it, with its counters; what is for it is dropped.
    Keep,
    /// Remove it.
    Remove,
    /// Stop the switch: without this port it has no purpose.
    Stop,
}

/// How a listener's clients are to be treated.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// The clients are named after it: `NAME.1`, `NAME.2`, …
    pub name: String,
    /// The network they join.
    pub network: NetworkId,
    /// What the fabric knows of each.
    pub policy: PortPolicy,
    /// How many there may be at once; more are turned away.
    pub clients_max: usize,
}

/// A port or listener that could not be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// Its address cannot be had.
    #[error("add port {name}: {source}")]
    Address {
        /// The port.
        name: String,
        /// Why.
        source: AddressError,
    },
    /// The poller did not take it.
    #[error("watch port {name}: {source}")]
    Watch {
        /// The port.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The port whose address it is to be is not there.
    #[error("give {mac} to port number {port}: there is no such port")]
    NoPort {
        /// The address.
        mac: MacAddr,
        /// The port's place.
        port: u16,
    },
    /// There are [`PORTS_MAX`] already.
    #[error("add port {name}: there are {PORTS_MAX} ports already")]
    TooMany {
        /// The port.
        name: String,
    },
}

/// How many ports a switch can have, listeners included.
pub const PORTS_MAX: usize = 4096;
