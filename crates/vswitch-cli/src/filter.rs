//! `vswitch filter`: packet filters made, read, checked and tried. One file per command.

use std::process::ExitCode;

use clap::{Subcommand, ValueEnum};

use crate::failure::Failure;

mod capture;
mod check;
mod compile;
mod disasm;
mod run;
pub(crate) mod source;

/// Make, read, check and try packet filters (classic BPF).
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Compile(compile::Arguments),
    Disasm(disasm::Arguments),
    Check(check::Arguments),
    Run(run::Arguments),
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Compile(arguments) => compile::main(arguments),
        Command::Disasm(arguments) => disasm::main(arguments),
        Command::Check(arguments) => check::main(arguments),
        Command::Run(arguments) => run::main(arguments),
    }
}

/// Whose filter machine.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Dialect {
    /// The Linux kernel's (SO_ATTACH_FILTER).
    Linux,
    /// macOS's (BIOCSETF).
    Xnu,
}

impl Dialect {
    /// That of the system this runs on.
    const HOST: Self = if cfg!(target_os = "macos") { Self::Xnu } else { Self::Linux };

    fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Xnu => "xnu",
        }
    }
}

impl From<Dialect> for bpf::Dialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Linux => Self::Linux,
            Dialect::Xnu => Self::Xnu,
        }
    }
}

const EXAMPLE: &str = "\
Example:
  vswitch filter compile --mac 52:54:00:00:00:01 --group > narrow.bpf
  vswitch filter check narrow.bpf --dialect xnu
  vswitch filter run --filter narrow.bpf capture.pcap";
