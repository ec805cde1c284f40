//! The package, tried as a user would: installed, run, upgraded, removed, purged.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

/// Programs that the trial calls by name, and the packages that bring them.
const TOOLS: &[(&str, &str)] = &[
    ("dpkg", "dpkg"),
    ("findmnt", "util-linux"),
    ("ip", "iproute2"),
    ("man", "man-db"),
    ("setpriv", "util-linux"),
    ("systemd-analyze", "systemd"),
];

/// Before anything is built: whether this user may try a package.
pub(super) fn may_be_run() -> Result<()> {
    for (name, package) in TOOLS {
        tools::find(name, package)?;
    }
    if Uid::effective().is_root() {
        return Ok(());
    }
    let why = "only root may install one (sudo cargo xtask package --check; nothing of this \
               machine is changed)";
    Err(Failure::new("try the package", why))
}

/// Runs `packaging/debian/try/outside.sh` in namespaces of its own: nobody else sees what it
/// mounts, and its interfaces and processes go with it.
pub(super) fn run(workspace: &Workspace, package: &Path) -> Result<()> {
    let what = "try the package";
    let scratch = tempfile::tempdir().map_err(|error| Failure::new(what, error))?;
    let mut unshare = Command::new(tools::find("unshare", "util-linux")?);
    unshare.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"]);
    unshare
        .arg(workspace.root.join("packaging/debian/try/outside.sh"))
        .arg(scratch.path())
        .arg(package);
    let status = unshare.stdin(Stdio::null()).status();
    match status.map_err(|error| Failure::new(what, error))? {
        status if status.success() => Ok(()),
        status => Err(Failure::new(what, status)),
    }
}
