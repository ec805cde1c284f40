//! Programs of others, where they are installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Result, Trying as _};

/// Where the program is; also where only root's PATH leads.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// Runs a command to its end; what it printed.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let what = words.join(" ");
    let output = command.stdin(Stdio::null()).output().trying(&what)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    Err(Failure::new(what, format!("{} ({said})", output.status)))
}

/// Runs `line`, words separated by spaces, to its end.
pub(crate) fn run(line: &str) -> Result<String> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let program = find(name).ok_or_else(|| Failure::new(line, format!("there is no {name}")))?;
    output_of(Command::new(program).args(words))
}
