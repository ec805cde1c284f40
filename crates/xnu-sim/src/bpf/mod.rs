//! BPF devices.

use crate::copyio::CallerMemory;
use crate::errno::{ENOENT, ENXIO, Result};
use crate::machine::Machine;
use crate::net::{Direction, IfId};
use crate::version::Capabilities;

#[derive(Debug)]
pub(crate) struct Bpf {}

impl Bpf {
    pub(crate) fn new(_can: &Capabilities) -> Self {
        Self {}
    }
}

impl Machine {
    /// Opens `/dev/bpfN`: gives its minor number, N.
    pub(crate) fn bpf_open(&mut self, _minor: u32, _is_root: bool) -> Result<u32> {
        Err(ENOENT)
    }

    pub(crate) fn bpf_close(&mut self, _minor: u32) {}

    /// A request; `argument` as for [`Self::interface_ioctl`].
    pub(crate) fn bpf_ioctl(
        &mut self,
        _minor: u32,
        _request: u64,
        _argument: &mut [u8],
        _memory: &CallerMemory,
    ) -> Result<()> {
        Err(ENXIO)
    }

    /// One read: what is in it, for a caller whose buffer has `room_bytes`.
    pub(crate) fn bpf_read(&mut self, _minor: u32, _room_bytes: usize) -> Result<Vec<u8>> {
        Err(ENXIO)
    }

    pub(crate) fn bpf_write(&mut self, _minor: u32, _bytes: &[u8]) -> Result<usize> {
        Err(ENXIO)
    }

    /// A frame passes the taps of an interface.
    pub(crate) fn bpf_tap(&mut self, _interface: IfId, _frame: &[u8], _direction: Direction) {}

    /// The interface is gone for good (the end of its detaching).
    pub(crate) fn bpf_detach(&mut self, _interface: IfId) {}

    /// `EVFILT_READ`: the bytes that the next read returns, if it is ready.
    pub(crate) fn bpf_readable(&mut self, _minor: u32, _lowat: Option<u64>) -> Option<i64> {
        None
    }

    /// Whether a knote may be attached as a BPF knote: it has an interface (contract §5, C14).
    pub(crate) fn bpf_is_attached(&self, _minor: u32) -> bool {
        false
    }

    /// A knote was attached or detached (the "has knote" flag, contract §5).
    pub(crate) fn bpf_set_has_knote(&mut self, _minor: u32, _has: bool) {}
}
