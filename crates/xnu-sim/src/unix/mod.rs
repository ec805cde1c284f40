//! `AF_UNIX` datagram sockets.

mod messages;

use crate::errno::{EAGAIN, EOPNOTSUPP, Result};
use crate::machine::Machine;

#[derive(Debug, Default)]
pub(crate) struct UnixSockets {}

impl Machine {
    pub(crate) fn unix_open(&mut self, _kind: i32) -> Result<u32> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn unix_pair(&mut self, _kind: i32) -> Result<(u32, u32)> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn unix_close(&mut self, _id: u32) {}

    pub(crate) fn unix_bind(&mut self, _id: u32, _address: &[u8]) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn unix_connect(&mut self, _id: u32, _address: &[u8]) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn unix_getsockopt(&mut self, _id: u32, _level: i32, _name: i32) -> Result<Vec<u8>> {
        Err(EOPNOTSUPP)
    }

    pub(crate) fn unix_setsockopt(
        &mut self,
        _id: u32,
        _level: i32,
        _name: i32,
        _value: &[u8],
    ) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    /// The next datagram, whole, and who sent it (a socket address, may be empty). It stays there
    /// with `peek`.
    pub(crate) fn unix_receive(&mut self, _id: u32, _peek: bool) -> Result<(Vec<u8>, Vec<u8>)> {
        Err(EAGAIN)
    }

    pub(crate) fn unix_send(&mut self, _id: u32, _bytes: &[u8], _to: Option<&[u8]>) -> Result<()> {
        Err(EOPNOTSUPP)
    }

    /// `EVFILT_READ`: the bytes that wait, if it is ready.
    pub(crate) fn unix_readable(&mut self, _id: u32) -> Option<i64> {
        None
    }

    /// `EVFILT_WRITE`: the room, if it is ready by this version's rules.
    pub(crate) fn unix_writable(&mut self, _id: u32, _lowat: Option<u64>) -> Option<i64> {
        None
    }
}
