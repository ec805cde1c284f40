//! `cargo xtask darwin`: the whole workspace as programs for both Macs, built and linked anywhere.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::abi;
use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod built;
mod c_compiler;
mod mach_o;
mod toolchain;
mod zig;

use built::Built;
pub(crate) use c_compiler::CCompiler;
use mach_o::Cpu;
use toolchain::Toolchain;

/// Builds and links the program `vswitch` and every test, bench and example for both Macs, looks at
/// what came out, runs clippy for both, and has C compare the ABI.
///
/// Needs no Mac. The targets' standard library is rustup's where it is installed, else it is built
/// from its sources; Zig links, and has the macOS headers and the stubs of libSystem.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask darwin --target aarch64-apple-darwin --package bpf")]
pub(crate) struct Arguments {
    /// Only for this one of the two Macs
    #[arg(long = "target", value_enum)]
    targets: Vec<Target>,
    /// Only this package; may be given more than once
    #[arg(long = "package", short)]
    packages: Vec<String>,
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
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Arm, Self::Intel];

    /// As Rust calls it.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Arm => "aarch64-apple-darwin",
            Self::Intel => "x86_64-apple-darwin",
        }
    }

    /// What cargo calls a setting of its own for it, as a variable of the environment.
    fn setting(self, name: &str) -> String {
        format!("CARGO_TARGET_{}_{name}", self.triple().replace('-', "_").to_uppercase())
    }

    /// The processor that a program for it names.
    fn cpu(self) -> Cpu {
        match self {
            Self::Arm => Cpu::Arm64,
            Self::Intel => Cpu::X86_64,
        }
    }
}

/// Fails if something does not build or link, is no program for its Mac, if clippy finds something,
/// or if C and `xnu-sys` differ.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let targets = match &arguments.targets[..] {
        [] => Target::ALL.to_vec(),
        some => some.to_vec(),
    };
    let build = Build::prepare(&workspace, &targets, &arguments.packages)?;
    println!("darwin: {}", build.words());
    let built = build.everything()?;
    build.clippy()?;
    let is_whole = arguments.packages.is_empty();
    for &target in &targets {
        println!("{}", built.of(target).examine(is_whole)?);
        if is_whole {
            let c_compiler = build.c_compiler.call(target);
            println!("{}", abi::check(&workspace, target.triple(), c_compiler)?);
        }
    }
    Ok(())
}

/// How everything is built.
struct Build<'a> {
    workspace: &'a Workspace,
    targets: &'a [Target],
    packages: &'a [String],
    toolchain: Toolchain,
    c_compiler: CCompiler,
    /// Apart from the workspace's own, so that neither makes the other build again.
    directory: PathBuf,
}

impl<'a> Build<'a> {
    /// Finds what is needed, or says what to install.
    fn prepare(
        workspace: &'a Workspace,
        targets: &'a [Target],
        packages: &'a [String],
    ) -> Result<Self> {
        let toolchain = Toolchain::find(workspace, targets)?;
        let c_compiler = CCompiler::find(workspace)?;
        let directory = workspace.scratch("darwin")?;
        Ok(Self { workspace, targets, packages, toolchain, c_compiler, directory })
    }

    fn words(&self) -> String {
        format!("{}, linked by {}", self.toolchain.words(), self.c_compiler.words())
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
        cargo.args(self.packages.is_empty().then_some("--workspace"));
        cargo.args(self.packages.iter().flat_map(|package| ["--package", package]));
        cargo.args(["--all-targets", "--keep-going"]);
        for target in self.targets {
            cargo.args(["--target", target.triple()]);
            // Cargo strips what has no debug information, for which there may be no tool; what it
            // is told of that by a profile it does not always keep to (1.96).
            cargo.env(target.setting("RUSTFLAGS"), "-C strip=none");
            self.c_compiler.serve(*target, cargo, &self.directory)?;
        }
        // Nobody runs these here: they need not be fast.
        for package in &self.workspace.packages {
            let setting = format!("profile.dev.package.{}.opt-level=0", package.name);
            cargo.args(["--config", &setting]);
        }
        // Nor debugs them.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "none");
        // What cargo keeps to compile parts of a crate again would take as much room as all else.
        cargo.env("CARGO_INCREMENTAL", "0");
        Ok(())
    }
}
