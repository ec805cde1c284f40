//! Programs that tests run to set something up, or to ask another than the code under test.

use std::process::{Command, Stdio};

/// Runs `program`, also where only root's `PATH` leads, with `arguments` separated by spaces; it
/// must succeed. What it printed.
///
/// # Panics
/// When it cannot be started or fails; with what it said.
#[track_caller]
#[allow(clippy::must_use_candidate, reason = "it is mostly called for what it does")]
pub fn output(program: &str, arguments: &str) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let done = Command::new(program)
        .args(arguments.split_whitespace())
        .env("PATH", path)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("run {program}: {error}"));
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments}: {complaint}{text}");
    text
}

/// Runs iproute2's `ip`, as [`output`].
///
/// # Panics
/// As [`output`].
#[track_caller]
#[allow(clippy::must_use_candidate, reason = "it is mostly called for what it does")]
pub fn ip(arguments: &str) -> String {
    output("ip", arguments)
}
