//! macOS's half of [`unix`](super).

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::{MsgFlags, setsockopt, sockopt};
use socket2::SockRef;

pub(super) use super::bind_privately::bind_at;
use super::socket_buffers::Limit;

/// The most bytes of a path that fit a `sockaddr_un` with the zero behind them (sys/un.h).
pub const PATH_MAX_BYTES: usize = 103;

/// XNU takes no flag against `SIGPIPE`, and `MSG_DONTWAIT` does not keep a full stream from waiting
/// (`sosendcheck` in bsd/kern/uipc_socket.c looks at the socket's own mode): [`prepare_stream`]
/// sees to both.
pub(super) const STREAM_SEND_FLAGS: MsgFlags = MsgFlags::empty();

/// Makes the socket non-blocking, for whoever else has it too, and has a write to nobody answer
/// `EPIPE` without a signal.
pub(super) fn prepare_stream(socket: &OwnedFd) {
    let socket = SockRef::from(socket);
    // Refused (EINVAL) only when the peer has gone already, which the next call will tell as well;
    // Rust's programs ignore the signal in any case.
    let _ = socket.set_nosigpipe(true);
    // Of an open socket it cannot fail.
    let _ = socket.set_nonblocking(true);
}

/// What cuts a buffer: a request above 8/9 of the limit (`sbreserve` in
/// bsd/kern/uipc_socket2.c) is refused up to macOS 14.3, and cut from 14.4 on.
pub(super) const SEND_LIMIT: Limit = Limit {
    sysctl: "kern.ipc.maxsockbuf",
    sysctl_bytes: |wanted| wanted + wanted.div_ceil(8),
    otherwise: "",
    usable_bytes: |granted| granted,
};

/// The same.
pub(super) const RECEIVE_LIMIT: Limit = SEND_LIMIT;

/// Asks for a send buffer. `ENOBUFS` for one that is too large, which changes nothing.
pub(super) fn ask_send_bytes(socket: &impl AsFd, bytes: usize) -> nix::Result<()> {
    setsockopt(socket, sockopt::SndBuf, &bytes)
}

/// As [`ask_send_bytes`].
pub(super) fn ask_receive_bytes(socket: &impl AsFd, bytes: usize) -> nix::Result<()> {
    setsockopt(socket, sockopt::RcvBuf, &bytes)
}
