//! The numbers of the machine that bound sockets, which `sysctl` shows and sets.

use crate::machine::Machine;

/// Limits of sockets now, by version and by `sysctl`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// `kern.ipc.maxsockbuf`.
    pub(super) socket_buffer_max: u32,
    /// Bigger requests are clamped (since 14.4), not refused.
    pub(super) clamps: bool,
    /// `net.local.dgram.maxdgram`: the first `SO_SNDBUF`.
    pub(super) datagram_max: u32,
    /// `net.local.dgram.recvspace`: the first `SO_RCVBUF`.
    pub(super) receive_space: u32,
    /// `kern.ipc.maxrecvmsgx`.
    pub(super) receive_messages_max: u32,
    /// `kern.ipc.maxsendmsgx`, which nothing reads since 14.0 (C23).
    pub(super) send_messages_max: u32,
    /// `kern.ipc.sendmsg_x_mode` is 1: `sendmsg_x` sends one by one (since 14.0).
    pub(super) sends_one_by_one: bool,
}

impl Limits {
    /// Up to 14.3 a buffer may have so much, that its clusters and their mbufs have what the limit
    /// says: 7,456,540 bytes of 8 MiB (§7).
    pub(super) const fn adjusted_max(&self) -> u64 {
        self.socket_buffer_max as u64 * 2048 / (256 + 2048)
    }
}

impl Machine {
    pub(crate) fn limits(&self) -> Limits {
        let number = |name, default| {
            self.sysctls
                .find(name)
                .map_or(default, |value| u32::try_from(value).unwrap_or(u32::MAX))
        };
        Limits {
            socket_buffer_max: number("kern.ipc.maxsockbuf", 8 << 20),
            clamps: self.can.socket_buffers_clamp,
            datagram_max: number("net.local.dgram.maxdgram", 2048),
            receive_space: number("net.local.dgram.recvspace", 4096),
            receive_messages_max: number("kern.ipc.maxrecvmsgx", self.can.messages_max),
            send_messages_max: number("kern.ipc.maxsendmsgx", self.can.messages_max),
            sends_one_by_one: number("kern.ipc.sendmsg_x_mode", 0) == 1,
        }
    }
}
