//! `recvmsg_x` and `sendmsg_x`.

use crate::copyio::CallerMemory;
use crate::errno::{EOPNOTSUPP, Result};
use crate::machine::Machine;
use crate::object::Object;

impl Machine {
    /// How many messages were received, and how many bytes.
    pub(crate) fn receive_messages(
        &mut self,
        _memory: &CallerMemory,
        _object: Object,
        _address: u64,
        _count: u32,
        _flags: i32,
        _most: usize,
    ) -> Result<(usize, usize)> {
        Err(EOPNOTSUPP)
    }

    /// How many messages were sent, and how many bytes.
    pub(crate) fn send_messages(
        &mut self,
        _memory: &CallerMemory,
        _object: Object,
        _address: u64,
        _count: u32,
        _flags: i32,
        _most: usize,
    ) -> Result<(usize, usize)> {
        Err(EOPNOTSUPP)
    }
}
