//! Systems on which a process cannot have a network of its own.

use crate::failure::{Failure, Result};

/// Cannot exist here.
#[derive(Debug)]
pub(crate) enum Host {}

impl Host {
    /// Always fails.
    pub(crate) fn prepare() -> Result<Self> {
        Err(Failure::new("make a bridge", "only on Linux can it be in a network of its own"))
    }

    /// There is no bridge to find.
    pub(crate) fn bridge_index(&self) -> Result<u32> {
        match *self {}
    }

    /// There is no host to wait for.
    pub(crate) fn wait_for_addresses(&self) -> Result<()> {
        match *self {}
    }

    /// Never called: there is no host.
    pub(crate) fn interfaces(&self) -> Result<Vec<String>> {
        match *self {}
    }
}
