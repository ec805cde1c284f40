//! What a task answers when it fails.

use std::fmt;

/// A failed task: printed on stderr as `xtask: what failed: why`, exit code 1.
#[derive(Debug)]
pub(crate) struct Failure(String);

/// What every task returns.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// `what` failed (an action and its object), and `why` (with what to do about it, if known).
    pub(crate) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self(format!("{what}: {why}"))
    }

    /// The task did its work and found something wrong, which it has printed already.
    pub(crate) fn found(summary: impl Into<String>) -> Self {
        Self(summary.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
