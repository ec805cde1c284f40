//! Paths at which sockets are bound: claimed, given to who may use them, and taken away at the end.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{FileStat, SFlag, lstat};
use nix::unistd::{Gid, Uid};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::platform::{self, PATH_MAX_BYTES};

/// Who may connect to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The owner; `None` leaves it to the user the switch runs as.
    pub owner: Option<Uid>,
    /// The group; `None` leaves it to the group the switch runs as.
    pub group: Option<Gid>,
    /// Permission bits, such as `0o660`.
    pub mode: u32,
}

impl Default for Access {
    fn default() -> Self {
        Self { owner: None, group: None, mode: 0o660 }
    }
}

/// A path at which no socket can be bound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not fit a socket's address.
    #[error(
        "bind {path:?}: {len} bytes are too long for a socket's path, which holds {PATH_MAX_BYTES} \
         (use a shorter directory)"
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        len: usize,
    },
    /// Something that is no socket is there.
    #[error("bind {path:?}: a file that is no socket is there (remove it, or choose another path)")]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// Another process listens there.
    #[error(
        "bind {path:?}: another process listens there already \
         (stop it, or choose another path)"
    )]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// A directory is needed.
    #[error("use {path:?}: what is there is no directory (remove it, or choose another path)")]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory belongs to neither the user that the switch runs as nor the one whom its
    /// sockets are given to.
    #[error("use {path:?}: the directory is another user's (remove it, or choose another path)")]
    OthersDirectory {
        /// The path.
        path: PathBuf,
    },
    /// The directory has something in it that no switch put there.
    #[error(
        "use {path:?}: there are other files in the directory, such as {name:?} \
         (remove them, or choose another path)"
    )]
    NotEmpty {
        /// The path.
        path: PathBuf,
        /// One of them.
        name: OsString,
    },
    /// The system refused.
    #[error("{call} {path:?}: {source}")]
    Os {
        /// What was tried.
        call: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PathError {
    /// The same, with the path by which people know it.
    pub(super) fn of(mut self, known: PathBuf) -> Self {
        let (Self::TooLong { path, .. }
        | Self::NotASocket { path }
        | Self::InUse { path }
        | Self::NotADirectory { path }
        | Self::OthersDirectory { path }
        | Self::NotEmpty { path, .. }
        | Self::Os { path, .. }) = &mut self;
        *path = known;
        self
    }
}

/// A bound socket's path; removed when dropped, if it is still the one that was bound.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    identity: Identity,
    owner: Uid,
}

/// Which file a socket's is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: libc::dev_t,
    inode: libc::ino_t,
}

impl Identity {
    /// The identity of a file that is a socket.
    pub(super) fn of_socket(found: &FileStat) -> Option<Self> {
        let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
        (kind == SFlag::S_IFSOCK).then_some(Self { device: found.st_dev, inode: found.st_ino })
    }
}

impl SocketPath {
    /// Makes a non-blocking socket and binds it to `path`. A socket file there to which nobody
    /// listens any more (what a killed process leaves) is replaced; anything else is left alone.
    pub(in crate::port) fn bind(
        path: &Path,
        kind: Type,
        access: Access,
    ) -> Result<(OwnedFd, Self), PathError> {
        let len = path.as_os_str().len();
        if len > PATH_MAX_BYTES {
            return Err(PathError::TooLong { path: path.to_owned(), len });
        }
        let socket = unconnected(kind).map_err(os("open a socket for", path))?;
        let _turn = lock_directory(path);
        remove_stale(path)?;
        let bound = platform::bind_at(&socket, path, access)?;
        Ok((socket, bound))
    }

    /// A socket that was bound and has its owner, mode and place, or is about to have them.
    pub(super) fn placed(path: &Path, identity: Identity, access: Access) -> Self {
        let owner = access.owner.unwrap_or_else(Uid::effective);
        Self { path: path.to_owned(), identity, owner }
    }

    pub(in crate::port) fn as_path(&self) -> &Path {
        &self.path
    }

    /// Who owns the socket's file.
    pub(in crate::port) fn owner(&self) -> Uid {
        self.owner
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        // Another switch may have taken the path over since; its socket is not ours to remove.
        let found = lstat(&self.path).ok().and_then(|found| Identity::of_socket(&found));
        if found == Some(self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = ?self.path, %error, "the socket's path could not be removed");
        }
    }
}

/// A non-blocking unix socket, not passed on to children.
pub(super) fn unconnected(kind: Type) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::UNIX, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn os(call: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PathError {
    let path = path.to_owned();
    move |source| PathError::Os { call, path, source }
}

/// Removes a socket file that nobody listens to any more.
pub(super) fn remove_stale(path: &Path) -> Result<(), PathError> {
    match lstat(path) {
        Ok(found) if Identity::of_socket(&found).is_some() => {}
        Ok(_) => return Err(PathError::NotASocket { path: path.to_owned() }),
        Err(nix::Error::ENOENT) => return Ok(()),
        Err(errno) => return Err(os("look at", path)(errno.into())),
    }
    // A datagram socket tries, whatever is there: it goes into no listener's backlog, and whether
    // that is full does not matter.
    let trial = unconnected(Type::DGRAM).map_err(os("open a socket for", path))?;
    let address = SockAddr::unix(path).map_err(os("look at", path))?;
    match SockRef::from(&trial).connect(&address) {
        // A dead socket's file refuses. Whatever else is said (it took us, EPROTOTYPE: it is a
        // stream, EPERM: it is connected to a VM) somebody is there.
        Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {}
        _ => return Err(PathError::InUse { path: path.to_owned() }),
    }
    fs::remove_file(path).map_err(os("remove the socket left at", path))
}

/// Locks the directory for the moment of looking and binding, so that of two switches that start at
/// once only one finds a path free. Where the directory cannot be opened there is no lock, and
/// nobody who holds one for long (anybody may, on a directory like /tmp) keeps the switch from
/// starting.
fn lock_directory(path: &Path) -> Option<Flock<File>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = File::open(parent.unwrap_or_else(|| Path::new("."))).ok()?;
    let patience = Instant::now() + LOCK_PATIENCE;
    let mut directory = directory;
    loop {
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(locked) => return Some(locked),
            Err((unlocked, nix::Error::EAGAIN)) if Instant::now() < patience => {
                directory = unlocked;
                std::thread::sleep(LOCK_LOOK_EVERY);
            }
            Err(_) => return None,
        }
    }
}

const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn bind(path: &Path) -> Result<(OwnedFd, SocketPath), PathError> {
        SocketPath::bind(path, Type::DGRAM, Access::default())
    }

    #[test]
    fn bound_given_and_removed() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        let access = Access { mode: 0o640, ..Access::default() };
        let (_fd, bound) = SocketPath::bind(&path, Type::DGRAM, access).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_process_left_is_replaced() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        drop(UnixDatagram::bind(&path).unwrap());
        assert!(path.exists());
        let (_fd, _bound) = bind(&path).unwrap();
        assert!(UnixDatagram::unbound().unwrap().connect(&path).is_ok());
    }

    #[test]
    fn what_is_alive_or_no_socket_is_left_alone() {
        let dir = testkit::scratch_dir();
        let alive = dir.path().join("alive");
        let held = bind(&alive).unwrap();
        assert!(matches!(bind(&alive), Err(PathError::InUse { .. })));
        let stream = dir.path().join("stream");
        let _listener = UnixListener::bind(&stream).unwrap();
        assert!(matches!(bind(&stream), Err(PathError::InUse { .. })));
        let about_to_listen = dir.path().join("about to listen");
        let bound = SocketPath::bind(&about_to_listen, Type::STREAM, Access::default()).unwrap();
        assert!(matches!(bind(&about_to_listen), Err(PathError::InUse { .. })));
        drop(bound);
        let file = dir.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert!(matches!(bind(&file), Err(PathError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
        drop(held);
    }

    #[test]
    fn a_path_taken_over_is_not_removed() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        let (_fd, bound) = bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let _other = UnixDatagram::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
    }

    #[test]
    fn a_directory_locked_by_another_does_not_hold_up_for_long() {
        let dir = testkit::scratch_dir();
        let held = Flock::lock(File::open(dir.path()).unwrap(), FlockArg::LockExclusive).unwrap();
        let start = Instant::now();
        bind(&dir.path().join("a")).unwrap();
        assert!(start.elapsed() < 5 * LOCK_PATIENCE);
        drop(held);
    }

    #[test]
    fn lengths() {
        let dir = testkit::scratch_dir();
        let room = PATH_MAX_BYTES - dir.path().as_os_str().len() - 1;
        bind(&dir.path().join("x".repeat(room))).unwrap();
        let error = bind(&dir.path().join("x".repeat(room + 1))).unwrap_err();
        let why = format!("{} bytes are too long", PATH_MAX_BYTES + 1);
        assert!(error.to_string().contains(&why), "{error}");
        let missing = bind(&dir.path().join("no/such")).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
