//! `PF_SYSTEM` sockets of kernel events.

use crate::errno::{EAGAIN, EPROTONOSUPPORT, Result};
use crate::machine::Machine;
use crate::net::IfId;

#[derive(Debug, Default)]
pub(crate) struct EventSockets {}

impl Machine {
    pub(crate) fn events_open(&mut self, _protocol: i32) -> Result<u32> {
        Err(EPROTONOSUPPORT)
    }

    pub(crate) fn events_close(&mut self, _id: u32) {}

    pub(crate) fn events_ioctl(
        &mut self,
        _id: u32,
        _request: u64,
        _argument: &mut [u8],
    ) -> Result<()> {
        Err(EPROTONOSUPPORT)
    }

    /// The next event, whole.
    pub(crate) fn events_read(&mut self, _id: u32) -> Result<Vec<u8>> {
        Err(EAGAIN)
    }

    /// `EVFILT_READ`: the bytes that wait.
    pub(crate) fn events_readable(&mut self, _id: u32) -> Option<i64> {
        None
    }

    /// Tells all sockets that want it of an interface (vendor 1, class 1, subclass 2); `code` is
    /// `KEV_DL_*`.
    #[expect(dead_code, reason = "for the interfaces")]
    pub(crate) fn post_interface_event(&mut self, _interface: IfId, _code: u32) {}
}
