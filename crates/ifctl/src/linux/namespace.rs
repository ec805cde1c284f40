//! Which network namespace a thread is in.

use std::fs;
use std::os::linux::fs::MetadataExt as _;

/// The identity of a network namespace: device and inode of its file (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Namespace {
    device: u64,
    inode: u64,
}

impl Namespace {
    /// That of the calling thread; unknown where /proc is not mounted.
    pub(super) fn of_this_thread() -> Option<Self> {
        let file = fs::metadata("/proc/thread-self/ns/net").ok()?;
        Some(Self { device: file.st_dev(), inode: file.st_ino() })
    }
}
