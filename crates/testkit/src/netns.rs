//! A network namespace of a test's own.

use nix::sched::{CloneFlags, unshare};

/// Moves the calling thread into a fresh, empty network namespace, where it may create interfaces.
/// Threads and processes started from this thread afterwards live in it too; the kernel removes it
/// and everything in it when the last of them has ended. `lo` is there, and down.
///
/// Needs root, or to be root of a user namespace (`cargo xtask test` makes one for ordinary
/// users); otherwise the test is skipped and the answer is `false`.
#[must_use]
pub fn enter_or_skip() -> bool {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => true,
        Err(errno) => {
            crate::skip(&format!(
                "no network namespace of its own: unshare: {errno} (run it by `cargo xtask test`)"
            ));
            false
        }
    }
}
