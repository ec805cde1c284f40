//! Kqueues.

use xnu_sys::sys_event::kevent64_s;

use crate::errno::{EBADF, Result};
use crate::machine::Machine;
use crate::object::Object;
use crate::process::ProcessId;

#[derive(Debug, Default)]
pub(crate) struct Kqueues {}

impl Machine {
    pub(crate) fn kqueue_open(&mut self) -> u32 {
        0
    }

    pub(crate) fn kqueue_close(&mut self, _id: u32) {}

    /// Makes changes; errors and receipts go into `events` from its first place on: how many.
    pub(crate) fn kqueue_change(
        &mut self,
        _process: ProcessId,
        _id: u32,
        _changes: &[kevent64_s],
        _events: &mut [kevent64_s],
    ) -> Result<usize> {
        Err(EBADF)
    }

    /// Takes the events that are there now.
    pub(crate) fn kqueue_take(&mut self, _id: u32, _events: &mut [kevent64_s]) -> usize {
        0
    }

    /// Something happened to an object: its knotes are looked at again. Without this a change of
    /// state stays unseen, as in XNU.
    #[expect(dead_code, reason = "for the objects")]
    pub(crate) fn activate(&mut self, _object: Object) {}

    /// A descriptor was closed: its knotes go.
    pub(crate) fn forget_knotes(&mut self, _process: ProcessId, _number: i32) {}
}
