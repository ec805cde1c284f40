//! macOS's half of [`unix`](super).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::{MsgFlags, setsockopt, sockopt};
use nix::unistd::{Uid, getpeereid};
use socket2::SockRef;
use xnu_sys::{Descriptor, Host, SyscallError};

pub(super) use super::bind_privately::bind_at;
pub(super) use super::connect_privately::connect_to_users;
use super::socket_buffers::{Granted, Limit};
use crate::port::Port;
use crate::port::xnu::DatagramPort;

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

/// What a stream knows of the room at its peer: nothing, since XNU tells as soon as there is room
/// for `so_snd.sb_lowat` bytes (`filt_sowrite_common` in bsd/kern/uipc_socket.c).
#[derive(Debug)]
pub(super) struct Room;

impl Room {
    pub(super) const fn of(_granted: Granted) -> Self {
        Self
    }

    pub(super) fn took(&mut self, _frames: usize) {}

    pub(super) fn retry_after(&mut self, _socket: &impl AsFd) -> Option<Duration> {
        None
    }
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

/// A `sockaddr_un`'s first bytes: how long it is, and what it is (sys/un.h).
pub(super) const UNIX_FAMILY: [u8; 2] = [106, 1];

/// Whether the bytes before an address's path are a unix socket's. Its length need not be there.
pub(super) fn is_unix_family(bytes: &[u8]) -> bool {
    bytes.get(1) == Some(&UNIX_FAMILY[1])
}

/// The user at a connected stream's other end, as it was when that connected.
pub(super) fn peer_user(stream: &OwnedFd) -> io::Result<Uid> {
    Ok(getpeereid(stream)?.0)
}

/// A path by which to name what is in an open directory: here, its own. Whoever owns the directory
/// may lead that elsewhere; then a socket with a name that is free there is made there, no more.
pub(super) fn in_directory(_directory: &File, path: &Path) -> PathBuf {
    path.to_owned()
}

/// A port on a connected datagram socket.
pub(super) fn datagram_port(socket: OwnedFd) -> io::Result<Box<dyn Port>> {
    let socket = Descriptor::new(Host, Host.adopt(socket));
    let port = DatagramPort::new(socket).map_err(|SyscallError { errno, .. }| errno)?;
    Ok(Box::new(port))
}
