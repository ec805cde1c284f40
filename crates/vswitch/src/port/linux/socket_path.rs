//! Paths at which sockets are bound: claimed, given to who may use them, and taken away at the end.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{AtFlags, Flock, FlockArg};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, connect, socket};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchownat};

/// The most bytes of a path that fit a `sockaddr_un` with the zero behind them (unix(7)).
pub const PATH_MAX_BYTES: usize = 107;

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

/// A bound socket's path; removed when dropped, if it is still the one that was bound.
#[derive(Debug)]
pub(super) struct SocketPath {
    path: PathBuf,
    /// Device and inode of the socket file.
    identity: (u64, u64),
    owner: Uid,
}

impl SocketPath {
    /// Makes a non-blocking socket and binds it to `path`. A socket file there to which nobody
    /// listens any more (what a killed process leaves) is replaced; anything else is left alone.
    pub(super) fn bind(
        path: &Path,
        kind: SockType,
        access: Access,
    ) -> Result<(OwnedFd, Self), PathError> {
        let len = path.as_os_str().len();
        if len > PATH_MAX_BYTES {
            return Err(PathError::TooLong { path: path.to_owned(), len });
        }
        let os = |call| {
            let path = path.to_owned();
            move |errno: nix::Error| PathError::Os { call, path, source: errno.into() }
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, kind, flags, None).map_err(os("open a socket for"))?;
        // Linux gives the file the mode that the unbound socket has (unix_bind_bsd): nobody gets in
        // before the owner is set.
        fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR).map_err(os("restrict"))?;
        let address = UnixAddr::new(path).map_err(os("bind"))?;
        let _turn = lock_directory(path);
        match bind(fd.as_raw_fd(), &address) {
            Ok(()) => {}
            Err(nix::Error::EADDRINUSE) => {
                remove_stale(path, kind, &address)?;
                bind(fd.as_raw_fd(), &address).map_err(os("bind"))?;
            }
            Err(errno) => return Err(os("bind")(errno)),
        }
        let (file, identity) = bound_file(path)?;
        let owner = access.owner.unwrap_or_else(Uid::effective);
        let this = Self { path: path.to_owned(), identity, owner };
        this.give(&file, access)?;
        Ok((fd, this))
    }

    pub(super) fn as_path(&self) -> &Path {
        &self.path
    }

    /// Who owns the socket's file.
    pub(super) fn owner(&self) -> Uid {
        self.owner
    }

    /// Changes the file itself, not what its path leads to by now: whoever may write to the
    /// directory could put a link to another's file there, and root would give that away.
    fn give(&self, file: &File, access: Access) -> Result<(), PathError> {
        let os = |call| {
            let path = self.path.clone();
            move |source: io::Error| PathError::Os { call, path, source }
        };
        if access.owner.is_some() || access.group.is_some() {
            fchownat(file, "", access.owner, access.group, AtFlags::AT_EMPTY_PATH)
                .map_err(|errno| os("change the owner of")(errno.into()))?;
        }
        let mode = fs::Permissions::from_mode(access.mode & 0o777);
        // fchmod(2) takes no descriptor opened with O_PATH; its name in proc(5) leads to the file.
        let file = format!("/proc/self/fd/{}", file.as_raw_fd());
        fs::set_permissions(file, mode).map_err(os("change the mode of"))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        // Another switch may have taken the path over since; its socket is not ours to remove.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = ?self.path, %error, "the socket's path could not be removed");
        }
    }
}

/// The file of a socket that was just bound, as it is (no link is followed), with its identity.
fn bound_file(path: &Path) -> Result<(File, (u64, u64)), PathError> {
    let os = |source| PathError::Os { call: "look at", path: path.to_owned(), source };
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    let file = File::options().read(true).custom_flags(flags).open(path).map_err(os)?;
    let metadata = file.metadata().map_err(os)?;
    if !metadata.file_type().is_socket() {
        return Err(PathError::NotASocket { path: path.to_owned() });
    }
    Ok((file, (metadata.dev(), metadata.ino())))
}

/// Removes a socket file that nobody listens to any more.
fn remove_stale(path: &Path, kind: SockType, address: &UnixAddr) -> Result<(), PathError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => {
            return Err(PathError::Os { call: "look at", path: path.to_owned(), source });
        }
    };
    if !metadata.file_type().is_socket() {
        return Err(PathError::NotASocket { path: path.to_owned() });
    }
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let trial = socket(AddressFamily::Unix, kind, flags, None);
    let answer = trial.and_then(|trial| connect(trial.as_fd().as_raw_fd(), address));
    match answer {
        // A dead socket's file refuses. Whatever else is said (it took us, EAGAIN: its backlog is
        // full, EPERM: it is connected to a VM, EPROTOTYPE: it is of another kind) somebody is
        // there.
        Err(nix::Error::ECONNREFUSED) => {}
        _ => return Err(PathError::InUse { path: path.to_owned() }),
    }
    fs::remove_file(path).map_err(|source| PathError::Os {
        call: "remove the socket left at",
        path: path.to_owned(),
        source,
    })
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
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn bind(path: &Path) -> Result<(OwnedFd, SocketPath), PathError> {
        SocketPath::bind(path, SockType::Datagram, Access::default())
    }

    #[test]
    fn bound_given_and_removed() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("a");
        let access = Access { mode: 0o640, ..Access::default() };
        let (_fd, bound) = SocketPath::bind(&path, SockType::Datagram, access).unwrap();
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
    fn a_link_put_in_its_place_gives_nothing_away() {
        let dir = testkit::scratch_dir();
        let (path, precious) = (dir.path().join("a"), dir.path().join("precious"));
        fs::write(&precious, "root's").unwrap();
        fs::set_permissions(&precious, fs::Permissions::from_mode(0o600)).unwrap();
        let (_fd, bound) = bind(&path).unwrap();
        let (file, _) = bound_file(&path).unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        let owner = Some(Uid::effective());
        bound.give(&file, Access { owner, group: None, mode: 0o666 }).unwrap();
        assert_eq!(fs::metadata(&precious).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bound_file(&path).is_err(), "nor is a link taken for the socket");
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
        assert!(error.to_string().contains("108 bytes are too long"), "{error}");
        let missing = bind(&dir.path().join("no/such")).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
    }
}
