//! What goes where.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::control::Release;
use super::tree::{PROGRAM, TEXT, Tree};
use super::{Program, licenses, names_in, text_of};
use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

/// Where Debian's shells look for completions, by the name that `vswitch completions` takes.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/vswitch"),
    ("zsh", "usr/share/zsh/vendor-completions/_vswitch"),
    ("fish", "usr/share/fish/vendor_completions.d/vswitch.fish"),
];

/// Puts every file into its place.
pub(super) fn fill(
    tree: &Tree,
    workspace: &Workspace,
    program: &Program,
    release: &Release,
) -> Result<()> {
    let sources = workspace.root.join("packaging");
    let copy = |from: &Path, to: &str| tree.write(to, text_of(from)?.as_bytes(), TEXT);
    put_program(tree, &program.path)?;
    copy(&sources.join("systemd/vswitch.service"), "usr/lib/systemd/system/vswitch.service")?;
    copy(&sources.join("debian/vswitch.toml"), "etc/vswitch/vswitch.toml")?;
    for (shell, path) in COMPLETIONS {
        tree.write(path, &said(&program.path, &["completions", shell])?, TEXT)?;
    }
    put_manual(tree, &program.path)?;
    let doc = "usr/share/doc/vswitch";
    let example = said(&program.path, &["config", "example"])?;
    tree.write(&format!("{doc}/examples/vswitch.toml"), &example, TEXT)?;
    copy(&sources.join("debian/copyright"), &format!("{doc}/copyright"))?;
    let changes = text_of(&workspace.root.join("docs/changelog.md"))?;
    tree.write_compressed(&format!("{doc}/changelog"), changes.as_bytes())?;
    tree.write_compressed(&format!("{doc}/changelog.Debian"), release.changelog.as_bytes())?;
    let others = licenses::of_program(workspace)?;
    tree.write_compressed(&format!("{doc}/third-party"), others.as_bytes())
}

/// The program, without what only a debugger reads.
fn put_program(tree: &Tree, program: &Path) -> Result<()> {
    let bytes = fs::read(program)
        .map_err(|error| Failure::new(format!("read {}", program.display()), error))?;
    tree.write("usr/bin/vswitch", &bytes, PROGRAM)?;
    let mut strip = Command::new(tools::find("strip", "binutils")?);
    strip.args(["--strip-unneeded", "--remove-section=.comment", "--remove-section=.note"]);
    tools::output_of(strip.arg(tree.place("usr/bin/vswitch")))?;
    Ok(())
}

/// The manual pages, as the program writes them.
fn put_manual(tree: &Tree, program: &Path) -> Result<()> {
    let what = "write the manual pages";
    let scratch = tempfile::tempdir().map_err(|error| Failure::new(what, error))?;
    tools::output_of(Command::new(program).arg("man").arg(scratch.path()))?;
    let pages = names_in(scratch.path())?;
    if !pages.iter().any(|page| page == "vswitch-run.1") {
        return Err(Failure::new(what, format!("vswitch-run.1 is not among {pages:?}")));
    }
    for page in pages {
        let text = text_of(&scratch.path().join(&page))?;
        tree.write_compressed(&format!("usr/share/man/man1/{page}"), text.as_bytes())?;
    }
    Ok(())
}

/// What the program prints.
fn said(program: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    tools::output_of(Command::new(program).args(arguments))
}
