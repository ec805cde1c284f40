//! Socket options (XNU `bsd/kern/uipc_socket.c`, `sosetoptlock` and `sogetoptlock`).

use crate::copyio::{Raw, RawMut};
use crate::errno::{EINVAL, ENOPROTOOPT, EOPNOTSUPP, Result};
use crate::machine::Machine;
use crate::object::Object;

const SOL_SOCKET: i32 = 0xffff;
const SOL_LOCAL: i32 = 0;

const SO_SNDBUF: i32 = 0x1001;
const SO_RCVBUF: i32 = 0x1002;
const SO_SNDLOWAT: i32 = 0x1003;
const SO_RCVLOWAT: i32 = 0x1004;
const SO_ERROR: i32 = 0x1007;
const SO_TYPE: i32 = 0x1008;
const SO_NREAD: i32 = 0x1020;
const SO_NOSIGPIPE: i32 = 0x1022;
const SO_NWRITE: i32 = 0x1024;
const SO_NUMRCVPKT: i32 = 0x1112;

/// Options that are kept and do nothing to a datagram socket: debug, reuse of addresses and ports,
/// keep-alive, routing, broadcast, loopback, out-of-band data, timestamps.
const KEPT: i32 = 0x1 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x400;

impl Machine {
    pub(crate) fn unix_getsockopt(&mut self, id: u32, level: i32, name: i32) -> Result<Vec<u8>> {
        let socket = self.unix.of(id)?;
        if level != SOL_SOCKET {
            return Err(if level == SOL_LOCAL { EOPNOTSUPP } else { ENOPROTOOPT });
        }
        let value = match name {
            SO_SNDBUF => u64::from(socket.send_space.bytes_max),
            SO_RCVBUF => u64::from(socket.receive.space.bytes_max),
            SO_SNDLOWAT => u64::from(socket.send_lowat),
            SO_RCVLOWAT => u64::from(socket.receive.lowat),
            SO_ERROR => socket.error.take().map_or(0, |errno| u64::from(errno.0.unsigned_abs())),
            SO_TYPE => 2,
            SO_NREAD => socket.receive.peek().map_or(0, |record| record.bytes.len() as u64),
            SO_NOSIGPIPE => u64::from(socket.no_sigpipe),
            // Nothing is ever kept at the sender.
            SO_NWRITE => 0,
            SO_NUMRCVPKT => socket.receive.datagrams() as u64,
            _ if is_kept(name) => u64::from(socket.options & name.cast_unsigned()),
            _ => return Err(ENOPROTOOPT),
        };
        let mut bytes = vec![0; 4];
        bytes.put_u32(0, u32::try_from(value).unwrap_or(u32::MAX));
        Ok(bytes)
    }

    pub(crate) fn unix_setsockopt(
        &mut self,
        id: u32,
        level: i32,
        name: i32,
        value: &[u8],
    ) -> Result<()> {
        let limits = self.limits();
        let socket = self.unix.of(id)?;
        if socket.is_send_shut && socket.is_receive_shut {
            return Err(EINVAL);
        }
        if level != SOL_SOCKET {
            return Err(if level == SOL_LOCAL { EOPNOTSUPP } else { ENOPROTOOPT });
        }
        let is_size = (SO_SNDBUF..=SO_RCVLOWAT).contains(&name);
        if !is_size && name != SO_NOSIGPIPE && !is_kept(name) {
            return Err(ENOPROTOOPT);
        }
        if value.len() < 4 || is_size && value.u32_at(0).cast_signed() < 1 {
            return Err(EINVAL);
        }
        let value = value.u32_at(0);
        match name {
            SO_SNDBUF => {
                socket.send_space.reserve(value, &limits)?;
                socket.send_lowat = socket.send_lowat.min(socket.send_space.bytes_max);
            }
            SO_RCVBUF => {
                socket.receive.space.reserve(value, &limits)?;
                socket.receive.lowat = socket.receive.lowat.min(socket.receive.space.bytes_max);
            }
            SO_SNDLOWAT => {
                socket.send_lowat = value.min(socket.send_space.bytes_max);
                self.activate_writers(Object::Unix(id));
            }
            SO_RCVLOWAT => {
                socket.receive.lowat = value.min(socket.receive.space.bytes_max);
                // Of a connected socket it looks at the peer's send buffer, which is ever empty.
                if socket.peer.is_none() {
                    self.activate_readers(Object::Unix(id));
                }
            }
            SO_NOSIGPIPE => socket.no_sigpipe = value != 0,
            _ if value != 0 => socket.options |= name.cast_unsigned(),
            _ => socket.options &= !name.cast_unsigned(),
        }
        Ok(())
    }
}

const fn is_kept(name: i32) -> bool {
    name & !KEPT == 0 && name.count_ones() == 1
}
