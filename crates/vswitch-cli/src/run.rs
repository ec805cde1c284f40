//! `vswitch run`.

use std::process::ExitCode;

use crate::failure::Failure;

/// To be written.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {}

pub(crate) fn main(_arguments: Arguments) -> Result<ExitCode, Failure> {
    Err(Failure::new("run", "not written yet"))
}
