//! `vswitch clean`.

use std::process::ExitCode;

use serde::Serialize;
use vswitchd::host::{self, Tag};

use crate::failure::Failure;
use crate::output::{print_json, print_text, table};

/// Take away the interfaces that killed switches left behind, and only those.
///
/// A switch that ends takes away what it made; one that was killed (SIGKILL, a crash) cannot. What
/// a switch makes says whose it is, so what belongs to a running switch, or was made by anybody
/// else, is not touched, whatever its name is. A switch with a bridge uplink does the same when it
/// starts.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only say what would be taken away
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An interface that was left.
#[derive(Serialize)]
struct Left {
    name: String,
    /// The dead switch's process.
    pid: u32,
    /// What it was made for: the network's bridge.
    bridge: String,
}

/// A tag begins with the bridge, and may say more.
fn bridge(tag: &Tag) -> String {
    tag.label().split(' ').next().unwrap_or_default().to_owned()
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let found = if arguments.dry_run { host::leftovers() } else { host::reap() };
    let found = found.map_err(|error| {
        let to_do = error.to_do();
        let failure = Failure::new("take away what killed switches left", error);
        to_do.into_iter().fold(failure, Failure::to_do)
    })?;
    let left: Vec<Left> = found
        .into_iter()
        .map(|(name, tag)| Left { name, pid: tag.owner().pid, bridge: bridge(&tag) })
        .collect();
    if arguments.json {
        print_json(&left)?;
    } else if left.is_empty() {
        print_text("nothing was left by a killed switch\n")?;
    } else {
        let rows: Vec<Vec<String>> = left
            .iter()
            .map(|of| vec![of.name.clone(), of.bridge.clone(), of.pid.to_string()])
            .collect();
        print_text(&table(&["INTERFACE", "OF BRIDGE", "KILLED PROCESS"], &rows))?;
    }
    Ok(ExitCode::SUCCESS)
}
