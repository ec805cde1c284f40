//! Programs of the system that a task calls.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result};

/// Where the program `name` is: on `PATH`, or where Debian keeps an administrator's programs.
/// If it is nowhere, the failure says which Debian package brings it.
pub(crate) fn find(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place| place.join(name)).find(|program| program.is_file()).ok_or_else(|| {
        let why = format!("not installed (Debian: sudo apt-get install {package})");
        Failure::new(format!("find the program {name}"), why)
    })
}

/// Runs a command to its end and gives what it printed; a failure carries its words.
pub(crate) fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let what = format!("run {}", command.get_program().display());
    let output = command.stdin(Stdio::null()).output().map_err(|e| Failure::new(&what, e))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(&what, format!("{}: {}", output.status, words.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_names_its_package() {
        let failure = find("no-such-program", "some-package").unwrap_err().to_string();
        assert!(failure.contains("no-such-program") && failure.contains("install some-package"));
        assert!(find("sh", "dash").is_ok());
    }

    #[test]
    fn a_failed_command_carries_its_words() {
        let failure = output_of(Command::new("sh").args(["-c", "echo why >&2; exit 3"]));
        assert!(failure.unwrap_err().to_string().contains("why"));
        assert_eq!(output_of(Command::new("echo").arg("x")).unwrap(), b"x\n");
    }
}
