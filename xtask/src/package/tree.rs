//! The files of a package, as they will lie on a machine.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::tools;

/// A directory that stands for the root of a file system.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

/// The mode of what is run, and of directories.
pub(super) const PROGRAM: u32 = 0o755;

/// The mode of what is read.
pub(super) const TEXT: u32 = 0o644;

impl Tree {
    /// An empty one; what was there goes.
    pub(super) fn plant(root: &Path) -> Result<Self> {
        match fs::remove_dir_all(root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::new(format!("remove {}", root.display()), error));
            }
            _ => {}
        }
        make_directory(root)?;
        Ok(Self(root.to_owned()))
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    /// Where `path` of the machine, without its first slash, is here.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// Writes a file with this mode, and the directories above it; whatever umask this process has.
    pub(super) fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        let file = self.place(path);
        for (at, _) in path.match_indices('/') {
            make_directory(&self.place(&path[..at]))?;
        }
        fs::write(&file, bytes)
            .and_then(|()| set_mode(&file, mode))
            .map_err(|error| Failure::new(format!("write {}", file.display()), error))
    }

    /// Writes a text as `path.gz`, without a date in it.
    pub(super) fn write_compressed(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(path, bytes, TEXT)?;
        let gzip = tools::find("gzip", "gzip")?;
        let mut gzip = Command::new(gzip);
        tools::output_of(gzip.args(["-9", "--no-name", "--force"]).arg(self.place(path)))?;
        Ok(())
    }

    /// All files but those that tell dpkg of the package, sorted, without their first slash.
    pub(super) fn files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        let mut directories = vec![self.0.clone()];
        while let Some(directory) = directories.pop() {
            for name in super::names_in(&directory)? {
                let path = directory.join(name);
                let below = path.strip_prefix(&self.0).unwrap_or(&path).display().to_string();
                match path.is_dir() {
                    true if below == "DEBIAN" => {}
                    true => directories.push(path),
                    false => files.push(below),
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .and_then(|()| set_mode(path, PROGRAM))
        .map_err(|error| Failure::new(format!("make {}", path.display()), error))
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_their_modes_and_are_listed_but_for_dpkgs_own() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::plant(&dir.path().join("tree")).unwrap();
        tree.write("usr/bin/a", b"a", PROGRAM).unwrap();
        tree.write("DEBIAN/control", b"c", TEXT).unwrap();
        tree.write_compressed("etc/b", b"b").unwrap();
        assert_eq!(tree.files().unwrap(), ["etc/b.gz", "usr/bin/a"]);
        let mode = |path: &str| fs::metadata(tree.place(path)).unwrap().permissions().mode();
        assert_eq!((mode("usr/bin/a") & 0o777, mode("etc/b.gz") & 0o777), (PROGRAM, TEXT));
        let again = Tree::plant(tree.root()).unwrap();
        assert_eq!(again.files().unwrap(), Vec::<String>::new());
    }
}
