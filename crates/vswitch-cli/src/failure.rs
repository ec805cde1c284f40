//! What a command answers when it fails.

use std::fmt;

/// A failed command: printed on stderr as `vswitch: what failed: why (what to do)`, exit code 1.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    why: String,
    to_do: Option<String>,
}

impl Failure {
    /// `what` failed (an action and its object), and `why`.
    pub(crate) fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), to_do: None }
    }

    /// Adds what the person can do about it.
    #[allow(clippy::wrong_self_convention, reason = "not a conversion: what there is to do")]
    pub(crate) fn to_do(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)?;
        match &self.to_do {
            Some(to_do) => write!(f, " ({to_do})"),
            None => Ok(()),
        }
    }
}
