//! `vswitch config`.

use std::path::PathBuf;
use std::process::ExitCode;

use vswitchd::config::file;

use crate::failure::Failure;
use crate::output::print_text;

/// Configuration files: check one, or begin with an example.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Read a file as `vswitch run --config` would, and say what is wrong; changes nothing
    ///
    /// Names of interfaces and files are not looked up: they may come to be before the switch does.
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print a file with everything in it, and what each part is for
    Example,
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Check { file } => {
            let configuration = read(&file)?;
            let networks = &configuration.networks;
            let ports: usize = networks.iter().map(|network| network.ports.len()).sum();
            print_text(&format!(
                "{}: {} and {}\n",
                file.display(),
                count(networks.len(), "network"),
                count(ports, "port")
            ))?;
        }
        Command::Example => print_text(file::EXAMPLE)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A file's configuration, or what is wrong with it.
pub(crate) fn read(file: &std::path::Path) -> Result<vswitchd::config::Configuration, Failure> {
    file::read(file).map_err(|error| {
        Failure::new("configuration", error).to_do("`vswitch config example` prints one")
    })
}

/// A number of things in words: `1 port`, `2 ports`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
