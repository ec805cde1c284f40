//! `cargo xtask sim`: the simulation of the whole switch, over more seeds than the tests try.

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// Runs the simulation of the whole switch; a failure prints the command that replays it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: cargo xtask sim --seeds 100000")]
pub(crate) struct Arguments {
    /// How many seeds to try
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// Replay this one seed, and say every step
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
}

/// Builds the simulation with optimisation and runs it.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let mut cargo =
        workspace.cargo(&["test", "--package", "vswitch", "--test", "simulation", "--release"]);
    match arguments.seed {
        Some(seed) => cargo.env("VSWITCH_SIM_SEED", seed.to_string()),
        None => cargo.env("VSWITCH_SIM_SEEDS", arguments.seeds.to_string()),
    };
    cargo.args(["--", "--nocapture"]);
    let status = cargo.status().map_err(|error| Failure::new("run the simulation", error))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::found("sim: a seed failed, see above for the command to replay it")),
    }
}
