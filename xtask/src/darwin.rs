//! `cargo xtask darwin`: the whole workspace as programs for both Macs, built and linked anywhere.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod built;
mod mach_o;
mod toolchain;
mod zig;

use built::Built;
use mach_o::Cpu;
use toolchain::Toolchain;
use zig::Zig;

/// Builds and links the program `vswitch` and every test, bench and example for both Macs, looks at
/// what came out, and runs clippy for both.
///
/// Needs no Mac. The targets' standard library is rustup's where it is installed, else it is built
/// from its sources; Zig links, and has the macOS headers and the stubs of libSystem.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask darwin --target aarch64-apple-darwin --package bpf")]
pub(crate) struct Arguments {
    /// Only for this one of the two Macs
    #[arg(long = "target", value_enum)]
    targets: Vec<Target>,
    /// Only this package
    #[arg(long, short)]
    package: Option<String>,
}

/// A Mac.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// With Apple's own processor
    #[value(name = "aarch64-apple-darwin")]
    Arm,
    /// With Intel's
    #[value(name = "x86_64-apple-darwin")]
    Intel,
}

impl Target {
    const ALL: [Self; 2] = [Self::Arm, Self::Intel];

    /// As Rust calls it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Arm => "aarch64-apple-darwin",
            Self::Intel => "x86_64-apple-darwin",
        }
    }

    /// The processor that a program for it names.
    fn cpu(self) -> Cpu {
        match self {
            Self::Arm => Cpu::Arm64,
            Self::Intel => Cpu::X86_64,
        }
    }
}

/// Fails if something does not build or link, is no program for its Mac, or if clippy finds
/// something.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let targets = match &arguments.targets[..] {
        [] => Target::ALL.to_vec(),
        some => some.to_vec(),
    };
    let build = Build::prepare(&workspace, &targets, arguments.package.as_deref())?;
    println!("darwin: {}", build.words());
    let built = build.everything()?;
    build.clippy()?;
    for target in targets {
        println!("{}", built.of(target).examine(arguments.package.is_none())?);
    }
    Ok(())
}

/// How everything is built.
struct Build<'a> {
    workspace: &'a Workspace,
    targets: &'a [Target],
    package: Option<&'a str>,
    toolchain: Toolchain,
    /// None on a Mac, whose own compiler links.
    zig: Option<Zig>,
    /// Apart from the workspace's own, so that neither makes the other build again.
    directory: PathBuf,
}

impl<'a> Build<'a> {
    /// Finds what is needed, or says what to install.
    fn prepare(
        workspace: &'a Workspace,
        targets: &'a [Target],
        package: Option<&'a str>,
    ) -> Result<Self> {
        let toolchain = Toolchain::find(workspace, targets)?;
        let zig = match cfg!(target_os = "macos") {
            true => None,
            false => Some(Zig::find(workspace)?),
        };
        let directory = workspace.scratch("darwin")?;
        Ok(Self { workspace, targets, package, toolchain, zig, directory })
    }

    fn words(&self) -> String {
        let linker = self.zig.as_ref().map_or_else(|| "this Mac's linker".to_owned(), Zig::words);
        format!("{}, linked by {linker}", self.toolchain.words())
    }

    /// Builds all targets of all packages, cargo's progress being shown.
    fn everything(&self) -> Result<Built> {
        let what = "build for macOS";
        let mut cargo = self.toolchain.cargo("build");
        self.complete(&mut cargo)?;
        cargo.args(["--message-format", "json-render-diagnostics"]);
        let fail = |error| Failure::new(what, error);
        let mut child = cargo.stdout(Stdio::piped()).spawn().map_err(fail)?;
        let mut built = Built::new(&self.directory);
        for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
            built.add(&line.map_err(fail)?);
        }
        match child.wait().map_err(fail)? {
            status if status.success() => Ok(built),
            status => Err(Failure::new(what, status)),
        }
    }

    fn clippy(&self) -> Result<()> {
        let what = "run clippy for macOS";
        let mut cargo = self.toolchain.clippy();
        self.complete(&mut cargo)?;
        cargo.args(["--", "-D", "warnings"]);
        match cargo.status().map_err(|error| Failure::new(what, error))? {
            status if status.success() => Ok(()),
            status => Err(Failure::new(what, status)),
        }
    }

    /// Adds what every call of cargo has in common.
    fn complete(&self, cargo: &mut Command) -> Result<()> {
        cargo.current_dir(&self.workspace.root).arg("--target-dir").arg(&self.directory);
        match self.package {
            Some(package) => cargo.args(["--package", package]),
            None => cargo.arg("--workspace"),
        };
        cargo.args(["--all-targets", "--keep-going"]);
        for target in self.targets {
            cargo.args(["--target", target.triple()]);
            if let Some(zig) = &self.zig {
                zig.link_for(*target, cargo, &self.directory)?;
            }
        }
        // Nobody debugs these here. Without debug information cargo would strip the programs, for
        // which there may be no tool.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "none").env("CARGO_PROFILE_DEV_STRIP", "none");
        Ok(())
    }
}
