//! System calls are counted on Linux alone: those of a Mac are counted by `cargo xtask run --kernel
//! sim`.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// Says that this is not Linux.
pub(super) fn check(_: &Workspace, _: &Path) -> Result<Vec<String>> {
    Err(Failure::new("count system calls", "strace is Linux's"))
}
