//! What a report of the loops does not know.

use std::time::SystemTime;

use crate::repairs::Mended;
use crate::report::ReadyNetwork;

/// What the service knows of itself ([`Control::facts`](crate::Control::facts)).
#[derive(Clone, Debug)]
pub struct ServiceFacts {
    /// The program's version.
    pub version: &'static str,
    /// When the service was started.
    pub started_at: SystemTime,
    /// What is up.
    pub networks: Vec<ReadyNetwork>,
    /// How often that was to be changed.
    pub changes: Changes,
    /// How often something of an uplink's was repaired, in the order of [`Mended::ALL`].
    pub repairs: [u64; Mended::ALL.len()],
}

/// A service of this version, that was started in 1970 and has no networks.
impl Default for ServiceFacts {
    fn default() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: SystemTime::UNIX_EPOCH,
            networks: Vec::new(),
            changes: Changes::default(),
            repairs: Default::default(),
        }
    }
}

/// Changes of a running service that were asked for, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// All is as it was wanted.
    pub applied: u64,
    /// Something that is wanted could not be had.
    pub incomplete: u64,
    /// Nothing was changed: what is wanted cannot be read, or does not go together.
    pub refused: u64,
}
