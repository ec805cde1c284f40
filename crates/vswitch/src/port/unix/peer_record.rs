//! Where a port's peer is, kept beside its socket for a switch that is started again after it was
//! killed: a VM that says nothing then would not be found otherwise.
//!
//! The record is a symbolic link, `PATH.peer`, to the peer's own path. It goes at a clean end.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

/// The record of one port.
#[derive(Debug)]
pub(in crate::port) struct PeerRecord {
    link: PathBuf,
    /// What it says now.
    peer: Option<PathBuf>,
}

impl PeerRecord {
    /// The record beside the socket at `path`, with what a killed switch left in it.
    ///
    /// Only a record of this very user counts: in a directory that others may write to, anybody
    /// could else have the switch send frames to any socket.
    pub(in crate::port) fn beside(path: &Path) -> Self {
        let mut link = path.as_os_str().to_owned();
        link.push(".peer");
        let link = PathBuf::from(link);
        let ours = fs::symlink_metadata(&link)
            .is_ok_and(|found| found.is_symlink() && found.uid() == Uid::effective().as_raw());
        let peer = if ours { fs::read_link(&link).ok() } else { None };
        Self { link, peer }
    }

    /// The peer's path.
    pub(in crate::port) fn peer(&self) -> Option<&Path> {
        self.peer.as_deref()
    }

    /// Remembers a peer; `None` when it has no path that another process could use.
    pub(in crate::port) fn remember(&mut self, peer: Option<&Path>) {
        if self.peer.as_deref() == peer {
            return;
        }
        self.forget();
        let Some(peer) = peer else { return };
        match symlink(peer, &self.link) {
            Ok(()) => self.peer = Some(peer.to_owned()),
            // The switch works without; only a restart after a kill is less smooth.
            Err(error) => tracing::debug!(link = ?self.link, %error, "the peer is not recorded"),
        }
    }

    fn forget(&mut self) {
        if self.peer.take().is_some()
            && let Err(error) = fs::remove_file(&self.link)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(link = ?self.link, %error, "the peer's record stays");
        }
    }
}

impl Drop for PeerRecord {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_and_goes_at_a_clean_end() {
        let dir = testkit::scratch_dir();
        let (path, vm) = (dir.path().join("a"), dir.path().join("a.vm"));
        let mut record = PeerRecord::beside(&path);
        assert_eq!(record.peer(), None);
        record.remember(Some(Path::new("/tmp/before")));
        record.remember(Some(&vm));
        assert_eq!(PeerRecord::beside(&path).peer(), Some(&*vm), "as after a kill");
        // That second one ended cleanly.
        assert!(fs::symlink_metadata(dir.path().join("a.peer")).is_err());
        drop(record);
        assert_eq!(PeerRecord::beside(&path).peer(), None);
    }

    #[test]
    fn what_is_no_record_of_ours_is_neither_used_nor_touched() {
        let dir = testkit::scratch_dir();
        let link = dir.path().join("a.peer");
        fs::write(&link, "a file").unwrap();
        let mut record = PeerRecord::beside(&dir.path().join("a"));
        assert_eq!(record.peer(), None);
        record.remember(Some(Path::new("/tmp/vm")));
        drop(record);
        assert_eq!(fs::read_to_string(&link).unwrap(), "a file");
    }

    #[test]
    fn another_users_record_is_not_used() {
        let dir = testkit::scratch_dir();
        let link = dir.path().join("a.peer");
        symlink("/tmp/trap", &link).unwrap();
        let other = Uid::from_raw(Uid::effective().as_raw() + 1);
        let given = nix::unistd::fchownat(
            nix::fcntl::AT_FDCWD,
            &link,
            Some(other),
            None,
            nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        if let Err(errno) = given {
            testkit::skip(&format!("cannot give a file to another user: {errno} (needs root)"));
            return;
        }
        assert_eq!(PeerRecord::beside(&dir.path().join("a")).peer(), None);
    }
}
