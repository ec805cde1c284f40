//! Which Rust builds for a Mac.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Target;
use crate::failure::{Failure, Result};
use crate::tools::output_of;
use crate::workspace::Workspace;

/// A Rust that can build for the Macs.
#[derive(Debug)]
pub(super) struct Toolchain {
    compiler: Compiler,
    /// As the compiler itself tells it.
    version: String,
    library: Library,
}

/// A compiler and its cargo.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Compiler {
    /// The one that this task was called with.
    Ours { cargo: PathBuf },
    /// The system's, beside one of rustup that is ours.
    System { directory: PathBuf },
}

/// Where the Macs' standard library comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Library {
    Installed,
    BuiltFromSources,
}

/// Where Debian has its Rust.
const SYSTEM: &str = "/usr/bin";

impl Toolchain {
    /// The Rust in use if it has the targets' standard library or its sources, else the system's if
    /// that has them.
    pub(super) fn find(workspace: &Workspace, targets: &[Target]) -> Result<Self> {
        let ours = Compiler::Ours { cargo: workspace.cargo(&[]).get_program().into() };
        let system = Compiler::System { directory: SYSTEM.into() };
        let mut reasons = Vec::new();
        for compiler in [ours, system] {
            match Self::of(compiler, workspace.rust_version.as_deref(), targets) {
                Ok(toolchain) => return Ok(toolchain),
                Err(reason) => reasons.push(reason),
            }
        }
        let triples = targets.iter().map(|target| target.triple()).collect::<Vec<_>>().join(" ");
        let why = format!(
            "{}. Do one of these: rustup target add {triples}; rustup component add rust-src; on \
             Debian 12 sudo apt-get install {PACKAGES}",
            reasons.join("; ")
        );
        Err(Failure::new("find a Rust that builds for macOS", why))
    }

    fn of(
        compiler: Compiler,
        oldest: Option<&str>,
        targets: &[Target],
    ) -> std::result::Result<Self, String> {
        let asked = |arguments: &[&str]| {
            let answer = output_of(compiler.rustc().args(arguments));
            answer.map(|words| String::from_utf8_lossy(&words).trim().to_owned())
        };
        let version = asked(&["--version"]).map_err(|failure| failure.to_string())?;
        if oldest.is_some_and(|oldest| minor(&version) < minor(oldest)) {
            return Err(format!("{} is {version}, too old", compiler.words()));
        }
        let is_installed = |target: &Target| {
            asked(&["--print", "target-libdir", "--target", target.triple()])
                .is_ok_and(|directory| holds_library(Path::new(&directory)))
        };
        let sources = || {
            let root = asked(&["--print", "sysroot"]).unwrap_or_default();
            Path::new(&root).join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
        };
        let library = match () {
            () if targets.iter().all(is_installed) => Library::Installed,
            () if sources() => Library::BuiltFromSources,
            () => {
                let compiler = compiler.words();
                return Err(format!(
                    "{compiler} has neither their standard library nor its sources"
                ));
            }
        };
        if let Compiler::System { directory } = &compiler
            && let Some(missing) =
                ["cargo", "cargo-clippy"].iter().find(|name| !directory.join(name).is_file())
        {
            return Err(format!("{} has no {missing}", compiler.words()));
        }
        Ok(Self { compiler, version, library })
    }

    /// For people: which it is.
    pub(super) fn words(&self) -> String {
        let library = match self.library {
            Library::Installed => "with the targets' own standard library",
            Library::BuiltFromSources => "with a standard library built from its sources",
        };
        format!("{} {library}", self.version)
    }

    /// A call of cargo's `command`.
    pub(super) fn cargo(&self, command: &str) -> Command {
        let mut cargo = match &self.compiler {
            Compiler::Ours { cargo } => Command::new(cargo),
            Compiler::System { directory } => isolated(directory, "cargo"),
        };
        cargo.arg(command);
        self.with_library(cargo)
    }

    /// A call of `cargo clippy`.
    pub(super) fn clippy(&self) -> Command {
        let Compiler::System { directory } = &self.compiler else { return self.cargo("clippy") };
        // Cargo would look for rustup's first.
        let mut clippy = isolated(directory, "cargo-clippy");
        clippy.arg("clippy").env("CARGO", directory.join("cargo"));
        self.with_library(clippy)
    }

    fn with_library(&self, mut cargo: Command) -> Command {
        if self.library == Library::BuiltFromSources {
            // Allows a compiler that is not a nightly what cargo has only there.
            cargo.arg("-Zbuild-std").env("RUSTC_BOOTSTRAP", "1");
        }
        cargo
    }
}

/// The packages of Debian 12 that bring a Rust with the sources of its standard library.
const PACKAGES: &str = "rustc-web cargo-web rust-web-src rust-web-clippy";

impl Compiler {
    fn rustc(&self) -> Command {
        match self {
            Self::Ours { .. } => {
                Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            }
            Self::System { directory } => isolated(directory, "rustc"),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Ours { .. } => "the Rust in use".to_owned(),
            Self::System { directory } => format!("the one in {}", directory.display()),
        }
    }
}

/// A program of the Rust in `directory`, which shall not see what rustup and cargo set for their
/// own.
fn isolated(directory: &Path, program: &str) -> Command {
    let mut command = Command::new(directory.join(program));
    command.env("RUSTC", directory.join("rustc"));
    for name in ["CARGO", "RUSTDOC", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
    command
}

fn holds_library(directory: &Path) -> bool {
    let is_library = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    };
    std::fs::read_dir(directory).is_ok_and(|entries| entries.flatten().any(is_library))
}

/// The second number of a version such as `rustc 1.96.0 (…)` or `1.95`.
fn minor(version: &str) -> u32 {
    let version = version.trim_start_matches("rustc ");
    version.split('.').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_second_number() {
        assert_eq!(minor("rustc 1.96.0 (ac68faa20 2026-05-25)"), 96);
        assert_eq!(minor("1.95"), 95);
        assert!(minor("rustc 1.63.0") < minor("1.95"));
    }

    #[test]
    fn a_compiler_that_is_too_old_or_not_there_says_so() {
        let ours = Compiler::Ours { cargo: "cargo".into() };
        let error = Toolchain::of(ours, Some("1.9999"), &Target::ALL).unwrap_err();
        assert!(error.contains("the Rust in use is rustc 1.") && error.ends_with("too old"));
        let nowhere = Compiler::System { directory: "/nonexistent".into() };
        let error = Toolchain::of(nowhere, None, &Target::ALL).unwrap_err();
        assert!(error.contains("/nonexistent/rustc"), "{error}");
    }

    #[test]
    fn a_library_is_its_rlib() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!holds_library(directory.path()));
        std::fs::write(directory.path().join("libstd-0123.so"), "").unwrap();
        assert!(!holds_library(directory.path()));
        std::fs::write(directory.path().join("libstd-0123.rlib"), "").unwrap();
        assert!(holds_library(directory.path()));
        assert!(!holds_library(Path::new("/nonexistent")));
    }
}
