//! What tells dpkg of the package: its name, version and needs, and what to run when it comes and
//! goes (deb-control(5)).

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use super::tree::{PROGRAM, TEXT, Tree};
use super::{Program, text_of};
use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

/// Which version this is, and of when.
#[derive(Debug)]
pub(super) struct Release {
    /// As Debian writes it, `0.1.0-1`.
    pub(super) version: String,
    /// Seconds since 1970: of the last commit, so that the same sources make the same package.
    pub(super) epoch: u64,
    /// Debian's changelog, of one entry.
    pub(super) changelog: String,
}

impl Release {
    pub(super) fn of(workspace: &Workspace, program: &Program) -> Result<Self> {
        let epoch = epoch(workspace)?;
        let version = format!("{}-1", program.version);
        let since = format!("--date=@{epoch}");
        let date = tools::output_of(Command::new("date").args(["-u", "-R", &since]))?;
        let date = String::from_utf8_lossy(&date).trim().to_owned();
        let maintainer = maintainer(&workspace.root.join("packaging/debian/control"))?;
        let changelog = format!(
            "vswitch ({version}) unstable; urgency=medium\n\n  \
             * Made from the sources; what changed in them is in changelog.gz.\n\n \
             -- {maintainer}  {date}\n"
        );
        Ok(Self { version, epoch, changelog })
    }
}

/// `SOURCE_DATE_EPOCH`, or when the last commit was made, or, outside of a repository, now.
fn epoch(workspace: &Workspace) -> Result<u64> {
    if let Ok(told) = std::env::var("SOURCE_DATE_EPOCH") {
        return told.parse().map_err(|error| Failure::new("read SOURCE_DATE_EPOCH", error));
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(&workspace.root);
    let committed = tools::output_of(&mut git).ok();
    let committed = committed.and_then(|told| String::from_utf8(told).ok()?.trim().parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(committed.unwrap_or_else(now))
}

/// Who answers for the package.
fn maintainer(control: &Path) -> Result<String> {
    let text = text_of(control)?;
    let named = text.lines().find_map(|line| line.strip_prefix("Maintainer: "));
    named
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("read {}", control.display()), "it has no Maintainer"))
}

/// Writes the directory `DEBIAN`. Debian's own tools find which libraries the program needs, and
/// in which versions.
pub(super) fn write(tree: &Tree, sources: &Path, release: &Release, scratch: &Path) -> Result<()> {
    for script in ["postinst", "prerm", "postrm"] {
        let text = text_of(&sources.join("debian").join(script))?;
        tree.write(&format!("DEBIAN/{script}"), text.as_bytes(), PROGRAM)?;
    }
    let files = tree.files()?;
    let configuration: String =
        files.iter().filter(|file| file.starts_with("etc/")).map(|f| format!("/{f}\n")).collect();
    tree.write("DEBIAN/conffiles", configuration.as_bytes(), TEXT)?;
    let mut sums = Command::new(tools::find("md5sum", "coreutils")?);
    let sums = sums.args(files.iter().filter(|file| !file.starts_with("etc/")));
    let sums = tools::output_of(sums.current_dir(tree.root()))?;
    tree.write("DEBIAN/md5sums", &sums, TEXT)?;
    // These two look for what they read where a source package has it.
    let source = Tree::plant(&scratch.join("source"))?;
    source.write("debian/control", text_of(&sources.join("debian/control"))?.as_bytes(), TEXT)?;
    source.write("debian/changelog", release.changelog.as_bytes(), TEXT)?;
    let in_source = |tool: &str| {
        let mut command = Command::new(tools::find(tool, "dpkg-dev")?);
        command.current_dir(source.root());
        Ok::<_, Failure>(command)
    };
    let program = tree.place("usr/bin/vswitch");
    tools::output_of(in_source("dpkg-shlibdeps")?.arg("-Tdebian/substvars").arg(program))?;
    let mut control = in_source("dpkg-gencontrol")?;
    let to = tree.root().display();
    control.args(["-Tdebian/substvars", "-pvswitch", &format!("-P{to}")]);
    tools::output_of(&mut control)?;
    tree.write("DEBIAN/control", text_of(&tree.place("DEBIAN/control"))?.as_bytes(), TEXT)
}

/// A call of dpkg.
pub(super) fn dpkg(arguments: &[&str]) -> Result<Command> {
    let mut dpkg = Command::new(tools::find("dpkg", "dpkg")?);
    dpkg.args(arguments);
    Ok(dpkg)
}
