//! Linux's half of [`unix`](super).

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::socket::{MsgFlags, getsockopt, setsockopt, sockopt};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Uid, fchownat};
use socket2::{SockAddr, SockRef};

use super::socket_buffers::Limit;
use super::socket_path::{Access, Identity, PathError, SocketPath};
use crate::port::Port;
pub(super) use crate::port::linux::Room;
use crate::port::linux::{DatagramPort, peer_connect};

/// The most bytes of a path that fit a `sockaddr_un` with the zero behind them (unix(7)).
pub const PATH_MAX_BYTES: usize = 107;

/// A stream is written without waiting, and without a signal where nobody reads any more.
pub(super) const STREAM_SEND_FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

/// The flags of each call say all that is to be said: the socket's blocking mode does not matter
/// and is not changed, since it may be shared with another process.
pub(super) fn prepare_stream(_socket: &OwnedFd) {}

/// What cuts a send buffer. It is counted twice over, bookkeeping included (socket(7)).
pub(super) const SEND_LIMIT: Limit = Limit {
    sysctl: "net.core.wmem_max",
    sysctl_bytes: |wanted| wanted,
    otherwise: ", or run with CAP_NET_ADMIN",
    usable_bytes: |granted| granted / 2,
};

/// What cuts a receive buffer.
pub(super) const RECEIVE_LIMIT: Limit = Limit { sysctl: "net.core.rmem_max", ..SEND_LIMIT };

/// Asks for a send buffer, past the limit where that is allowed. Beyond the limit the kernel cuts
/// without an error.
pub(super) fn ask_send_bytes(socket: &impl AsFd, bytes: usize) -> nix::Result<()> {
    setsockopt(socket, sockopt::SndBufForce, &bytes)
        .or_else(|_| setsockopt(socket, sockopt::SndBuf, &bytes))
}

/// As [`ask_send_bytes`].
pub(super) fn ask_receive_bytes(socket: &impl AsFd, bytes: usize) -> nix::Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &bytes)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &bytes))
}

/// Binds `socket` to `path`, where nothing is. The file is its owner's alone until it is given
/// away, which happens by its descriptor: whoever may write to the directory could put a link to
/// another's file in its place, and root would give that away.
pub(super) fn bind_at(
    socket: &OwnedFd,
    path: &Path,
    access: Access,
) -> Result<SocketPath, PathError> {
    let os = |call| {
        let path = path.to_owned();
        move |source: io::Error| PathError::Os { call, path, source }
    };
    // Linux gives the file the mode that the unbound socket has (unix_bind_bsd): nobody gets in
    // before the owner is set.
    fchmod(socket, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| os("restrict")(errno.into()))?;
    let address = SockAddr::unix(path).map_err(os("bind"))?;
    SockRef::from(socket).bind(&address).map_err(os("bind"))?;
    let (file, identity) = bound_file(path)?;
    let bound = SocketPath::placed(path, identity, access);
    give(&file, access).map_err(|(call, source)| os(call)(source))?;
    Ok(bound)
}

/// The file of a socket that was just bound, as it is (no link is followed), with its identity.
fn bound_file(path: &Path) -> Result<(File, Identity), PathError> {
    let os = |source| PathError::Os { call: "look at", path: path.to_owned(), source };
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(os)?;
    let found = fstat(&file).map_err(|errno| os(errno.into()))?;
    match Identity::of_socket(&found) {
        Some(identity) => Ok((file, identity)),
        None => Err(PathError::NotASocket { path: path.to_owned() }),
    }
}

/// Changes the file itself, not what its path leads to by now.
fn give(file: &File, access: Access) -> Result<(), (&'static str, io::Error)> {
    if access.owner.is_some() || access.group.is_some() {
        fchownat(file, "", access.owner, access.group, AtFlags::AT_EMPTY_PATH)
            .map_err(|errno| ("change the owner of", errno.into()))?;
    }
    let mode = fs::Permissions::from_mode(access.mode & 0o777);
    // fchmod(2) takes no descriptor opened with O_PATH; its name in proc(5) leads to the file.
    let file = format!("/proc/self/fd/{}", file.as_raw_fd());
    fs::set_permissions(file, mode).map_err(|source| ("change the mode of", source))
}

/// A `sockaddr_un`'s first bytes.
pub(super) const UNIX_FAMILY: [u8; 2] = 1_u16.to_ne_bytes();

/// Whether the bytes before an address's path are a unix socket's.
pub(super) fn is_unix_family(bytes: &[u8]) -> bool {
    bytes == UNIX_FAMILY
}

/// The user at a connected stream's other end, as it was when that connected.
pub(super) fn peer_user(stream: &OwnedFd) -> io::Result<Uid> {
    Ok(Uid::from_raw(getsockopt(stream, sockopt::PeerCredentials)?.uid()))
}

/// Connects to the socket at `path` if it is `user`'s. It is the one looked at that is connected
/// to, whatever stands at the path by then.
pub(super) fn connect_to_users(socket: &OwnedFd, path: &Path, user: Uid) -> io::Result<()> {
    peer_connect::connect_to_users(socket.as_fd(), path, user)
}

/// A path by which to name what is in an open directory, wherever its own path leads to by now.
pub(super) fn in_directory(directory: &File, _path: &Path) -> PathBuf {
    format!("/proc/self/fd/{}", directory.as_raw_fd()).into()
}

/// A port on a connected datagram socket.
pub(super) fn datagram_port(socket: OwnedFd) -> io::Result<Box<dyn Port>> {
    Ok(Box::new(DatagramPort::new(socket)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_link_put_in_its_place_gives_nothing_away() {
        let dir = testkit::scratch_dir();
        let (path, precious) = (dir.path().join("a"), dir.path().join("precious"));
        fs::write(&precious, "root's").unwrap();
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
        let _socket = UnixDatagram::bind(&path).unwrap();
        let (file, _) = bound_file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        let owner = Some(Uid::effective());
        give(&file, Access { owner, group: None, mode: 0o666 }).unwrap();
        assert_eq!(fs::metadata(&precious).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bound_file(&path).is_err(), "nor is a link taken for the socket");
    }
}
