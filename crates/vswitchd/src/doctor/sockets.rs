//! Looks at sockets' paths and their directories, the same on every Unix.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::{AccessFlags, faccessat};
use vswitch::port::unix::PATH_MAX_BYTES;

use super::facts::{Directory, Limit, SocketPath, There};
use super::rules;
use super::{Finding, Needs, sockets_of};
use crate::config::Configuration;

/// How many entries of a directory are looked at.
const ENTRIES_MAX: usize = 1000;

/// A process without a configuration: a few ports of each kind.
const DESCRIPTORS_USUAL: u64 = 512;

/// What can be said of sockets and descriptors on any system.
pub(crate) fn examine(wanted: Option<&Configuration>) -> Vec<Finding> {
    let needs = |wanted| {
        let needs = Needs::of(wanted);
        (needs.descriptors, needs.descriptors_max)
    };
    let (needed, most) = wanted.map_or((DESCRIPTORS_USUAL, DESCRIPTORS_USUAL), needs);
    let mut findings = vec![match descriptor_limit() {
        Ok(limit) => rules::descriptors(limit, needed, most),
        Err(why) => Finding::note("descriptor-limit", "RLIMIT_NOFILE", why),
    }];
    let Some(wanted) = wanted else { return findings };
    let sockets: Vec<SocketPath> = sockets_of(wanted)
        .into_iter()
        .map(|(port, path, is_ours)| look(port, path, is_ours))
        .collect();
    findings.extend(sockets.iter().map(rules::socket_path));
    findings.extend(rules::dead_sockets(&dead_in_directories(&sockets)));
    findings
}

fn descriptor_limit() -> Result<Limit, String> {
    let limit = getrlimit(Resource::RLIMIT_NOFILE);
    limit.map(|(soft, hard)| Limit { soft, hard }).map_err(|errno| format!("getrlimit: {errno}"))
}

/// Looks at one port's path.
fn look(port: String, path: PathBuf, is_ours: bool) -> SocketPath {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory(parent.unwrap_or(Path::new(".")));
    let there = there(&path);
    SocketPath { port, path, is_ours, len_max: PATH_MAX_BYTES, directory, there }
}

fn directory(path: &Path) -> Directory {
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => Directory::NotADirectory,
        Ok(_) => {
            let may = AccessFlags::W_OK | AccessFlags::X_OK;
            match faccessat(AT_FDCWD, path, may, AtFlags::AT_EACCESS) {
                Ok(()) => Directory::Writable,
                Err(_) => Directory::NotWritable,
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Directory::Missing,
        Err(error) if error.kind() == ErrorKind::NotADirectory => Directory::NotADirectory,
        Err(_) => Directory::NotWritable,
    }
}

/// What is at a path. A link is looked at as one: the switch follows none.
fn there(path: &Path) -> There {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => is_alive(path),
        Ok(_) => There::NotASocket,
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => There::Nothing,
            _ => There::Unknown(error.to_string()),
        },
    }
}

/// Whether a socket is somebody's. A datagram socket tries, of any kind: it goes into no listener's
/// backlog, and sends nothing. A dead socket's file refuses; whatever else is said, such as that it
/// is a stream (EPROTOTYPE) or connected to a VM (EPERM), is somebody's answer.
fn is_alive(path: &Path) -> There {
    let trial = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    match trial.map_err(|error| (error.kind(), error)) {
        Err((ErrorKind::ConnectionRefused, _)) => There::Dead,
        Err((ErrorKind::PermissionDenied, error))
            if error.raw_os_error() == Some(nix::libc::EACCES) =>
        {
            There::Unknown(error.to_string())
        }
        // A path that no address holds, or that went away meanwhile.
        Err((ErrorKind::InvalidInput | ErrorKind::NotFound, error)) => {
            There::Unknown(error.to_string())
        }
        _ => There::Alive,
    }
}

/// The sockets in the directories of the ports that the switch makes, on which nobody listens and
/// which are no port's own.
fn dead_in_directories(sockets: &[SocketPath]) -> Vec<PathBuf> {
    let ours = || sockets.iter().filter(|socket| socket.is_ours);
    let known: BTreeSet<&Path> = ours().map(|socket| socket.path.as_path()).collect();
    let directories: BTreeSet<&Path> = ours().filter_map(|socket| socket.path.parent()).collect();
    let entries = directories.into_iter().filter_map(|directory| fs::read_dir(directory).ok());
    let entries = entries.flat_map(|entries| entries.take(ENTRIES_MAX).flatten());
    let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    let paths = sockets.map(|entry| entry.path()).filter(|path| !known.contains(path.as_path()));
    paths
        .filter(|path| is_alive(path) == There::Dead)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_at_a_path() {
        let dir = testkit::scratch_dir();
        let at = |name: &str| dir.path().join(name);
        let _stream = UnixListener::bind(at("stream")).unwrap();
        let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
        drop(UnixListener::bind(at("dead stream")).unwrap());
        drop(UnixDatagram::bind(at("dead datagrams")).unwrap());
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("stream"), at("link")).unwrap();
        for (name, expected) in [
            ("stream", There::Alive),
            ("datagrams", There::Alive),
            ("dead stream", There::Dead),
            ("dead datagrams", There::Dead),
            ("file", There::NotASocket),
            ("link", There::NotASocket),
            ("nothing", There::Nothing),
            ("file/below", There::Nothing),
        ] {
            assert_eq!(there(&at(name)), expected, "{name}");
        }
        let long = at(&"x".repeat(200));
        fs::write(at("y"), "").unwrap();
        assert_eq!(there(&long), There::Nothing);
    }

    #[test]
    fn what_a_directory_is() {
        let dir = testkit::scratch_dir();
        fs::write(dir.path().join("file"), "").unwrap();
        assert_eq!(directory(dir.path()), Directory::Writable);
        assert_eq!(directory(&dir.path().join("file")), Directory::NotADirectory);
        assert_eq!(directory(&dir.path().join("file/below")), Directory::NotADirectory);
        assert_eq!(directory(&dir.path().join("none")), Directory::Missing);
    }

    #[test]
    fn others_dead_sockets_are_found_and_the_ports_own_are_not() {
        let dir = testkit::scratch_dir();
        let at = |name: &str| dir.path().join(name);
        for name in ["own", "others"] {
            drop(UnixDatagram::bind(at(name)).unwrap());
        }
        let _alive = UnixDatagram::bind(at("alive")).unwrap();
        let own = look("lan/vm1".into(), at("own"), true);
        assert_eq!(own.there, There::Dead);
        assert_eq!(dead_in_directories(&[own]), [at("others")]);
        let not_ours = look("lan/vm1".into(), at("own"), false);
        assert_eq!(dead_in_directories(&[not_ours]), [] as [PathBuf; 0]);
    }
}
