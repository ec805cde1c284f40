//! `sendmsg_x` of macOS 12 and 13.

use super::{BUFFERS_MAX, Buffers, Header};
use crate::copyio::CallerMemory;
use crate::errno::{EAGAIN, EINTR, EINVAL, ENOBUFS, Result};
use crate::machine::Machine;
use crate::object::Object;

impl Machine {
    /// All headers are checked, then the messages go one after the other.
    ///
    /// A full peer is not told as `ENOBUFS`: the message that found no room was taken from its
    /// buffers all the same, which counts as progress, and progress makes `ENOBUFS` no error. 13
    /// then says how many were sent before it, even if that is 0; 12 counts the lost one too, since
    /// it counts messages whose buffers were taken from.
    pub(super) fn send_messages_up_to_13(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: u32,
        most: usize,
    ) -> Result<(usize, usize)> {
        let messages = self.messages_to_send(memory, address, count, most)?;
        let (mut done, mut bytes) = (0, 0);
        let mut was_taken = vec![false; messages.len()];
        let mut error = None;
        for (place, (header, buffers)) in messages.iter().enumerate() {
            match self.send_it(memory, object, header, buffers) {
                Ok(len) => {
                    was_taken[place] = true;
                    bytes += len;
                    done += 1;
                }
                Err(errno) => {
                    // Only what has no room is found out after it was copied in.
                    was_taken[place] = errno == ENOBUFS;
                    error = Some(errno);
                    break;
                }
            }
        }
        let lens = || messages.iter().map(|(_, buffers)| buffers.total);
        let has_progress = lens().zip(&was_taken).any(|(len, taken)| *taken && len > 0);
        match error {
            Some(EINTR | EAGAIN | ENOBUFS) if has_progress => {}
            Some(errno) => return Err(errno),
            None => {}
        }
        if self.can.sendmsg_x_counts_lost {
            done = lens().zip(&was_taken).take_while(|(len, taken)| **taken || *len == 0).count();
        }
        Ok((done, bytes))
    }

    fn messages_to_send(
        &self,
        memory: &CallerMemory,
        address: u64,
        count: u32,
        most: usize,
    ) -> Result<Vec<(Header, Buffers)>> {
        if count == 0 || count > BUFFERS_MAX {
            return Err(EINVAL);
        }
        let count = count.min(self.limits().send_messages_max) as usize;
        let mut messages = Vec::new();
        for place in 0..count.min(most) {
            let header = Header::copyin(memory, address, place)?;
            let buffers = header.buffers(memory)?;
            messages.push((header, buffers));
        }
        let limit = u64::from(self.limits().socket_buffer_max);
        let sum = messages.iter().fold(0u64, |sum, (_, buffers)| sum.saturating_add(buffers.total));
        if sum > limit || messages.iter().any(|(header, _)| header.flags() != 0) {
            return Err(EINVAL);
        }
        Ok(messages)
    }
}
