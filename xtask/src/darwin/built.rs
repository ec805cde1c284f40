//! What cargo built, and whether it is what it should be.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::mach_o::{self, HEADER_LEN};
use super::{Target, mach_o::Cpu};
use crate::failure::{Failure, Result};

/// Every program that cargo told of.
#[derive(Debug)]
pub(super) struct Built {
    directory: PathBuf,
    programs: BTreeSet<Program>,
}

/// One program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Program {
    path: PathBuf,
    /// The name of its target in the manifest.
    name: String,
    /// A test or a bench, not something to start by hand.
    is_test: bool,
    /// The file that is its root.
    source: PathBuf,
}

impl Built {
    /// Nothing yet; everything will be below `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), programs: BTreeSet::new() }
    }

    /// Takes in a line of `cargo build --message-format json`.
    pub(super) fn add(&mut self, line: &str) {
        self.programs.extend(Program::read(line));
    }

    /// Those for one Mac.
    pub(super) fn of(&self, target: Target) -> ForTarget {
        let directory = self.directory.join(target.triple());
        let ours = self.programs.iter().filter(|program| program.path.starts_with(&directory));
        ForTarget { target, programs: ours.cloned().collect() }
    }
}

impl Program {
    fn read(line: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(line).ok()?;
        let target = &message["target"];
        if message["reason"] != "compiler-artifact" || target["kind"][0] == "custom-build" {
            return None;
        }
        Some(Self {
            path: message["executable"].as_str()?.into(),
            name: target["name"].as_str()?.to_owned(),
            is_test: message["profile"]["test"] == true || target["kind"][0] == "bench",
            source: target["src_path"].as_str()?.into(),
        })
    }
}

/// What was built for one Mac.
#[derive(Debug)]
pub(super) struct ForTarget {
    target: Target,
    programs: Vec<Program>,
}

impl ForTarget {
    /// Looks into each file, and says how many there are and how big.
    ///
    /// # Errors
    /// One is no program for this Mac; there is none at all, or with `is_whole` the program
    /// `vswitch` or the tests are missing.
    pub(super) fn examine(&self, is_whole: bool) -> Result<String> {
        let triple = self.target.triple();
        let (tests, programs): (Vec<_>, Vec<_>) =
            self.programs.iter().partition(|program| program.is_test);
        let has_switch = programs.iter().any(|program| program.name == "vswitch");
        if tests.is_empty() || is_whole && !has_switch {
            let why = "there is no test, or not the program vswitch";
            return Err(Failure::new(format!("look at what was built for {triple}"), why));
        }
        let mut size_bytes = 0;
        for program in &self.programs {
            size_bytes += examine(&program.path, self.target.cpu())?;
        }
        let foreign = tests.iter().filter(|test| is_for_linux_alone(&test.source)).count();
        Ok(format!(
            "darwin: {triple:<20} Mach-O {:<6} {:>3} programs, {:>3} test binaries ({foreign} of \
             them Linux's own and empty), {:>4} MiB",
            self.target.cpu(),
            programs.len(),
            tests.len(),
            size_bytes >> 20,
        ))
    }
}

/// The size of a file that is a program for `cpu`.
fn examine(path: &Path, cpu: Cpu) -> Result<u64> {
    let what = format!("look at {}", path.display());
    let fail = |error| Failure::new(&what, error);
    let mut file = File::open(path).map_err(fail)?;
    let mut header = [0; HEADER_LEN];
    file.read_exact(&mut header).map_err(fail)?;
    if mach_o::program(&header) != Some(cpu) {
        return Err(Failure::new(&what, format!("it is no Mach-O program for {cpu}")));
    }
    Ok(file.metadata().map_err(fail)?.len())
}

/// The whole file is left out elsewhere than on Linux.
fn is_for_linux_alone(source: &Path) -> bool {
    let gate = "#![cfg(target_os = \"linux\")]";
    std::fs::read_to_string(source).is_ok_and(|text| text.lines().any(|line| line == gate))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::darwin::mach_o::tests::header;

    const ARM64: u32 = 0x0100_000c;

    fn message(path: &Path, name: &str, kind: &str, is_test: bool) -> String {
        json!({
            "reason": "compiler-artifact", "executable": path, "profile": {"test": is_test},
            "target": {"name": name, "kind": [kind], "src_path": "/w/x.rs"},
        })
        .to_string()
    }

    /// A directory as cargo leaves it: `vswitch` and one test, whose file has this header.
    fn built(directory: &Path, test_header: &[u8]) -> Built {
        let deps = directory.join("aarch64-apple-darwin/debug");
        std::fs::create_dir_all(&deps).unwrap();
        std::fs::write(deps.join("vswitch"), header(ARM64, 2)).unwrap();
        std::fs::write(deps.join("t-01"), test_header).unwrap();
        let mut built = Built::new(directory);
        built.add(&message(&deps.join("vswitch"), "vswitch", "bin", false));
        built.add(&message(&deps.join("t-01"), "t", "test", true));
        built.add(&message(Path::new("/elsewhere/build-script"), "b", "custom-build", false));
        built.add("not JSON");
        built.add(r#"{"reason":"build-finished","success":true}"#);
        built
    }

    #[test]
    fn programs_and_tests_are_counted_for_their_mac() {
        let directory = tempfile::tempdir().unwrap();
        let built = built(directory.path(), &header(ARM64, 2));
        let words = built.of(Target::Arm).examine(true).unwrap();
        assert!(words.contains("Mach-O arm64    1 programs,   1 test binaries (0 of"), "{words}");
        let failure = built.of(Target::Intel).examine(true).unwrap_err().to_string();
        assert!(failure.contains("x86_64-apple-darwin: there is no test"), "{failure}");
    }

    #[test]
    fn a_file_that_is_no_program_for_its_mac_is_told_of() {
        let directory = tempfile::tempdir().unwrap();
        for bad in [&header(0x0100_0007, 2)[..], &header(ARM64, 1), b"\x7fELF"] {
            let failure = built(directory.path(), bad).of(Target::Arm).examine(true).unwrap_err();
            assert!(failure.to_string().contains("t-01"), "{failure}");
        }
    }

    #[test]
    fn the_switch_may_be_missing_only_where_one_package_was_built() {
        let directory = tempfile::tempdir().unwrap();
        let mut built = built(directory.path(), &header(ARM64, 2));
        built.programs.retain(|program| program.is_test);
        assert!(built.of(Target::Arm).examine(true).is_err());
        assert!(built.of(Target::Arm).examine(false).is_ok());
    }

    #[test]
    fn a_file_for_linux_alone_is_known_by_its_gate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("t.rs");
        std::fs::write(&path, "//! Words.\n#![cfg(target_os = \"linux\")]\n").unwrap();
        assert!(is_for_linux_alone(&path));
        std::fs::write(&path, "#[cfg(target_os = \"linux\")]\nmod x;\n").unwrap();
        assert!(!is_for_linux_alone(&path));
    }
}
