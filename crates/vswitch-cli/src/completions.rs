//! `vswitch completions`.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::print_text;

/// Print a shell's completions.
///
/// The Debian package has those of bash, zsh and fish.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  bash, for one user:
    vswitch completions bash > ~/.local/share/bash-completion/completions/vswitch
  fish:
    vswitch completions fish > ~/.config/fish/completions/vswitch.fish
  zsh, where ~/.zfunc is in fpath:
    vswitch completions zsh > ~/.zfunc/_vswitch")]
pub(crate) struct Arguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    let mut command = crate::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "vswitch", &mut script);
    print_text(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
