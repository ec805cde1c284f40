//! `sendmsg_x`.

use xnu_sys::Errno;

use super::{BUFFERS_MAX, Buffers, Header, MSG_DONTWAIT, MSG_NBIO, MSG_SKIPCFIL};
use crate::copyio::CallerMemory;
use crate::errno::{EAGAIN, EINTR, EINVAL, EMSGSIZE, ENOBUFS, ENOTSOCK, EOPNOTSUPP, EPERM, Result};
use crate::machine::Machine;
use crate::object::Object;
use crate::unix::buffer::MadeBy;

impl Machine {
    /// How many messages were sent, and how many bytes; at most `most` messages, which is the fault
    /// plan's.
    pub(crate) fn send_messages(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: u32,
        flags: i32,
        most: usize,
    ) -> Result<(usize, usize)> {
        if flags & MSG_SKIPCFIL != 0 {
            return Err(EPERM);
        }
        if matches!(object, Object::Bpf(_) | Object::Kqueue(_)) {
            return Err(ENOTSOCK);
        }
        if !self.can.sendmsg_x_batches {
            return self.send_messages_up_to_13(memory, object, address, count, most);
        }
        let count = (count as usize).min(most);
        let sends_one_by_one = self.limits().sends_one_by_one;
        match object {
            Object::Unix(id) if self.unix.peer_of(id).is_some() && !sends_one_by_one => {
                self.send_list(memory, id, address, count, flags)
            }
            _ => self.send_one_by_one(memory, object, address, count),
        }
    }

    /// Since 14.0, on a connected datagram socket: all messages are copied in, then sent until one
    /// fails. Names are ignored, and an empty message is `EINVAL` for all of them.
    fn send_list(
        &mut self,
        memory: &CallerMemory,
        id: u32,
        address: u64,
        count: usize,
        flags: i32,
    ) -> Result<(usize, usize)> {
        let mut datagrams = Vec::new();
        for place in 0..count {
            match self.take_in(memory, id, address, place) {
                Ok(Some(datagram)) => datagrams.push(datagram),
                Ok(None) => break,
                // Since 14.4 the messages copied in before are told as sent, although none was.
                Err(errno) if self.can.sendmsg_x_counts_unsent => {
                    return sent(datagrams.len(), 0, Some(errno));
                }
                Err(errno) => return Err(errno),
            }
        }
        if flags & !(MSG_DONTWAIT | MSG_NBIO) != 0 {
            return Err(EINVAL);
        }
        self.unix_check_send(id, false)?;
        let (mut count, mut bytes) = (0, 0);
        for datagram in datagrams {
            if let Err(errno) = self.unix_pass(id, &datagram, None, MadeBy::AllocPacket) {
                return sent(count, bytes, Some(errno));
            }
            count += 1;
            bytes += datagram.len();
        }
        Ok((count, bytes))
    }

    /// A message of a list: `None` ends the list before one that is too big.
    fn take_in(
        &mut self,
        memory: &CallerMemory,
        id: u32,
        address: u64,
        place: usize,
    ) -> Result<Option<Vec<u8>>> {
        let header = Header::copyin(memory, address, place)?;
        let buffers = header.buffers(memory)?;
        if buffers.total > u64::from(self.unix.of(id)?.send_space.bytes_max) {
            return if place == 0 { Err(EMSGSIZE) } else { Ok(None) };
        }
        let is_empty = buffers.total == 0;
        if is_empty || header.has_control() {
            return Err(EINVAL);
        }
        buffers.gather(memory).map(Some)
    }

    /// Since 14.0, on any other socket: one after the other, names and all.
    fn send_one_by_one(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: usize,
    ) -> Result<(usize, usize)> {
        let (mut done, mut bytes) = (0, 0);
        for place in 0..count {
            let header = Header::copyin(memory, address, place);
            let buffers = header.and_then(|header| Ok((header.buffers(memory)?, header)));
            let result = buffers
                .and_then(|(buffers, header)| self.send_it(memory, object, &header, &buffers));
            match result {
                Ok(len) => bytes += len,
                Err(errno) => return sent(done, bytes, Some(errno)),
            }
            done += 1;
        }
        Ok((done, bytes))
    }

    /// `sendit`: one message, as `sendmsg` sends it. Control data are not modelled.
    pub(super) fn send_it(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        header: &Header,
        buffers: &Buffers,
    ) -> Result<usize> {
        let to = header.name(memory)?;
        if header.has_control() {
            return Err(if matches!(object, Object::Ndrv(_)) { EOPNOTSUPP } else { EINVAL });
        }
        if let Object::Unix(id) = object {
            // Nothing is copied in of a message that cannot go.
            self.unix_check_send(id, to.is_some())?;
            if buffers.total > u64::from(self.unix.of(id)?.send_space.bytes_max) {
                return Err(EMSGSIZE);
            }
        }
        let bytes = buffers.gather(memory)?;
        match object {
            Object::Unix(id) => self.unix_send(id, &bytes, to.as_deref())?,
            Object::Ndrv(id) => self.ndrv_send(id, &bytes, to.is_some())?,
            Object::Events(_) => return Err(EOPNOTSUPP),
            Object::Bpf(_) | Object::Kqueue(_) => return Err(ENOTSOCK),
        }
        Ok(bytes.len())
    }

    /// Messages that the fault plan loses on their way: how many, and how many bytes.
    pub(crate) fn lose_messages(
        memory: &CallerMemory,
        address: u64,
        count: u32,
    ) -> Result<(usize, usize)> {
        let count = count.min(BUFFERS_MAX) as usize;
        let mut bytes = 0;
        for place in 0..count {
            let buffers = Header::copyin(memory, address, place)?.buffers(memory)?;
            bytes += buffers.gather(memory)?.len();
        }
        Ok((count, bytes))
    }
}

/// The outcome since 14.0: these errors are not told when messages were sent before (C24); any
/// other is, although they were.
fn sent(count: usize, bytes: usize, error: Option<Errno>) -> Result<(usize, usize)> {
    match error {
        Some(EINTR | EAGAIN | ENOBUFS | EMSGSIZE) if count > 0 => Ok((count, bytes)),
        Some(errno) => Err(errno),
        None => Ok((count, bytes)),
    }
}
