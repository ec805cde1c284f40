//! A directory beside a socket's path that nobody else may enter, for the moments in which a name
//! must not be exchanged, where no descriptor leads to a socket's file (macOS, and POSIX at large).

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, linkat, mkdtemp, unlinkat};

use super::platform::PATH_MAX_BYTES;
use super::socket_path::{Access, Identity};

/// How many letters and digits of the directory's name mkdtemp(3) chooses, at least: its name is
/// short, since the socket's path in it has to fit an address too.
const CHOSEN_BYTES: usize = 6;

/// The socket's name in the directory.
const SOCKET: &str = "s";

/// The directory's name as mkdtemp(3) is given it, with an `X` for each byte that it chooses.
fn template() -> String {
    format!(".{}", "X".repeat(CHOSEN_BYTES))
}

/// A directory that only this user may enter, taken away when dropped.
pub(super) struct PrivateDirectory {
    path: PathBuf,
    /// The directory itself, whatever its path leads to by now.
    file: File,
}

impl PrivateDirectory {
    /// Makes one in the directory that `path` is in.
    ///
    /// # Errors
    /// When none can be made there, or when the name of a socket in it would be too long.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let parent = path.parent().unwrap_or_else(|| Path::new(""));
        let template = parent.join(template());
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

    /// The name by which a socket in it is bound and connected to. Where others may write, it can
    /// lead elsewhere by now: what counts is what [`Self::socket`] finds.
    pub(super) fn socket_path(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    /// The socket in it, and who owns that. `ENOENT` when there is none.
    pub(super) fn socket(&self) -> io::Result<(Identity, Uid)> {
        let found = fstatat(&self.file, SOCKET, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let identity = Identity::of_socket(&found);
        let identity = identity.ok_or_else(|| io::Error::other("what is there is no socket"))?;
        Ok((identity, Uid::from_raw(found.st_uid)))
    }

    /// Gives the socket `path` for a second name, which must be free.
    pub(super) fn link_to(&self, path: &Path) -> io::Result<()> {
        Ok(linkat(&self.file, SOCKET, AT_FDCWD, path, AtFlags::empty())?)
    }

    /// Has what stands at `path`, a link itself instead of what it leads to, in the directory too.
    pub(super) fn link_from(&self, path: &Path) -> io::Result<()> {
        Ok(linkat(AT_FDCWD, path, &self.file, SOCKET, AtFlags::empty())?)
    }

    /// Gives the socket its owner and mode.
    pub(super) fn give(&self, access: Access) -> Result<(), (&'static str, io::Error)> {
        // A file has its directory's group (BSD's way), which is not who the switch runs as.
        let group = access.group.unwrap_or_else(Gid::effective);
        fchownat(&self.file, SOCKET, access.owner, Some(group), AtFlags::AT_SYMLINK_NOFOLLOW)
            .map_err(|errno| ("change the owner of", errno.into()))?;
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
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
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
        let taken = dir.path().join("").join("").join(template()).join(SOCKET);
        let room = PATH_MAX_BYTES - taken.as_os_str().len() - "/".len();
        let parent = dir.path().join("x".repeat(room));
        fs::create_dir(&parent).unwrap();
        UnixDatagram::bind(PrivateDirectory::beside(&parent.join("a")).unwrap().socket_path())
            .unwrap();
        let parent = dir.path().join("x".repeat(room + 1));
        fs::create_dir(&parent).unwrap();
        let error = PrivateDirectory::beside(&parent.join("a")).err().unwrap().to_string();
        assert!(error.contains("leaves no room"), "{error}");
        assert!(names(&parent).is_empty());
    }
}
