//! `vswitch filter compile`.

use std::path::PathBuf;
use std::process::ExitCode;

use bpf::{Program, words};
use clap::{ArgGroup, ValueEnum};
use serde::Serialize;

use super::source::{self, DESCRIPTION, DETAILS, Description};
use super::{Dialect, disasm};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Make a filter from a description, or from assembler text.
///
/// A description is checked for the kernel that it is meant for; text is when --dialect names one.
#[derive(clap::Args, Debug)]
#[command(
    after_help = EXAMPLE,
    group(ArgGroup::new("source").args(["file"]).args(DESCRIPTION).required(true).multiple(true)),
)]
pub(super) struct Arguments {
    /// Assembler text as bpf_asm or tcpdump -d write it; - is stdin
    #[arg(value_name = "FILE", conflicts_with_all = DETAILS.iter().chain(&DESCRIPTION))]
    file: Option<PathBuf>,
    #[command(flatten)]
    description: Description,
    /// The kernel that must take the filter; for a description this system's unless given
    #[arg(long, value_enum)]
    dialect: Option<Dialect>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print it as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// Assembler text.
    Text,
    /// C initialisers of struct sock_filter or struct bpf_insn.
    C,
    /// One line, len,code jt jf k,… (iptables, tc, bpf_asm).
    Decimal,
}

pub(super) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let program = match &arguments.file {
        Some(file) => {
            let program = source::read(file)?;
            if let Some(dialect) = arguments.dialect {
                source::verify(&program, dialect)?;
            }
            program
        }
        None => arguments.description.compile(arguments.dialect.unwrap_or(Dialect::HOST))?,
    };
    if arguments.json {
        print_json(&Compiled::new(&program))?;
    } else {
        print_text(&match arguments.format {
            Format::Text => program.to_string(),
            Format::C => words::to_c(program.words()),
            Format::Decimal => words::to_decimal(program.words()),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct Compiled {
    instructions: Vec<disasm::Line>,
    valid: Valid,
}

#[derive(Serialize)]
struct Valid {
    linux: bool,
    xnu: bool,
}

impl Compiled {
    fn new(program: &Program) -> Self {
        let valid = |dialect| program.verify(dialect).is_ok();
        let valid = Valid { linux: valid(bpf::Dialect::Linux), xnu: valid(bpf::Dialect::Xnu) };
        Self { instructions: disasm::lines(program), valid }
    }
}

const EXAMPLE: &str = "\
Examples:
  vswitch filter compile --mac 52:54:00:00:00:01 --group --ethertype arp,ip6 --format c
  printf 'ldh [12]\\njneq #0x806, drop\\nret #-1\\ndrop: ret #0\\n' | vswitch filter compile -";
