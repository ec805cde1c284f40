//! `sysctlbyname`.

use crate::errno::{ENOENT, Result};
use crate::machine::Machine;
use crate::version::Capabilities;

#[derive(Debug)]
pub(crate) struct Sysctls {}

impl Sysctls {
    pub(crate) fn new(_can: &Capabilities) -> Self {
        Self {}
    }

    /// A number, if it is modelled.
    #[expect(clippy::unused_self, reason = "for the rows to come")]
    pub(crate) fn find(&self, _name: &str) -> Option<u64> {
        None
    }
}

impl Machine {
    /// The value before, and sets a new one.
    pub(crate) fn sysctl(
        &mut self,
        _is_root: bool,
        _name: &str,
        _new: Option<&[u8]>,
    ) -> Result<Vec<u8>> {
        Err(ENOENT)
    }
}
