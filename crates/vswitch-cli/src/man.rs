//! `vswitch man`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory as _};

use crate::failure::Failure;
use crate::output::print_text;

/// Write the manual pages into a directory.
///
/// There is one for each command (`vswitch-run.1`). Prints the names of the files. The Debian
/// package has them.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  vswitch man /tmp/vswitch.man && man -l /tmp/vswitch.man/vswitch-run.1")]
pub(crate) struct Arguments {
    /// The directory; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let directory = arguments.directory;
    // `vswitch help` says what `--help` does, and has no page of its own.
    let mut command = crate::Arguments::command().disable_help_subcommand(true);
    command.build();
    fs::create_dir_all(&directory)
        .map_err(|error| Failure::new(format!("make {}", directory.display()), error))?;
    write_pages(&command, &directory)?;
    Ok(ExitCode::SUCCESS)
}

/// The page of a command, then those of its subcommands.
fn write_pages(command: &Command, directory: &Path) -> Result<(), Failure> {
    let page = clap_mangen::Man::new(command.clone())
        .source(concat!("vswitch ", env!("CARGO_PKG_VERSION")))
        .manual("vswitch");
    let written = page.generate_to(directory);
    let file = written.map_err(|error| {
        Failure::new(format!("write {}", directory.join(page.get_filename()).display()), error)
    })?;
    print_text(&format!("{}\n", file.display()))?;
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    shown.into_iter().try_for_each(|command| write_pages(command, directory))
}
