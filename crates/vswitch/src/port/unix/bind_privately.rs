//! Binding a path where no descriptor leads to a socket's file (macOS, and POSIX at large).
//!
//! There bind(2) makes the file with the mode that the process's umask leaves, and owner and mode
//! can be changed by name only. A umask set for the moment would be every thread's; and between the
//! bind and the change, whoever may write to the directory could put another's file (a link to it,
//! or a second name of it) in the socket's place, which root would then give away.
//!
//! So the socket is bound inside a fresh directory beside its path that nobody else may enter, gets
//! its owner and mode there, and then its place by link(2), which takes no place that is taken. One
//! thing shows: the socket's own address is the name it was bound by. Peers find it by its path,
//! and do not need that address.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use socket2::{SockAddr, SockRef};

use super::private_directory::PrivateDirectory;
use super::socket_path::{Access, PathError, SocketPath};

/// Binds `socket` to `path`, where nothing is.
pub(super) fn bind_at(
    socket: &OwnedFd,
    path: &Path,
    access: Access,
) -> Result<SocketPath, PathError> {
    let os = |call| {
        let path = path.to_owned();
        move |source: io::Error| PathError::Os { call, path, source }
    };
    let directory = PrivateDirectory::beside(path).map_err(os("make a directory beside"))?;
    let address = SockAddr::unix(directory.socket_path()).map_err(os("bind"))?;
    SockRef::from(socket).bind(&address).map_err(os("bind"))?;
    let (identity, _) = directory.socket().map_err(os("look at"))?;
    directory.give(access).map_err(|(call, source)| os(call)(source))?;
    directory.link_to(path).map_err(os("bind"))?;
    Ok(SocketPath::placed(path, identity, access))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use nix::unistd::Uid;
    use socket2::Type;

    use super::super::socket_path::unconnected;
    use super::*;

    fn bind(path: &Path, mode: u32) -> Result<(OwnedFd, SocketPath), PathError> {
        let socket = unconnected(Type::DGRAM).unwrap();
        let access = Access { owner: Some(Uid::effective()), mode, ..Access::default() };
        let bound = bind_at(&socket, path, access)?;
        Ok((socket, bound))
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn bound_given_heard_and_removed() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        let (socket, bound) = bind(&path, 0o640).unwrap();
        assert_eq!(names(dir.path()), ["a"], "the directory has gone");
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.mode() & 0o777, 0o640);
        let peer = UnixDatagram::unbound().unwrap();
        peer.connect(&path).unwrap();
        peer.send(b"hello").unwrap();
        assert_eq!(UnixDatagram::from(socket).recv(&mut [0; 8]).unwrap(), 5);
        drop(bound);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_listener_is_found_by_its_path() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        let socket = unconnected(Type::STREAM).unwrap();
        let _bound = bind_at(&socket, &path, Access::default()).unwrap();
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::MAXCONN).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_has_come_to_the_path_meanwhile_stays_and_nothing_is_left_behind() {
        let dir = testkit::scratch_dir();
        fs::write(dir.path().join("file"), "precious").unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        for name in ["file", "link"] {
            let error = bind(&dir.path().join(name), 0o660).unwrap_err().to_string();
            assert!(error.contains("File exists"), "{error}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "precious");
        assert_eq!(fs::read_link(dir.path().join("link")).unwrap(), Path::new("nowhere"));
        assert_eq!(names(dir.path()).len(), 2);
    }
}
