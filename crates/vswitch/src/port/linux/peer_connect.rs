//! Connecting to the path that a peer says is its own.
//!
//! A switch that runs as root may connect to any socket of the machine, and its peers may not. The
//! path is the peer's word, and what stands there can be changed at any time: so the switch looks
//! at what it opened, and connects to that.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::Uid;

use super::sys::{self, PeerAddress};
use crate::port::unix::trap::is_trap;

/// Connects `socket` to `peer`.
///
/// Root does so only to sockets of ordinary users, unless its own path is root's alone: links are
/// not followed, and a socket of root's is refused when somebody else owns `own_path_owner`'s path.
///
/// # Errors
/// `ENOENT` and `ECONNREFUSED` when nobody is there any more; otherwise what stands against it.
pub(super) fn connect(
    socket: BorrowedFd<'_>,
    peer: &PeerAddress,
    own_path_owner: Uid,
) -> io::Result<()> {
    // An abstract address is no path: it was the peer's own when the kernel told it.
    let Some(path) = peer.file() else { return sys::connect(socket, peer) };
    connect_unless(socket, path, |owner| {
        let is_trap = is_trap(Uid::effective(), own_path_owner, owner);
        is_trap.then_some("it is a socket of root's, and this port is not")
    })
}

/// Connects `socket` to the socket at `path` if it is `user`'s; links are not followed.
///
/// # Errors
/// As [`connect`].
pub(in crate::port) fn connect_to_users(
    socket: BorrowedFd<'_>,
    path: &Path,
    user: Uid,
) -> io::Result<()> {
    connect_unless(socket, path, |owner| (owner != user).then_some("it is another user's socket"))
}

/// Connects to what is at `path` unless something stands against its owner.
fn connect_unless(
    socket: BorrowedFd<'_>,
    path: &Path,
    why_not: impl FnOnce(Uid) -> Option<&'static str>,
) -> io::Result<()> {
    let file = open_itself(path)?;
    let metadata = file.metadata()?;
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other("what is there is no socket"));
    }
    if let Some(why_not) = why_not(Uid::from_raw(metadata.uid())) {
        return Err(io::Error::other(why_not));
    }
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    match PeerAddress::at(Path::new(&opened)) {
        Some(opened) => sys::connect(socket, &opened),
        None => Err(io::Error::other("its descriptor has no name")),
    }
}

/// Opens what stands at `path`, a link itself instead of what it leads to, without using it.
fn open_itself(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn address(path: &Path) -> PeerAddress {
        PeerAddress::at(path).unwrap()
    }

    #[test]
    fn the_socket_itself_and_nothing_that_stands_for_it() {
        let dir = testkit::scratch_dir();
        let ours = UnixDatagram::bind(dir.path().join("ours")).unwrap();
        let peer = UnixDatagram::bind(dir.path().join("peer")).unwrap();
        let me = Uid::effective();
        connect(ours.as_fd(), &address(&dir.path().join("peer")), me).unwrap();
        ours.send(b"hello").unwrap();
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
        symlink(dir.path().join("peer"), dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        for (name, why) in [("link", "no socket"), ("file", "no socket"), ("none", "No such file")]
        {
            let refused = connect(ours.as_fd(), &address(&dir.path().join(name)), me);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains(why), "{name}: {refused}");
        }
        drop(peer);
        let dead = connect(ours.as_fd(), &address(&dir.path().join("peer")), me).unwrap_err();
        assert_eq!(dead.raw_os_error(), Some(libc::ECONNREFUSED));
    }
}
