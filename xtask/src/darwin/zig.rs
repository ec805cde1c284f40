//! Zig: a C compiler and linker for other systems, with the macOS headers and the stubs of
//! libSystem.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Target;
use crate::failure::{Failure, Result};
use crate::tools::output_of;
use crate::workspace::Workspace;

/// A Zig that is installed.
#[derive(Debug)]
pub(crate) struct Zig {
    /// The words that start it.
    command: Vec<PathBuf>,
    version: String,
}

impl Zig {
    /// Looks for `zig`, and for the Python package `ziglang`: in the virtual environment that
    /// `.ci/run` makes, and in the Python on `PATH`.
    pub(super) fn find(workspace: &Workspace) -> Result<Self> {
        let environment = workspace.target.join("xtask/python");
        let python = |python: PathBuf| vec![python, "-m".into(), "ziglang".into()];
        let candidates =
            [python(environment.join("bin/python")), vec!["zig".into()], python("python3".into())];
        candidates.into_iter().find_map(Self::of).ok_or_else(|| {
            let place = environment.display();
            let why = format!(
                "neither the program zig nor the Python package ziglang is installed (python3 -m \
                 venv {place} && {place}/bin/pip install ziglang)"
            );
            Failure::new("find Zig, which links for macOS", why)
        })
    }

    fn of(command: Vec<PathBuf>) -> Option<Self> {
        let mut zig = Self { command, version: String::new() };
        let version = output_of(zig.call().arg("version")).ok()?;
        zig.version = String::from_utf8_lossy(&version).trim().to_owned();
        Some(zig)
    }

    /// For people: which it is.
    pub(super) fn words(&self) -> String {
        format!("Zig {}", self.version)
    }

    /// A call of it.
    fn call(&self) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command
    }

    /// A call of its C compiler for a Mac.
    pub(super) fn cc(&self, target: Target) -> Command {
        let mut command = self.call();
        command.args(["cc", "-target", target.zig_name()]);
        command
    }

    /// Has cargo, and C code in dependencies, use it for `target`, by small programs and a cache
    /// that it puts into `directory`.
    pub(super) fn serve(
        &self,
        target: Target,
        cargo: &mut Command,
        directory: &Path,
    ) -> Result<()> {
        let cc = directory.join(format!("cc-{}", target.triple()));
        let ar = directory.join("ar");
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let command = command.join(" ");
        write_program(&cc, &compiler_script(&command, target))?;
        write_program(&ar, &format!("#!/bin/sh\nexec {command} ar \"$@\"\n"))?;
        let name = target.triple().replace('-', "_");
        cargo.env(target.setting("LINKER"), &cc);
        cargo.env(format!("CC_{name}"), &cc).env(format!("AR_{name}"), &ar);
        for cache in ["ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"] {
            cargo.env(cache, directory.join("zig-cache"));
        }
        // Rust would ask Xcode for it. The place is not used: Zig knows its own.
        cargo.env("SDKROOT", directory);
        Ok(())
    }
}

impl Target {
    /// As Zig calls it.
    fn zig_name(self) -> &'static str {
        match self {
            Self::Arm => "aarch64-macos",
            Self::Intel => "x86_64-macos",
        }
    }
}

/// Passes on all arguments but three: the crate libc asks for a library iconv, which nothing here
/// uses and Zig has no stub of; the target by the name that Apple's compiler has for it; and where
/// Xcode's SDK is.
fn compiler_script(zig: &str, target: Target) -> String {
    format!(
        "#!/bin/sh\n\
         previous=\n\
         for argument do\n\
         \x20 shift\n\
         \x20 case $previous$argument in\n\
         \x20   -liconv | --target=*) ;;\n\
         \x20   -isysroot) previous=-isysroot ;;\n\
         \x20   -isysroot*) previous= ;;\n\
         \x20   *) set -- \"$@\" \"$argument\" ;;\n\
         \x20 esac\n\
         done\n\
         exec {zig} cc -target {} \"$@\"\n",
        target.zig_name()
    )
}

/// One word of a shell's command line.
fn quoted(word: &Path) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

/// Writes a program, unless it is there just so.
fn write_program(path: &Path, text: &str) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == text.as_bytes()) {
        return Ok(());
    }
    let fail = |error| Failure::new(format!("write {}", path.display()), error);
    fs::write(path, text).map_err(fail)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_gets_every_argument_but_those_that_zig_does_not_take() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("cc");
        let script = compiler_script("printf '%s\\n'", Target::Intel);
        write_program(&program, &script).unwrap();
        let dropped = ["-liconv", "--target=arm64-apple-macosx", "-isysroot", "/an SDK"];
        let arguments = [&["-o", "a b"][..], &dropped, &["", "-lSystem"]].concat();
        let words = output_of(Command::new(&program).args(arguments)).unwrap();
        let expected = "cc\n-target\nx86_64-macos\n-o\na b\n\n-lSystem\n";
        assert_eq!(String::from_utf8(words).unwrap(), expected);
    }

    #[test]
    fn words_stay_words() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }

    #[test]
    fn what_does_not_start_is_no_zig() {
        assert!(Zig::of(vec!["/nonexistent/zig".into()]).is_none());
        assert!(Zig::of(vec!["false".into()]).is_none());
        assert_eq!(Zig::of(vec!["echo".into()]).unwrap().words(), "Zig version");
    }
}
