//! tcpdump as anyone.

use std::process::Command;

/// `tcpdump`, to be given its arguments: it may capture in the calling thread's namespace.
///
/// Where its user id is 0 on Linux it wants to become another user first. In a user namespace of an
/// ordinary user nobody may call setgroups(2), so there it runs under strace, which answers for the
/// kernel that this was done; the process that is started is tcpdump's all the same.
///
/// Check for both by [`crate::tool_or_skip`] first, or by [`or_skip`].
#[must_use]
pub fn command() -> Command {
    let mut tcpdump = if is_without_setgroups() {
        let mut strace = Command::new("strace");
        strace.args(["-D", "-qq", "-o", "/dev/null", "-e", "trace=setgroups"]);
        strace.args(["-e", "inject=setgroups:retval=0", "tcpdump"]);
        strace
    } else {
        Command::new("tcpdump")
    };
    if cfg!(target_os = "linux") {
        tcpdump.args(["-Z", "root"]);
    }
    tcpdump
}

/// Whether [`command`] has what it needs; skips the test with the package to install when not.
#[must_use]
pub fn or_skip() -> bool {
    crate::tool_or_skip("tcpdump", "tcpdump")
        && (!is_without_setgroups() || crate::tool_or_skip("strace", "strace"))
}

fn is_without_setgroups() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny")
}
