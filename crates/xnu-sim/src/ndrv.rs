//! `PF_NDRV` sockets.

use crate::errno::{EPERM, Result};
use crate::machine::Machine;

#[derive(Debug, Default)]
pub(crate) struct NdrvSockets {}

impl Machine {
    pub(crate) fn ndrv_open(&mut self, _is_root: bool) -> Result<u32> {
        Err(EPERM)
    }

    pub(crate) fn ndrv_close(&mut self, _id: u32) {}

    pub(crate) fn ndrv_bind(&mut self, _id: u32, _address: &[u8]) -> Result<()> {
        Err(EPERM)
    }

    pub(crate) fn ndrv_connect(&mut self, _id: u32, _address: &[u8]) -> Result<()> {
        Err(EPERM)
    }

    /// One frame; `is_connected_call` when no address was given (`write`, `send`).
    pub(crate) fn ndrv_send(&mut self, _id: u32, _frame: &[u8], _has_address: bool) -> Result<()> {
        Err(EPERM)
    }

    pub(crate) fn ndrv_getsockopt(&mut self, _id: u32, _level: i32, _name: i32) -> Result<Vec<u8>> {
        Err(EPERM)
    }

    pub(crate) fn ndrv_setsockopt(
        &mut self,
        _id: u32,
        _level: i32,
        _name: i32,
        _value: &[u8],
    ) -> Result<()> {
        Err(EPERM)
    }
}
