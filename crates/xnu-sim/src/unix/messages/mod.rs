//! `recvmsg_x` and `sendmsg_x` (XNU `bsd/kern/uipc_syscalls.c`): two makes of each, up to macOS 13
//! and since 14.0.

mod receive;
mod send;
mod send_up_to_13;

use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EINVAL, EMSGSIZE, ENAMETOOLONG, Result};

/// `sizeof(struct user64_msghdr_x)`.
const HEADER_LEN: usize = 56;
const NAME: usize = 0;
const NAME_LEN: usize = 8;
const VECTOR: usize = 16;
const VECTOR_LEN: usize = 24;
const CONTROL: usize = 32;
const CONTROL_LEN: usize = 40;
const FLAGS: usize = 44;
const DATA_LEN: usize = 48;

/// `UIO_MAXIOV`: the most buffers of a message, and the most messages.
const BUFFERS_MAX: u32 = 1024;

const MSG_PEEK: i32 = 0x2;
const MSG_TRUNC: i32 = 0x10;
const MSG_WAITALL: i32 = 0x40;
const MSG_DONTWAIT: i32 = 0x80;
const MSG_NEEDSA: i32 = 0x1_0000;
const MSG_NBIO: i32 = 0x2_0000;
const MSG_SKIPCFIL: i32 = 0x4_0000;

/// One message's header, copied in.
#[derive(Debug)]
struct Header {
    raw: Vec<u8>,
    address: u64,
}

impl Header {
    /// The header at a place of the caller's array.
    fn copyin(memory: &CallerMemory, array: u64, place: usize) -> Result<Self> {
        let address = array.wrapping_add((place * HEADER_LEN) as u64);
        // A null array is no address at any place.
        memory.copyin(array, 1)?;
        Ok(Self { raw: memory.copyin(address, HEADER_LEN)?, address })
    }

    fn copyout(&self, memory: &CallerMemory) -> Result<()> {
        memory.copyout(&self.raw, self.address)
    }

    /// Its buffers; none, or more than 1,024, is `EMSGSIZE`.
    fn buffers(&self, memory: &CallerMemory) -> Result<Buffers> {
        let count = self.raw.u32_at(VECTOR_LEN);
        if count == 0 || count > BUFFERS_MAX {
            return Err(EMSGSIZE);
        }
        let vector = memory.copyin(self.raw.u64_at(VECTOR), count as usize * 16)?;
        let buffers: Vec<(u64, u64)> =
            vector.chunks_exact(16).map(|buffer| (buffer.u64_at(0), buffer.u64_at(8))).collect();
        let add = |sum: u64, (_, len): &(u64, u64)| sum.checked_add(*len);
        let total = buffers.iter().try_fold(0, add).filter(|len| i64::try_from(*len).is_ok());
        Ok(Buffers { total: total.ok_or(EINVAL)?, buffers })
    }

    /// The address to send to, if it has one.
    fn name(&self, memory: &CallerMemory) -> Result<Option<Vec<u8>>> {
        let (address, len) = (self.raw.u64_at(NAME), self.raw.u32_at(NAME_LEN));
        if address == 0 {
            return Ok(None);
        }
        match len {
            0..=1 => Err(EINVAL),
            2..=255 => memory.copyin(address, len as usize).map(Some),
            _ => Err(ENAMETOOLONG),
        }
    }

    /// Puts the sender's address where the caller has room for it, and its whole length.
    fn put_name(&mut self, memory: &CallerMemory, from: &[u8]) -> Result<()> {
        let (address, room) = (self.raw.u64_at(NAME), self.raw.u32_at(NAME_LEN) as usize);
        if address == 0 || room == 0 {
            return Ok(());
        }
        memory.copyout(&from[..from.len().min(room)], address)?;
        self.raw.put_u32(NAME_LEN, u32::try_from(from.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn has_control(&self) -> bool {
        self.raw.u64_at(CONTROL) != 0 && self.raw.u32_at(CONTROL_LEN) != 0
    }

    fn flags(&self) -> i32 {
        self.raw.u32_at(FLAGS).cast_signed()
    }

    /// Says how much came, with which flags. There is never control data.
    fn put_received(&mut self, len: usize, flags: i32) {
        self.raw.put_u32(FLAGS, flags.cast_unsigned());
        self.raw.put_u64(DATA_LEN, len as u64);
        if self.has_control() {
            self.raw.put_u32(CONTROL_LEN, 0);
        }
    }
}

/// A message's buffers in the caller's memory: address and length of each.
#[derive(Debug)]
struct Buffers {
    buffers: Vec<(u64, u64)>,
    total: u64,
}

impl Buffers {
    /// All their bytes.
    fn gather(&self, memory: &CallerMemory) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for &(address, len) in &self.buffers {
            let len = usize::try_from(len).map_err(|_| EINVAL)?;
            bytes.extend_from_slice(&memory.copyin(address, len)?);
        }
        Ok(bytes)
    }

    /// Puts bytes there, as many as there is room for: how many.
    fn scatter(&self, memory: &CallerMemory, bytes: &[u8]) -> Result<usize> {
        let mut rest = bytes;
        for &(address, room) in &self.buffers {
            let len = usize::try_from(room).map_or(rest.len(), |room| room.min(rest.len()));
            let (here, later) = rest.split_at(len);
            memory.copyout(here, address)?;
            rest = later;
        }
        Ok(bytes.len() - rest.len())
    }
}
