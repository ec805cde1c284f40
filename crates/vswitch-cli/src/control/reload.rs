//! `vswitch reload`.

use std::process::ExitCode;

use vswitchd::report::Applied;

use super::{Output, Switch, failed};
use crate::failure::Failure;

/// Have a running switch read its configuration file again, and wait until that is done.
///
/// What did not change is not touched. Exit code 1 when something that the file wants could not be
/// had.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    #[command(flatten)]
    output: Output,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = arguments.switch.client();
    let applied: Applied =
        client.change("POST", "/v1/reload", &()).map_err(failed("reload the configuration"))?;
    arguments.output.print(&applied, shown)?;
    Ok(if applied.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(applied: &Applied) -> String {
    let Applied { added, removed, changed, failed } = applied;
    let mut text = String::new();
    for (what, objects) in
        [("added", added), ("removed", removed), ("changed", changed), ("failed", failed)]
    {
        for object in objects {
            text.push_str(&format!("{what}  {object}\n"));
        }
    }
    if text.is_empty() {
        text.push_str("nothing has changed\n");
    }
    text
}
