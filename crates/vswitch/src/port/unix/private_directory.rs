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

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat};
use nix::unistd::{Uid, UnlinkatFlags, fchownat, linkat, mkdtemp, unlinkat};
use socket2::{SockAddr, SockRef};

use super::platform::PATH_MAX_BYTES;
use super::socket_path::{Access, Identity, PathError, SocketPath};

/// The directory's name; each X becomes any letter or digit. It is short, since the socket's path
/// in it has to fit an address too.
const TEMPLATE: &str = ".XXXXXX";

/// The socket's name in the directory.
const SOCKET: &str = "s";

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
    let address = SockAddr::unix(directory.path.join(SOCKET)).map_err(os("bind"))?;
    SockRef::from(socket).bind(&address).map_err(os("bind"))?;
    let identity = directory.socket().map_err(os("look at"))?;
    directory.give(access).map_err(|(call, source)| os(call)(source))?;
    linkat(&directory.file, SOCKET, AT_FDCWD, path, AtFlags::empty())
        .map_err(|errno| os("bind")(errno.into()))?;
    Ok(SocketPath::placed(path, identity, access))
}

/// A directory that only this user may enter, taken away when dropped.
struct PrivateDirectory {
    path: PathBuf,
    /// The directory itself, whatever its path leads to by now.
    file: File,
}

impl PrivateDirectory {
    fn beside(path: &Path) -> io::Result<Self> {
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        let template = parent.join(TEMPLATE);
        if template.join(SOCKET).as_os_str().len() > PATH_MAX_BYTES {
            return Err(io::Error::other("its path leaves no room (use a shorter one)"));
        }
        let path = mkdtemp(&template)?;
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let opened = File::options().read(true).custom_flags(flags).open(&path);
        let file = match opened {
            Ok(file) => file,
            Err(error) => {
                let _ = fs::remove_dir(&path);
                return Err(error);
            }
        };
        let this = Self { path, file };
        // Where others may write, it can have been exchanged since it was made.
        let found = this.file.metadata()?;
        if found.uid() != Uid::effective().as_raw() || found.mode() & 0o077 != 0 {
            return Err(io::Error::other("another user has put theirs in its place"));
        }
        Ok(this)
    }

    /// Who the socket is. `ENOENT` when its path has led it elsewhere.
    fn socket(&self) -> io::Result<Identity> {
        let found = fstatat(&self.file, SOCKET, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        Identity::of_socket(&found).ok_or_else(|| io::Error::other("it is no socket"))
    }

    fn give(&self, access: Access) -> Result<(), (&'static str, io::Error)> {
        if access.owner.is_some() || access.group.is_some() {
            let (owner, group) = (access.owner, access.group);
            fchownat(&self.file, SOCKET, owner, group, AtFlags::AT_SYMLINK_NOFOLLOW)
                .map_err(|errno| ("change the owner of", errno.into()))?;
        }
        let mode = Mode::from_bits_truncate((access.mode & 0o777) as libc::mode_t);
        fchmodat(&self.file, SOCKET, mode, FchmodatFlags::NoFollowSymlink)
            .map_err(|errno| ("change the mode of", errno.into()))
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // The socket has its own place by now, or none.
        let _ = unlinkat(&self.file, SOCKET, UnlinkatFlags::NoRemoveDir);
        if let Err(error) = fs::remove_dir(&self.path) {
            tracing::debug!(path = ?self.path, %error, "a directory made for a bind stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::{UnixDatagram, UnixStream};

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

    #[test]
    fn until_it_is_given_nobody_else_reaches_it() {
        let dir = testkit::scratch_dir();
        let private = PrivateDirectory::beside(&dir.path().join("a")).unwrap();
        assert_eq!(fs::metadata(&private.path).unwrap().mode() & 0o777, 0o700);
        assert_eq!(private.socket().unwrap_err().kind(), io::ErrorKind::NotFound);
        // A file of another kind under the socket's name is not given away.
        fs::write(private.path.join(SOCKET), "").unwrap();
        assert!(private.socket().is_err());
        drop(private);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_directory_put_in_its_place_is_not_used() {
        let dir = testkit::scratch_dir();
        let private = PrivateDirectory::beside(&dir.path().join("a")).unwrap();
        let moved = dir.path().join("moved");
        fs::rename(&private.path, &moved).unwrap();
        fs::create_dir(&private.path).unwrap();
        let _trap = UnixDatagram::bind(private.path.join(SOCKET)).unwrap();
        assert_eq!(private.socket().unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(private.give(Access::default()).is_err());
        fs::remove_file(private.path.join(SOCKET)).unwrap();
        drop(private);
        assert_eq!(names(dir.path()), ["moved"]);
    }

    #[test]
    fn a_path_that_leaves_no_room_is_refused() {
        let dir = testkit::scratch_dir();
        let room = PATH_MAX_BYTES - dir.path().as_os_str().len() - "//.XXXXXX/s".len();
        let parent = dir.path().join("x".repeat(room));
        fs::create_dir(&parent).unwrap();
        bind(&parent.join("a"), 0o660).unwrap();
        let parent = dir.path().join("x".repeat(room + 1));
        fs::create_dir(&parent).unwrap();
        let error = bind(&parent.join("a"), 0o660).unwrap_err().to_string();
        assert!(error.contains("leaves no room"), "{error}");
        assert!(names(&parent).is_empty());
    }
}
