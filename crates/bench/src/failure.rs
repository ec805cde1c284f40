//! What stops a measurement.

use std::fmt;

/// What was tried, and why it did not work.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    why: String,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { what: what.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for Failure {}

/// Says what was tried, of an error that tells only why.
pub(crate) trait Trying<T> {
    fn trying(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Trying<T> for std::result::Result<T, E> {
    fn trying(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|why| Failure::new(what, why))
    }
}
