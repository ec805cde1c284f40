//! Helpers of this workspace's own tests; never in a published crate's dependency tree.
//!
//! A test that cannot run here says so through [`skip`]: the reason is printed, written to the file
//! that `VSWITCH_SKIP_LOG` names (where `cargo xtask test` counts it), and where
//! `VSWITCH_NO_SKIP=1` is set (CI) the test fails instead.
#![forbid(unsafe_code)]

use std::io::Write as _;

pub mod command;
pub mod log;
#[cfg(target_os = "linux")]
pub mod netns;
pub mod own_kernel;
pub mod replay;
pub mod tcpdump;

/// Says that the running test cannot run here, and why. Call it, then return from the test.
///
/// # Panics
/// When `VSWITCH_NO_SKIP` is `1`: on CI a skipped test is a failed one.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed test");
    let line = format!("SKIP {test}: {reason}\n");
    assert!(std::env::var_os("VSWITCH_NO_SKIP").is_none_or(|v| v != "1"), "{line}");
    eprint!("{line}");
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
        log.and_then(|mut log| log.write_all(line.as_bytes())).expect("write to the skip log");
    }
}

/// Whether the program `name` is on `PATH`; skips the test with the package to install when not.
#[must_use]
pub fn tool_or_skip(name: &str, package: &str) -> bool {
    let found = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path)
            .chain(["/usr/sbin".into(), "/sbin".into()])
            .any(|dir| dir.join(name).is_file())
    });
    if !found {
        skip(&format!("no {name} on PATH (Debian package {package})"));
    }
    found
}

/// A scratch directory with a short path (a unix socket's path holds 107 bytes), removed at the
/// end.
///
/// # Panics
/// When the directory for temporary files cannot be written.
#[must_use]
pub fn scratch_dir() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("vsw").tempdir().expect("make a scratch directory")
}

/// The kept inputs of the fuzz target `target` (`fuzz/seeds/TARGET` of the workspace), each with
/// its name.
///
/// # Panics
/// When there is none, or one cannot be read.
pub fn fuzz_seeds(target: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let directory =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .unwrap_or_else(|error: std::io::Error| panic!("read {}: {error}", directory.display()));
    files.sort();
    assert!(!files.is_empty(), "there is no seed in {}", directory.display());
    files.into_iter().map(|path| {
        let seed = std::fs::read(&path);
        let seed = seed.unwrap_or_else(|error| panic!("read {}: {error}", path.display()));
        (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), seed)
    })
}

/// Polls `done` every 5 ms until it holds or `limit` has passed; says which.
#[must_use]
pub fn wait_until(limit: std::time::Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = std::time::Instant::now() + limit;
    loop {
        if done() {
            return true;
        }
        if std::time::Instant::now() >= end {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
