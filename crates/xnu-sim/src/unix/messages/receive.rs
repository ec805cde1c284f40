//! `recvmsg_x`.

use super::{
    BUFFERS_MAX, Buffers, Header, MSG_DONTWAIT, MSG_NBIO, MSG_NEEDSA, MSG_PEEK, MSG_TRUNC,
    MSG_WAITALL,
};
use crate::copyio::CallerMemory;
use crate::errno::{EAGAIN, EINVAL, ENOTSOCK, EOPNOTSUPP, Result};
use crate::machine::Machine;
use crate::object::Object;

impl Machine {
    /// How many messages were received, and how many bytes; at most `most` messages, which is the
    /// fault plan's.
    pub(crate) fn receive_messages(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: u32,
        flags: i32,
        most: usize,
    ) -> Result<(usize, usize)> {
        if matches!(object, Object::Bpf(_) | Object::Kqueue(_)) {
            return Err(ENOTSOCK);
        }
        let allowed = if self.can.messages_are_strict {
            MSG_PEEK | MSG_WAITALL | MSG_DONTWAIT | MSG_NEEDSA | MSG_NBIO
        } else {
            MSG_DONTWAIT | MSG_NBIO
        };
        if self.can.messages_are_strict && flags & !allowed != 0 {
            return Err(EOPNOTSUPP);
        }
        if count == 0 || count > BUFFERS_MAX || flags & !allowed != 0 {
            return Err(EINVAL);
        }
        let count = count.min(self.limits().receive_messages_max.max(1)) as usize;
        let count = count.min(most);
        if self.can.messages_are_strict {
            self.receive_one_by_one(memory, object, address, count, flags)
        } else {
            self.receive_list(memory, object, address, count)
        }
    }

    /// Up to 13: all headers are checked, then each message is one `soreceive`, until one does not
    /// fit its buffers. An error other than `EAGAIN` is given although messages came, which are
    /// lost so; and so is `EAGAIN` when nothing but empty datagrams came.
    fn receive_one_by_one(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: usize,
        flags: i32,
    ) -> Result<(usize, usize)> {
        let mut messages = Vec::new();
        for place in 0..count {
            let header = Header::copyin(memory, address, place)?;
            let buffers = header.buffers(memory)?;
            messages.push((header, buffers));
        }
        let limit = u64::from(self.limits().socket_buffer_max);
        let sum = messages.iter().fold(0u64, |sum, (_, buffers)| sum.saturating_add(buffers.total));
        if sum > limit || messages.iter().any(|(header, _)| header.flags() != 0) {
            return Err(EINVAL);
        }
        let (mut received, mut bytes) = (0, 0);
        let mut error = None;
        for (header, buffers) in &mut messages {
            let (datagram, from) = match self.next_datagram(object, flags & MSG_PEEK != 0) {
                Ok(next) => next,
                Err(errno) => {
                    error = Some(errno);
                    break;
                }
            };
            let len = buffers.scatter(memory, &datagram)?;
            header.put_name(memory, &from)?;
            let is_cut = len < datagram.len();
            let kept = flags & !MSG_DONTWAIT;
            header.put_received(len, if is_cut { kept | MSG_TRUNC } else { kept });
            received += 1;
            bytes += len;
            if is_cut {
                break;
            }
        }
        if let Some(errno) = error.filter(|errno| *errno != EAGAIN || bytes == 0) {
            return Err(errno);
        }
        for (place, (header, _)) in messages.iter_mut().enumerate() {
            if place >= received {
                header.put_unused();
            }
            header.copyout(memory)?;
        }
        Ok((received, bytes))
    }

    /// Since 14.0: the batch is dequeued in one go, then copied out. What cannot be copied out is
    /// lost, and nobody tells of a datagram that was cut.
    fn receive_list(
        &mut self,
        memory: &CallerMemory,
        object: Object,
        address: u64,
        count: usize,
    ) -> Result<(usize, usize)> {
        let mut datagrams = Vec::new();
        let mut error = None;
        while datagrams.len() < count {
            match self.next_datagram_unsignalled(object, !datagrams.is_empty()) {
                Ok(Some(next)) => datagrams.push(next),
                Ok(None) => break,
                Err(errno) => {
                    error = Some(errno);
                    break;
                }
            }
        }
        if let Object::Unix(id) = object {
            // Once for the whole call, and even if it received nothing (M25).
            self.unix_wake_writer(id);
        }
        if let Some(errno) = error {
            return Err(errno);
        }
        let (mut bytes, mut room_for) = (0, None);
        for (place, (datagram, from)) in datagrams.iter().enumerate() {
            let mut header = Header::copyin(memory, address, place)?;
            let buffers = header.buffers(memory)?;
            room_for = Some(buffers.vector_memory(room_for));
            let len = buffers.scatter(memory, datagram)?;
            header.put_name(memory, from)?;
            header.put_received(len, 0);
            header.copyout(memory)?;
            bytes += len;
        }
        Ok((datagrams.len(), bytes))
    }

    /// As `soreceive`.
    fn next_datagram(&mut self, object: Object, peek: bool) -> Result<(Vec<u8>, Vec<u8>)> {
        match object {
            Object::Unix(id) => self.unix_receive(id, peek),
            Object::Events(id) => self.events_read(id).map(|event| (event, Vec::new())),
            // Nothing ever comes (contract §6), and the others are no sockets.
            Object::Ndrv(_) | Object::Bpf(_) | Object::Kqueue(_) => Err(EAGAIN),
        }
    }

    /// One of a batch: `None` when there are no more. Only the first can find an error.
    fn next_datagram_unsignalled(
        &mut self,
        object: Object,
        is_later: bool,
    ) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Object::Unix(id) = object else {
            return match self.next_datagram(object, false) {
                Err(EAGAIN) if is_later => Ok(None),
                next => next.map(Some),
            };
        };
        let socket = self.unix.of(id)?;
        match socket.receive.take() {
            Some(record) => Ok(Some((record.bytes, record.from))),
            None if is_later || socket.is_at_end() => Ok(None),
            None => socket.nothing_to_receive(false).map(Some),
        }
    }
}

impl Header {
    /// What an unused header says after a call that copies all of them out.
    fn put_unused(&mut self) {
        use super::{DATA_LEN, FLAGS};
        use crate::copyio::RawMut;
        self.raw.put_u32(FLAGS, 0);
        self.raw.put_u64(DATA_LEN, 0);
    }
}

impl Buffers {
    /// Since 14.0 the memory for a message's vector is used again for the next message that has *as
    /// many or more* buffers (`recvmsg_x` compares the wrong way round): more are written past its
    /// end, over whatever the kernel has there.
    fn vector_memory(&self, before: Option<usize>) -> usize {
        let count = self.buffers.len();
        assert!(
            before.is_none_or(|before| count <= before),
            "recvmsg_x: a message with {count} buffers after one with {before:?}: since macOS 14.0 \
             the kernel writes past the end of its memory; give all messages as many buffers",
        );
        count
    }
}
