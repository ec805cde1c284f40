//! `cargo xtask tidy`: the rules of this workspace that no compiler knows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

mod layers;
mod manifests;
mod shape;
mod source;
mod unsafe_code;
mod words;

/// Checks the layer table, where unsafe code stands, lengths, manifests and banned words.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}

/// Prints every finding as `path:line: message`; fails if there is one.
pub(crate) fn main(_arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let findings = check(&workspace)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        return Err(Failure::found(format!("tidy: {} findings", findings.len())));
    }
    println!("tidy: nothing found");
    Ok(())
}

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// Relative to the workspace's root.
    path: PathBuf,
    /// Counted from 1.
    line: Option<usize>,
    message: String,
}

/// A file's path, relative to the workspace's root, and what is in it.
#[derive(Debug, Clone)]
struct SourceFile {
    path: PathBuf,
    text: String,
}

fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let root = &workspace.root;
    let files = text_files(root)?;
    let is_rust = |file: &&SourceFile| file.path.extension().is_some_and(|end| end == "rs");
    let rust: Vec<SourceFile> = files.iter().filter(is_rust).cloned().collect();
    let text_of = |path: &str| {
        files.iter().find(|file| file.path == Path::new(path)).map(|file| file.text.as_str())
    };
    let home = std::env::home_dir();
    let places = words::machine_places(root, home.as_deref());
    let packages = &workspace.packages;
    Ok([
        layers::check(packages),
        unsafe_code::check(packages, &rust),
        shape::check(&rust),
        manifests::check_lints(packages, &files),
        manifests::check_reasons(
            packages,
            text_of("Cargo.toml").unwrap_or_default(),
            text_of("docs/dependencies.md"),
        ),
        manifests::check_lock(text_of("Cargo.lock").unwrap_or_default()),
        words::check_unfinished(&rust),
        words::check_machine_paths(&files, &places),
    ]
    .concat())
}

/// Every text file below `root` but build output and version control.
fn text_files(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let fail = |error| Failure::new(format!("read {}", directory.display()), error);
        for entry in fs::read_dir(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            let path = entry.path();
            if kind.is_dir() && !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                directories.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path).map_err(fail)?;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
                files.push(SourceFile { path, text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Directories that hold nothing of ours.
const SKIPPED: &[&str] = &[".git", "target"];

impl Finding {
    fn new(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, message: message.into() }
    }

    fn at(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match self.line {
            Some(line) => write!(f, "{path}:{line}: {}", self.message),
            None => write!(f, "{path}: {}", self.message),
        }
    }
}
