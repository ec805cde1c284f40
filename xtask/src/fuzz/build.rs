//! How the targets are built: with what tells libFuzzer which code an input reached.

use std::process::Stdio;

use super::target::Target;
use crate::failure::{Failure, Result};
use crate::tools;
use crate::workspace::{Workspace, executables};

/// A counter at each edge, a table of where those are, and a call at each comparison. They are
/// LLVM's and no sanitizer's, so that a stable compiler has them.
const COVERAGE: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Builds all targets, cargo's progress being shown, and says where they lie, by name.
pub(super) fn programs(workspace: &Workspace) -> Result<Vec<Target>> {
    let what = "build the fuzz targets";
    if std::env::var_os("CXX").is_none() {
        tools::find("c++", "g++")?;
    }
    // With a target named, build scripts and macros are built without the flags.
    let mut cargo = workspace.cargo(&["build", "--manifest-path", "fuzz/Cargo.toml", "--bins"]);
    cargo.args([
        "--target",
        &workspace.host_target()?,
        "--message-format",
        "json-render-diagnostics",
    ]);
    cargo.env("CARGO_TARGET_DIR", workspace.scratch("fuzz")?);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\x1f"));
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|e| Failure::new(what, e))?;
    if !output.status.success() {
        return Err(Failure::new(what, output.status));
    }
    let built = executables(&String::from_utf8_lossy(&output.stdout)).into_iter();
    let mut targets: Vec<_> = built.map(|(name, program)| Target { name, program }).collect();
    targets.sort_by(|a, b| a.name.cmp(&b.name));
    match targets.is_empty() {
        true => Err(Failure::new(what, "cargo did not say where they are")),
        false => Ok(targets),
    }
}
