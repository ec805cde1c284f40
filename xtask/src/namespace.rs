//! A network namespace of a task's own, with root's rights inside, for anyone.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

#[cfg_attr(target_os = "linux", path = "namespace/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "namespace/elsewhere.rs")]
mod sys;

/// Runs a command in a fresh network namespace: how `cargo xtask test` starts each test binary.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The command and its arguments; without one, only tries whether a namespace can be entered.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Enters and becomes the command; returns only if there is none, or if something failed.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    enter()?;
    let Some((program, rest)) = arguments.command.split_first() else { return Ok(()) };
    let error = Command::new(program).args(rest).exec();
    Err(Failure::new(format!("run {}", program.display()), error))
}

/// Moves this process into a network namespace of its own, where it may create interfaces and use
/// its `lo`; as an ordinary user into a user namespace too, where it is root. Must be called
/// before the process has a second thread.
pub(crate) fn enter() -> Result<()> {
    sys::enter()
}

/// Whether [`enter`] works here, tried in a child; if not, why.
pub(crate) fn available() -> std::result::Result<(), String> {
    let program = own_program().map_err(|failure| failure.to_string())?;
    let tried = Command::new(program).arg("enter-namespace").stdin(Stdio::null()).output();
    let output = tried.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.trim().trim_start_matches("xtask: ").to_owned())
}

/// The arguments of cargo that make it start every test binary in a namespace of its own.
pub(crate) fn runner_arguments() -> Result<[String; 2]> {
    let program = own_program()?;
    let text = program.to_str().ok_or_else(|| {
        Failure::new("name the test runner", format!("{} is not UTF-8", program.display()))
    })?;
    let words = serde_json::json!([text, "enter-namespace", "--"]);
    Ok(["--config".to_owned(), format!("target.'cfg(all())'.runner={words}")])
}

/// This program. Cargo may replace the file while a task runs; the path stays good.
pub(crate) fn own_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Failure::new("find the xtask program", error))
}
