//! The directory of a VDE switch: made or taken over, given to who may use it, and taken away.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use super::super::platform::{self, PATH_MAX_BYTES};
use super::super::socket_path::{Access, PathError, remove_stale, unconnected};

/// The socket on which the switch listens.
pub(super) const CONTROL: &str = "ctl";

/// The longest name of a socket in the directory: `12345.1234567` of ours, `.1234567-00000` of a
/// client's (libvdeplug).
const NAME_BYTES_MAX: usize = 14;

/// Where libvdeplug binds its socket when it may not do so in the directory.
const ELSEWHERE: [&str; 4] = ["/run", "/var/run", "/var/tmp", "/tmp"];

/// How many files of a directory are looked at: clients may make more, and nobody waits for that.
const ENTRIES_MAX: usize = 1024;

/// A directory in which a switch listens. Taken away when dropped, with the sockets in it that
/// nobody listens to any more.
#[derive(Debug)]
pub(super) struct Directory {
    /// As clients are told it.
    path: PathBuf,
    /// The same without links, as clients tell it.
    resolved: PathBuf,
    /// The directory itself, whatever its path leads to by now.
    file: File,
}

impl Directory {
    /// Makes the directory, or takes over the one that a dead switch left (or an empty one). A new
    /// one is closed to everybody else until it is [given](Self::give) to them.
    ///
    /// Whether a switch that listens in it is alive, who binds [`CONTROL`] will find.
    pub(super) fn take(path: &Path, access: Access) -> Result<Self, PathError> {
        // Without a slash at its end, behind which a link would be followed.
        let path: PathBuf = path.components().collect();
        let len = path.as_os_str().len() + "/".len() + NAME_BYTES_MAX;
        if len > PATH_MAX_BYTES {
            return Err(PathError::TooLong { path, len });
        }
        let os = |call| {
            let path = path.clone();
            move |source| PathError::Os { call, path, source }
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(os("make the directory")(error)),
        }
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
        let opened = File::options().read(true).custom_flags(flags).open(&path);
        let file = opened.map_err(|error| match error.raw_os_error() {
            Some(libc::ENOTDIR | libc::ELOOP) => PathError::NotADirectory { path: path.clone() },
            _ => os("open the directory")(error),
        })?;
        let found = file.metadata().map_err(os("look at"))?;
        if !is_ours(&found, access) {
            return Err(PathError::OthersDirectory { path });
        }
        let resolved = fs::canonicalize(&path).map_err(os("look at"))?;
        let root = platform::in_directory(&file, &path);
        if let Some(name) = stranger(&root, access).map_err(os("look into"))? {
            return Err(PathError::NotEmpty { path, name });
        }
        Ok(Self { path, resolved, file })
    }

    /// Lets those in who may use the sockets in it: they may make sockets of their own, and take
    /// away only these.
    pub(super) fn give(&self, access: Access) -> Result<(), PathError> {
        let os = |call| move |source| PathError::Os { call, path: self.path.clone(), source };
        if access.owner.is_some() || access.group.is_some() {
            let (owner, group) =
                (access.owner.map(Uid::as_raw), access.group.map(|of| of.as_raw()));
            std::os::unix::fs::fchown(&self.file, owner, group)
                .map_err(os("change the owner of"))?;
        }
        let mode = fs::Permissions::from_mode(mode(access.mode));
        self.file.set_permissions(mode).map_err(os("change the mode of"))
    }

    /// By what a socket of this name in the directory is bound and found.
    pub(super) fn place(&self, name: impl AsRef<Path>) -> PathBuf {
        platform::in_directory(&self.file, &self.path).join(name)
    }

    /// By what others find it.
    pub(super) fn told(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// By what a client's socket is found that it says is at `path`; `None` where no client has
    /// one.
    pub(super) fn clients_place(&self, path: &Path) -> Option<PathBuf> {
        let (parent, name) = (path.parent()?, path.file_name()?);
        if parent == self.path || parent == self.resolved {
            return Some(self.place(name));
        }
        ELSEWHERE.iter().any(|known| parent == Path::new(known)).then(|| path.to_owned())
    }

    /// Takes away the sockets in it that nobody listens to any more.
    pub(super) fn remove_dead(&self) {
        let Ok(entries) = fs::read_dir(self.place("")) else { return };
        for entry in entries.take(ENTRIES_MAX).flatten() {
            let name = entry.file_name();
            if is_sockets_name(&name) && entry.file_type().is_ok_and(|kind| kind.is_socket()) {
                // In use, or of somebody who let nobody try: it stays.
                let _ = remove_stale(&self.place(name));
            }
        }
    }

    fn is_at_its_path(&self) -> bool {
        let identity = |found: Metadata| (found.dev(), found.ino());
        match (fs::symlink_metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(own)) => identity(there) == identity(own),
            _ => false,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.remove_dead();
        if !self.is_at_its_path() {
            return;
        }
        let Err(error) = fs::remove_dir(&self.path) else { return };
        if fs::symlink_metadata(self.place(CONTROL)).is_ok() {
            return; // another switch's
        }
        tracing::warn!(path = ?self.path, %error, "the directory of a VDE port stays");
        // What is in it is not ours to remove, and must not keep the next switch from taking it
        // over: that finds what a dead switch leaves.
        if let Ok(socket) = unconnected(socket2::Type::STREAM)
            && let Ok(address) = socket2::SockAddr::unix(self.place(CONTROL))
        {
            let _ = socket2::SockRef::from(&socket).bind(&address);
        }
    }
}

/// Whether a file may be a dead switch's that was to be used as this one is.
fn is_ours(found: &Metadata, access: Access) -> bool {
    let owner = Uid::from_raw(found.uid());
    owner == Uid::effective() || Some(owner) == access.owner
}

/// Something in the directory that no VDE switch or client has put there; `None` also when a switch
/// has listened in it, since clients may put there what they like.
fn stranger(root: &Path, access: Access) -> io::Result<Option<OsString>> {
    let control = fs::symlink_metadata(root.join(CONTROL));
    if control.is_ok_and(|found| found.file_type().is_socket() && is_ours(&found, access)) {
        return Ok(None);
    }
    for entry in fs::read_dir(root)?.take(ENTRIES_MAX) {
        let entry = entry?;
        let name = entry.file_name();
        if !is_sockets_name(&name) || !entry.file_type()?.is_socket() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a switch (`ctl`, `001.7`) or a client (`.01234-00000`) calls a socket so.
fn is_sockets_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let parted = |text: &[u8], by: u8| {
        let mut parts = text.split(|byte| *byte == by);
        parts.clone().count() == 2 && parts.all(is_number)
    };
    name == CONTROL.as_bytes()
        || parted(name, b'.')
        || name.strip_prefix(b".").is_some_and(|rest| parted(rest, b'-'))
}

/// The directory's mode: who may read or write the sockets may do both in it, and enter; the sticky
/// bit keeps each from others' sockets.
fn mode(of_sockets: u32) -> u32 {
    let everybody = [0o700, 0o070, 0o007].into_iter();
    let let_in: u32 = everybody.filter(|who| of_sockets & who & 0o666 != 0).sum();
    0o1700 | let_in
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    fn take(path: &Path) -> Result<Directory, PathError> {
        Directory::take(path, Access::default())
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn made_given_and_taken_away() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("v");
        for (of_sockets, of_directory) in
            [(0o660, 0o1770), (0o600, 0o1700), (0o666, 0o1777), (0o620, 0o1770), (0o606, 0o1707)]
        {
            let directory = take(&path).unwrap();
            assert_eq!(mode_of(&path), 0o700, "closed until it is given");
            directory.give(Access { mode: of_sockets, ..Access::default() }).unwrap();
            assert_eq!(mode_of(&path), of_directory);
            drop(directory);
            assert!(!path.exists());
        }
    }

    #[test]
    fn what_a_dead_switch_left_is_taken_over_and_cleaned() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("v");
        fs::create_dir(&path).unwrap();
        drop(UnixListener::bind(path.join(CONTROL)).unwrap());
        drop(UnixDatagram::bind(path.join("001.7")).unwrap());
        drop(UnixDatagram::bind(path.join(".01234-00000")).unwrap());
        let alive = UnixDatagram::bind(path.join(".01234-00001")).unwrap();
        fs::write(path.join("whatever"), "a client put here").unwrap();
        let directory = take(&path).unwrap();
        directory.remove_dead();
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".01234-00001", "whatever"]);
        drop(directory);
        // It could not be taken away; the next switch takes it over all the same.
        assert!(path.join(CONTROL).exists());
        fs::remove_file(path.join("whatever")).unwrap();
        drop(alive);
        drop(take(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn an_empty_directory_is_taken_and_any_other_left_as_it_is() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("v");
        fs::create_dir(&path).unwrap();
        drop(take(&path).unwrap());
        assert!(!path.exists());

        for name in ["file", "007", "a.b", ".hidden"] {
            fs::create_dir(&path).unwrap();
            let _socket = UnixDatagram::bind(path.join(name)).unwrap();
            let before = mode_of(&path);
            let refused = take(&path).unwrap_err().to_string();
            assert!(refused.contains("other files") && refused.contains(name), "{refused}");
            assert_eq!(mode_of(&path), before);
            fs::remove_dir_all(&path).unwrap();
        }
        // A name of a socket's that is none.
        fs::create_dir(&path).unwrap();
        fs::write(path.join(CONTROL), "").unwrap();
        assert!(matches!(take(&path), Err(PathError::NotEmpty { .. })));

        fs::write(dir.path().join("file"), "precious").unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).unwrap();
        for name in ["file", "link", "link/"] {
            let refused = take(&dir.path().join(name)).unwrap_err();
            assert!(matches!(refused, PathError::NotADirectory { .. }), "{name}: {refused}");
        }
        let refused = take(&dir.path().join("no/such")).unwrap_err().to_string();
        assert!(refused.contains("No such file"), "{refused}");
    }

    #[test]
    fn another_users_directory_is_not_used() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("v");
        fs::create_dir(&path).unwrap();
        let other = Uid::effective().as_raw() + 1;
        if let Err(error) = std::os::unix::fs::chown(&path, Some(other), None) {
            testkit::skip(&format!("cannot give a file to another user: {error} (needs root)"));
            return;
        }
        assert!(matches!(take(&path), Err(PathError::OthersDirectory { .. })));
        let access = Access { owner: Some(Uid::from_raw(other)), ..Access::default() };
        drop(Directory::take(&path, access).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_put_in_its_place_is_not_used() {
        let dir = testkit::scratch_dir();
        let (path, moved) = (dir.path().join("v"), dir.path().join("moved"));
        let directory = take(&path).unwrap();
        fs::rename(&path, &moved).unwrap();
        fs::create_dir(&path).unwrap();
        if cfg!(target_os = "linux") {
            let _socket = UnixDatagram::bind(directory.place("001.7")).unwrap();
            assert!(moved.join("001.7").exists());
        }
        drop(directory);
        assert!(path.is_dir(), "it is another's");
    }

    #[test]
    fn a_clients_socket_lies_where_libvdeplug_puts_it() {
        let dir = testkit::scratch_dir();
        let path = dir.path().join("v");
        let directory = take(&path).unwrap();
        let own = UnixDatagram::bind(path.join(".01234-00000")).unwrap();
        let place = directory.clients_place(&path.join(".01234-00000")).unwrap();
        UnixDatagram::unbound().unwrap().connect(place).unwrap();
        drop(own);
        let elsewhere = Path::new("/tmp/vde.01234-00000");
        assert_eq!(directory.clients_place(elsewhere).as_deref(), Some(elsewhere));
        let up = path.join("..");
        let deeper = path.join("a/b");
        for none in [&*up, &deeper, Path::new("/"), Path::new("/dev/log"), Path::new("/run/x/y")] {
            assert_eq!(directory.clients_place(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_path_that_leaves_no_room_for_its_sockets_is_refused() {
        let dir = testkit::scratch_dir();
        let room = PATH_MAX_BYTES - dir.path().as_os_str().len() - "//".len() - NAME_BYTES_MAX;
        drop(take(&dir.path().join("x".repeat(room))).unwrap());
        let refused = take(&dir.path().join("x".repeat(room + 1))).unwrap_err().to_string();
        assert!(refused.contains("too long"), "{refused}");
    }
}
