//! Interfaces: what there is, what is asked of them, and the way of a frame through them.

use crate::copyio::CallerMemory;
use crate::errno::{EOPNOTSUPP, Result};
use crate::machine::Machine;
use crate::process::ProcessId;
use crate::version::Capabilities;

/// An interface object. XNU keeps it for ever and uses it again for the same name, so it is found by
/// name, and whoever holds it sees the re-created interface (contract §4 recycling, §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct IfId(pub(crate) u32);

/// Which way a frame passes a tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

#[derive(Debug)]
pub(crate) struct Net {}

impl Net {
    pub(crate) fn new(_can: &Capabilities) -> Self {
        Self {}
    }

    /// The interface that has this name now; one that is going has none any more.
    pub(crate) fn find(&self, _name: &str) -> Option<IfId> {
        None
    }

    pub(crate) fn name(&self, _interface: IfId) -> String {
        String::new()
    }

    pub(crate) fn is_up(&self, _interface: IfId) -> bool {
        false
    }

    pub(crate) fn mtu(&self, _interface: IfId) -> u32 {
        0
    }
}

impl Machine {
    /// A request about interfaces on any socket. `argument` is the caller's, of the size that the
    /// request encodes, copied in; what it is when this returns is copied out.
    pub(crate) fn interface_ioctl(
        &mut self,
        _process: ProcessId,
        _request: u64,
        _argument: &mut [u8],
        _memory: &CallerMemory,
    ) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    /// Sends a whole frame by an interface, as `dlil_output` in raw mode: NDRV's and BPF's way.
    pub(crate) fn output(&mut self, _interface: IfId, _frame: Vec<u8>) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    /// The rows of `getifaddrs`.
    pub(crate) fn interface_addresses(&self) -> Vec<xnu_sys::InterfaceAddress> {
        Vec::new()
    }
}

/// What a request is called in fault plans: its name, or that of the driver command in it.
pub(crate) fn request_name(_request: u64, _argument: &[u8]) -> &'static str {
    ""
}
