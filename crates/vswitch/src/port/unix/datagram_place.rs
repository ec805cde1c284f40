//! The path of a Mac's unixgram port in the file system, and the way from there to its peer.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use socket2::{SockAddr, SockRef, Type};
use xnu_sys::Errno;

use super::peer_record::PeerRecord;
use super::private_directory::PrivateDirectory;
use super::socket_path::{Access, PathError, SocketPath, unconnected};
use super::trap::is_trap;
use crate::port::xnu::{Place, Unreached};

/// A path at which a datagram socket is bound, with the record of its peer.
#[derive(Debug)]
pub struct DatagramPlace {
    path: SocketPath,
    record: PeerRecord,
}

impl DatagramPlace {
    /// Binds a non-blocking datagram socket at `path`.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn bind(path: &Path, access: Access) -> Result<(OwnedFd, Self), PathError> {
        let (socket, path) = SocketPath::bind(path, Type::DGRAM, access)?;
        let record = PeerRecord::beside(path.as_path());
        Ok((socket, Self { path, record }))
    }
}

impl Place for DatagramPlace {
    fn path(&self) -> &Path {
        self.path.as_path()
    }

    fn remembered(&self) -> Option<PathBuf> {
        self.record.peer().map(Path::to_owned)
    }

    fn remember(&mut self, peer: Option<&Path>) {
        self.record.remember(peer);
    }

    /// What stands at a path can be exchanged between a look and a connect. So where that matters,
    /// the socket gets a second name in a directory that nobody else may enter, and is looked at
    /// and connected to by that one.
    fn reach(
        &self,
        peer: &Path,
        connect: &mut dyn FnMut(&Path) -> Result<(), Errno>,
    ) -> Result<(), Unreached> {
        let (switch, own_owner) = (Uid::effective(), self.path.owner());
        if !is_trap(switch, own_owner, Uid::from_raw(0)) {
            return connect(peer).map_err(Unreached::from);
        }
        // A peer that is away is looked for several times a second: that makes no directory.
        if !is_alive(peer) {
            return Err(Unreached::Dead);
        }
        let refused = |error: io::Error| Unreached::Refused(error.to_string());
        let directory = PrivateDirectory::beside(peer).map_err(refused)?;
        directory.link_from(peer).map_err(refused)?;
        let (_, there) = directory.socket().map_err(refused)?;
        if is_trap(switch, own_owner, there) {
            let why = "it is a socket of root's, and this port is not";
            return Err(Unreached::Refused(why.to_owned()));
        }
        connect(&directory.socket_path()).map_err(Unreached::from)
    }
}

/// Whether anything else than nobody is there. Tells nobody anything: it only connects.
fn is_alive(peer: &Path) -> bool {
    let tried = unconnected(Type::DGRAM)
        .and_then(|trial| SockRef::from(&trial).connect(&SockAddr::unix(peer)?));
    !tried
        .is_err_and(|error| matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ENOENT)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{chown, symlink};
    use std::os::unix::net::UnixDatagram;

    use super::*;

    /// Reaches `peer` by a socket of its own, as the port would, and says something there. The
    /// name that was connected to.
    fn reach(place: &DatagramPlace, peer: &Path) -> Result<PathBuf, Unreached> {
        let mut by = PathBuf::new();
        place.reach(peer, &mut |name| {
            by = name.to_owned();
            let socket = UnixDatagram::unbound().unwrap();
            socket.connect(name).map_err(|error| match error.raw_os_error() {
                Some(libc::ENOENT) => Errno::ENOENT,
                Some(libc::ECONNREFUSED) => Errno::ECONNREFUSED,
                _ => Errno::EINVAL,
            })?;
            socket.send(b"frame").unwrap();
            Ok(())
        })?;
        Ok(by)
    }

    fn refusal(place: &DatagramPlace, peer: &Path) -> String {
        match reach(place, peer) {
            Err(Unreached::Refused(why)) => why,
            other => panic!("{peer:?}: {other:?}"),
        }
    }

    #[test]
    fn ones_own_port_reaches_any_peer_by_its_path() {
        let dir = testkit::scratch_dir();
        let (_socket, place) =
            DatagramPlace::bind(&dir.path().join("a"), Access::default()).unwrap();
        let path = dir.path().join("vm");
        let peer = UnixDatagram::bind(&path).unwrap();
        assert_eq!(reach(&place, &path).unwrap(), path);
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
        drop(peer);
        assert!(matches!(reach(&place, &path), Err(Unreached::Dead)));
        assert!(matches!(reach(&place, &dir.path().join("none")), Err(Unreached::Dead)));
    }

    /// A port of a user's, of a switch that is root; `None` where this is not root.
    fn of_a_user(dir: &Path) -> Option<(OwnedFd, DatagramPlace)> {
        let access = Access { owner: Some(Uid::from_raw(USER)), ..Access::default() };
        match DatagramPlace::bind(&dir.join("a"), access) {
            Ok(bound) if Uid::effective().is_root() => Some(bound),
            _ => {
                testkit::skip("only root may give a socket to another user");
                None
            }
        }
    }

    const USER: u32 = 1000;

    #[test]
    fn root_reaches_a_users_peer_by_a_name_that_nobody_can_exchange() {
        let dir = testkit::scratch_dir();
        let Some((_socket, place)) = of_a_user(dir.path()) else { return };
        let path = dir.path().join("vm");
        let peer = UnixDatagram::bind(&path).unwrap();
        chown(&path, Some(USER), None).unwrap();
        assert_ne!(reach(&place, &path).unwrap(), path);
        assert_eq!(peer.recv(&mut [0; 8]).unwrap(), 5);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "that name has gone");
        drop(peer);
        assert!(matches!(reach(&place, &path), Err(Unreached::Dead)));
        assert!(matches!(reach(&place, &dir.path().join("none")), Err(Unreached::Dead)));
    }

    #[test]
    fn root_is_not_lured_to_its_own_sockets_by_a_users_peer() {
        let dir = testkit::scratch_dir();
        let Some((_socket, place)) = of_a_user(dir.path()) else { return };
        let roots = dir.path().join("roots");
        let trap = UnixDatagram::bind(&roots).unwrap();
        assert!(refusal(&place, &roots).contains("a socket of root's"));
        let link = dir.path().join("link");
        symlink(&roots, &link).unwrap();
        assert!(refusal(&place, &link).contains("no socket"));
        fs::write(dir.path().join("file"), "").unwrap();
        chown(dir.path().join("file"), Some(USER), None).unwrap();
        assert!(matches!(reach(&place, &dir.path().join("file")), Err(Unreached::Dead)));
        trap.set_nonblocking(true).unwrap();
        assert!(trap.recv(&mut [0; 8]).is_err(), "nothing came there");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
