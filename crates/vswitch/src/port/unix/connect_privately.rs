//! Connecting to a socket of a certain user's where no descriptor leads to a socket's file (macOS,
//! and POSIX at large).
//!
//! What stands at a path can be exchanged between a look and a connect. So the socket gets a second
//! name in a directory that nobody else may enter, and is looked at and connected to by that one.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::unistd::Uid;
use socket2::{SockAddr, SockRef};

use super::private_directory::PrivateDirectory;

/// Connects to the socket at `path` if it is `user`'s.
pub(super) fn connect_to_users(socket: &OwnedFd, path: &Path, user: Uid) -> io::Result<()> {
    let directory = PrivateDirectory::beside(path)?;
    directory.link_from(path)?;
    let (_, owner) = directory.socket()?;
    if owner != user {
        return Err(io::Error::other("it is another user's socket"));
    }
    SockRef::from(socket).connect(&SockAddr::unix(directory.socket_path())?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixDatagram;

    use socket2::Type;

    use super::super::platform::connect_to_users as as_this_system_does;
    use super::super::socket_path::unconnected;
    use super::*;

    type Way = fn(&OwnedFd, &Path, Uid) -> io::Result<()>;

    /// By whatever this system does it, and by this.
    const WAYS: [Way; 2] = [as_this_system_does, connect_to_users];

    #[test]
    fn a_users_own_socket_and_nothing_that_stands_for_it() {
        let (me, other) = (Uid::effective(), Uid::from_raw(Uid::effective().as_raw() + 1));
        for connect in WAYS {
            let dir = testkit::scratch_dir();
            let path = dir.path().join("peer");
            let peer = UnixDatagram::bind(&path).unwrap();
            peer.set_nonblocking(true).unwrap();
            symlink(&path, dir.path().join("link")).unwrap();
            std::fs::write(dir.path().join("file"), "").unwrap();
            let refusal = |name: &str, user| {
                let socket = unconnected(Type::DGRAM).unwrap();
                let refused = connect(&socket, &dir.path().join(name), user).unwrap_err();
                let sent = UnixDatagram::from(socket).send(b"frame");
                assert!(sent.is_err(), "{name}: it is connected all the same");
                refused.to_string()
            };
            assert!(refusal("peer", other).contains("another user's socket"));
            assert!(refusal("link", me).contains("no socket"));
            assert!(refusal("file", me).contains("no socket"));
            assert!(refusal("none", me).contains("No such file"));
            let socket = unconnected(Type::DGRAM).unwrap();
            connect(&socket, &path, me).unwrap();
            UnixDatagram::from(socket).send(b"hello").unwrap();
            assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left");
        }
    }
}
