//! A C compiler and linker for the Macs.

use std::path::Path;
use std::process::Command;

use super::Target;
use super::zig::Zig;
use crate::failure::Result;
use crate::workspace::Workspace;

/// What compiles C and links for the Macs.
#[derive(Debug)]
pub(crate) enum CCompiler {
    /// This Mac's own.
    Apple,
    /// Elsewhere.
    Zig(Zig),
}

impl CCompiler {
    /// The one for this machine; where it has to be installed, the failure says how.
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        match cfg!(target_os = "macos") {
            true => Ok(Self::Apple),
            false => Zig::find(workspace).map(Self::Zig),
        }
    }

    /// A call of it.
    pub(crate) fn call(&self, target: Target) -> Command {
        match self {
            Self::Apple => {
                let mut command = Command::new("cc");
                command.args(["-arch", &target.cpu().to_string()]);
                command
            }
            Self::Zig(zig) => zig.cc(target),
        }
    }

    /// For people: which it is.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Apple => "this Mac's own linker".to_owned(),
            Self::Zig(zig) => zig.words(),
        }
    }

    /// Has cargo use it for `target`; what that needs is written into `directory`.
    pub(super) fn serve(
        &self,
        target: Target,
        cargo: &mut Command,
        directory: &Path,
    ) -> Result<()> {
        match self {
            Self::Apple => Ok(()),
            Self::Zig(zig) => zig.serve(target, cargo, directory),
        }
    }
}
