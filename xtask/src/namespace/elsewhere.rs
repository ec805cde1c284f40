//! Systems without network namespaces.

use crate::failure::{Failure, Result};

/// Always fails: there is nothing to enter.
pub(super) fn enter() -> Result<()> {
    Err(Failure::new("enter a network namespace", "only Linux has them"))
}
