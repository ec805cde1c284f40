//! Sockets' paths.

use std::path::{Path, PathBuf};

use crate::doctor::Finding;
use crate::doctor::facts::{Directory, SocketPath, There};

const ID: &str = "socket-path";

/// Judges one port's path.
#[must_use]
pub fn socket_path(found: &SocketPath) -> Finding {
    let path = found.path.display().to_string();
    let object = format!("{} ({path})", found.port);
    too_long(found, &object)
        .or_else(|| bad_directory(found, &object))
        .unwrap_or_else(|| at_path(found, object, &path))
}

fn too_long(found: &SocketPath, object: &str) -> Option<Finding> {
    let (len, max) = (found.path.as_os_str().len(), found.len_max);
    (len > max).then(|| {
        let found = format!("the path has {len} bytes, a socket's address holds {max}");
        Finding::error("socket-path-length", object, found)
            .figure("bytes", u64::try_from(len).unwrap_or(u64::MAX))
            .figure("most_bytes", u64::try_from(max).unwrap_or(u64::MAX))
            .why("neither the switch nor a virtual machine can use it")
            .to_do("choose a shorter directory, such as /run/vswitch")
    })
}

fn bad_directory(found: &SocketPath, object: &str) -> Option<Finding> {
    const ID: &str = "socket-directory";
    let parent = found.path.parent().unwrap_or(Path::new("/")).display().to_string();
    let bad = |what: String| {
        Finding::error(ID, object, what).why("the switch makes the port's socket in it")
    };
    match found.directory {
        Directory::Missing if !found.is_ours => Some(
            Finding::note(ID, object, format!("the directory {parent} is not there"))
                .why("the switch connects as soon as somebody listens there"),
        ),
        Directory::Missing => Some(
            bad(format!("the directory {parent} is not there"))
                .to_do("make it; for all users of the sockets it must be open to enter")
                .command(&["sudo", "mkdir", "-p", "--", &parent]),
        ),
        Directory::NotADirectory => Some(
            bad(format!("{parent} is no directory")).to_do("choose another path for the socket"),
        ),
        Directory::NotWritable if found.is_ours => Some(
            bad(format!("this user may not make a socket in {parent}"))
                .to_do("run the switch as root, or choose a directory of this user's"),
        ),
        Directory::NotWritable | Directory::Writable => None,
    }
}

fn at_path(found: &SocketPath, object: String, path: &str) -> Finding {
    match (&found.there, found.is_ours) {
        (There::NotASocket, _) => Finding::error(ID, object, "a file that is no socket is there")
            .why("the switch replaces no file of others")
            .to_do("move it away, or choose another path")
            .command(&["ls", "-l", "--", path]),
        (There::Unknown(why), _) => {
            Finding::note(ID, object, format!("cannot be looked at: {why}"))
                .why("whether somebody has the socket is not known")
        }
        (There::Nothing, true) => Finding::ok(ID, object, "free"),
        (There::Dead, true) => {
            Finding::ok(ID, object, "nobody listens on the socket there: it will be replaced")
        }
        (There::Alive, true) => Finding::note(ID, object, "somebody has the socket")
            .why("a switch that runs has its ports; a second one cannot have the same")
            .to_do("see which process it is, if no switch should run now")
            .command(&["ss", "-x", "-a", "-p", "src", path]),
        (There::Alive, false) => Finding::ok(ID, object, "somebody listens there"),
        (There::Nothing | There::Dead, false) => {
            Finding::note(ID, object, "nobody listens there yet")
                .why("the switch connects as soon as somebody does, and again when it ends")
        }
    }
}

/// Tells of sockets in the ports' directories on which nobody listens, and which are no port's.
#[must_use]
pub fn dead_sockets(dead: &[PathBuf]) -> Vec<Finding> {
    let finding = |path: &PathBuf| {
        let path = path.display().to_string();
        Finding::note("dead-socket", path.clone(), "nobody listens on this socket")
            .why("a program that was killed leaves its socket; who connects to it is refused")
            .to_do("remove it, if it is not one of a program that will start again")
            .command(&["rm", "--", &path])
    };
    dead.iter().map(finding).collect()
}
