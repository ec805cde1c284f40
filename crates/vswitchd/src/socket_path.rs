//! Sockets' paths as they are told to others.

use std::path::PathBuf;

use vswitch::port::unix::PATH_MAX_BYTES;

/// A path that still means the same when it is shown elsewhere, where it fits.
pub(crate) fn absolute(path: PathBuf) -> PathBuf {
    match std::path::absolute(&path) {
        Ok(whole) if whole.as_os_str().len() <= PATH_MAX_BYTES => whole,
        _ => path,
    }
}
