//! `vswitch filter disasm`.

use std::path::PathBuf;
use std::process::ExitCode;

use bpf::Program;
use serde::Serialize;

use super::source;
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Show a filter as assembler text.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// len,code jt jf k,… or C initialisers, as tcpdump -ddd and -dd print them; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// One instruction.
#[derive(Serialize)]
pub(super) struct Line {
    code: u16,
    jt: u8,
    jf: u8,
    k: u32,
    /// What jumps to it call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    text: String,
}

pub(super) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let program = source::read(&arguments.file)?;
    if arguments.json {
        print_json(&lines(&program))?;
    } else {
        print_text(&program.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Each instruction as its word and as its line of the listing.
pub(super) fn lines(program: &Program) -> Vec<Line> {
    let listing = program.to_string();
    let line = |(&bpf::RawInsn { code, jt, jf, k }, line): (_, &str)| {
        let (label, text) = match line.split_once(':') {
            Some((label, text)) => (Some(label.to_owned()), text),
            None => (None, line),
        };
        Line { code, jt, jf, k, label, text: text.trim().to_owned() }
    };
    program.words().iter().zip(listing.lines()).map(line).collect()
}

const EXAMPLE: &str = "\
Example:
  echo '4,40 0 0 12,21 0 1 2054,6 0 0 4294967295,6 0 0 0' | vswitch filter disasm -";
