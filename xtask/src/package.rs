//! `cargo xtask package`: the Debian package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::Workspace;

mod contents;
mod control;
mod licenses;
mod tree;
mod trial;

use tree::Tree;

/// Makes the Debian package for this machine's architecture, and says where it lies.
///
/// The program is what `cargo install --path crates/vswitch-cli --locked` installs; its manual
/// pages and completions are what it writes itself. All else is in `packaging/`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask package --check")]
pub(crate) struct Arguments {
    /// Then install, run, upgrade, remove and purge it, in a copy of this machine's file system
    /// that nobody else sees; root may do that alone
    #[arg(long)]
    check: bool,
    /// With the program as it is built for tests: quicker to build, slower to run
    #[arg(long)]
    debug: bool,
}

/// Makes the package, and tries it if that is asked for.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    if arguments.check {
        trial::may_be_run()?;
    }
    let workspace = Workspace::load()?;
    let scratch = workspace.scratch("xtask/package")?;
    let program = Program::install(&workspace, &scratch.join("installed"), arguments.debug)?;
    let package = make(&workspace, &program, &scratch)?;
    println!("package: {}", package.display());
    if arguments.check {
        trial::run(&workspace, &package)?;
    }
    Ok(())
}

/// The installed program.
struct Program {
    path: PathBuf,
    /// As it tells it.
    version: String,
}

impl Program {
    /// Installs it as the README says, and sees that it is the only one.
    fn install(workspace: &Workspace, root: &Path, debug: bool) -> Result<Self> {
        let what = "install the program by cargo";
        let mut cargo = workspace.cargo(&["install", "--path", "crates/vswitch-cli", "--locked"]);
        cargo.args(debug.then_some("--debug"));
        cargo.args(["--force", "--no-track", "--root"]).arg(root).stdin(Stdio::null());
        let status = cargo.status().map_err(|error| Failure::new(what, error))?;
        if !status.success() {
            return Err(Failure::new(what, status));
        }
        let programs = names_in(&root.join("bin"))?;
        if programs != ["vswitch"] {
            return Err(Failure::new(what, format!("one program, vswitch, not {programs:?}")));
        }
        let path = root.join("bin/vswitch");
        let told = tools::output_of(Command::new(&path).arg("--version"))?;
        let told = String::from_utf8_lossy(&told);
        let version = told.trim().strip_prefix("vswitch ").map(str::to_owned);
        let version = version.ok_or_else(|| Failure::new(what, format!("its version: {told}")))?;
        Ok(Self { path, version })
    }
}

/// Puts the package together.
fn make(workspace: &Workspace, program: &Program, scratch: &Path) -> Result<PathBuf> {
    let sources = workspace.root.join("packaging");
    let tree = Tree::plant(&scratch.join("tree"))?;
    let release = control::Release::of(workspace, program)?;
    contents::fill(&tree, workspace, program, &release)?;
    control::write(&tree, &sources, &release, scratch)?;
    let architecture = tools::output_of(&mut control::dpkg(&["--print-architecture"])?)?;
    let architecture = String::from_utf8_lossy(&architecture).trim().to_owned();
    let package = scratch.join(format!("vswitch_{}_{architecture}.deb", release.version));
    let mut build = Command::new(tools::find("dpkg-deb", "dpkg")?);
    build.args(["--root-owner-group", "--build"]).arg(tree.root()).arg(&package);
    build.env("SOURCE_DATE_EPOCH", release.epoch.to_string());
    tools::output_of(&mut build)?;
    Ok(package)
}

/// The names of a directory's entries, sorted.
fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.map_err(|error| {
        Failure::new(format!("read the directory {}", directory.display()), error)
    })?;
    let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.iter().map(name).collect();
    names.sort();
    Ok(names)
}

/// A file's text.
fn text_of(path: &Path) -> Result<String> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("read {}", path.display()), error))
}
