//! A network namespace of a test's own.

use std::time::Duration;

use nix::sched::{CloneFlags, unshare};

use crate::command::ip;

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

/// Waits until these interfaces of the calling thread's namespace really send.
///
/// They are up before that: where the carrier came later (the other end of a pair went up), the
/// kernel puts a sending queue in the place of `noop` a little afterwards (`linkwatch_do_dev` in
/// net/core/link_watch.c), and until then it drops what is sent and says that it was sent. `state
/// UP` is told before that, so that it says nothing here.
///
/// # Panics
/// When `ip` does not say so within five seconds.
pub fn wait_until_active(interfaces: &[&str]) {
    let is_active = |interface: &&str| {
        let words = ip(&format!("-o link show dev {interface}"));
        words.contains(",UP") && !words.contains("qdisc noop ")
    };
    let active = || interfaces.iter().all(is_active);
    let is_in_time = crate::wait_until(Duration::from_secs(5), active);
    assert!(is_in_time, "one of {interfaces:?} does not come up");
}
