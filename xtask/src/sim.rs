//! `cargo xtask sim`: the simulations of the whole switch, over more seeds than the tests try.

use crate::failure::{Failure, Result};
use crate::workspace::Workspace;

/// Runs a simulation of the whole switch; a failure prints the command that replays it.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples: cargo xtask sim --seeds 100000; \
                        cargo xtask sim --kernel xnu --seeds 5000")]
pub(crate) struct Arguments {
    /// By whose rules calls fail
    #[arg(long, value_enum, default_value = "linux")]
    kernel: Kernel,
    /// How many seeds to try
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// Replay this one seed
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
}

/// By whose rules calls fail.
#[derive(clap::ValueEnum, Debug, Clone, Copy)]
enum Kernel {
    /// Linux's: the loop over simulated ports
    Linux,
    /// XNU's: the service, ports and poller of a Mac on a simulated XNU of any version
    Xnu,
}

impl Kernel {
    /// The package that the simulation is a test of.
    const fn package(self) -> &'static str {
        match self {
            Self::Linux => "vswitch",
            Self::Xnu => "xnu-lab",
        }
    }
}

/// Builds the simulation with optimisation and runs it.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let workspace = Workspace::load()?;
    let package = arguments.kernel.package();
    let mut cargo =
        workspace.cargo(&["test", "--package", package, "--test", "simulation", "--release"]);
    match arguments.seed {
        Some(seed) => cargo.env("VSWITCH_SIM_SEED", seed.to_string()),
        None => cargo.env("VSWITCH_SIM_SEEDS", arguments.seeds.to_string()),
    };
    cargo.args(["--", "--nocapture", "no_seed_breaks_it"]);
    let status = cargo.status().map_err(|error| Failure::new("run the simulation", error))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::found("sim: a seed failed, see above for the command to replay it")),
    }
}
