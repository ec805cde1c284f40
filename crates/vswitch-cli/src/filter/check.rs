//! `vswitch filter check`.

use std::path::PathBuf;
use std::process::ExitCode;

use bpf::VerifyError;
use serde::Serialize;

use super::{Dialect, source};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Say whether a kernel takes a filter, and if not, why; then the exit code is 1.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct Arguments {
    /// The filter, in any form; - is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose rules
    #[arg(long, value_enum, default_value_t = Dialect::HOST)]
    dialect: Dialect,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Answer {
    valid: bool,
    dialect: Dialect,
    instructions: usize,
    max_instructions: usize,
    /// Index of the instruction that is refused, when it is one.
    instruction: Option<usize>,
    reason: Option<String>,
}

pub(super) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { file, dialect, json } = arguments;
    let program = source::read(&file)?;
    let answer = program.verify(dialect.into());
    let max_instructions = bpf::Dialect::from(dialect).max_instructions();
    if json {
        let (instruction, reason) = match &answer {
            Ok(()) => (None, None),
            Err(VerifyError::Instruction { index, reason }) => {
                (Some(*index), Some(reason.to_string()))
            }
            Err(error) => (None, Some(error.to_string())),
        };
        print_json(&Answer {
            valid: answer.is_ok(),
            dialect,
            instructions: program.len(),
            max_instructions,
            instruction,
            reason,
        })?;
        return Ok(if answer.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let name = dialect.name();
    answer.map_err(|error| Failure::new(format!("{} for {name}", source::shown(&file)), error))?;
    let len = program.len();
    print_text(&format!(
        "{}: valid for {name}, {len} of at most {max_instructions} instructions\n",
        source::shown(&file)
    ))?;
    Ok(ExitCode::SUCCESS)
}

const EXAMPLE: &str = "\
Example:
  tcpdump -y EN10MB -ddd 'ether multicast' | vswitch filter check - --dialect xnu";
