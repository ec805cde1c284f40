//! The tests on a Mac's own kernel: what `tests/host.rs` of each crate holds.

use std::process::Command;

use nix::unistd::Uid;

use super::{Arguments, call};
use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// That this is a Mac, and its root's process.
pub(super) fn check() -> Result<()> {
    let refused = |why| Err(Failure::new("run the tests on a Mac's own kernel", why));
    refusal(cfg!(target_os = "macos"), Uid::effective().is_root()).map_or(Ok(()), refused)
}

fn refusal(is_mac: bool, is_root: bool) -> Option<&'static str> {
    match (is_mac, is_root) {
        (false, _) => Some(
            "this is no Mac. On Linux all tests are run without --root: each is root in a network \
             namespace of its own",
        ),
        (true, false) => Some("they need root (sudo cargo xtask test --root)"),
        (true, true) => None,
    }
}

/// The call of cargo that runs them, one at a time: they share the machine's interfaces.
pub(super) fn calls(workspace: &Workspace, arguments: &Arguments) -> Vec<Command> {
    let mut cargo = call(workspace, arguments, &["--test", "host"], &[]);
    cargo.arg("--test-threads=1").env("VSWITCH_TEST_ROOT", "1");
    vec![cargo]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_of_a_mac_runs_them() {
        assert!(refusal(false, true).is_some_and(|why| why.contains("no Mac")));
        assert!(refusal(true, false).is_some_and(|why| why.contains("sudo")));
        assert_eq!(refusal(true, true), None);
    }
}
