//! `vswitch uplink`.

use std::process::ExitCode;

use vswitchd::api::wire::{NetworkReply, SetUplink};
use vswitchd::config::UplinkSpec;

use super::{Switch, failed, only_network, word};
use crate::failure::Failure;
use crate::output::print_text;

/// Change how a network of a running switch reaches the host's.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Give a network another uplink, or none; until the configuration is read again
    Set {
        /// bridge:BR[,create][,member=IF][,messages][,wait], iface:IF[,messages][,wait] or none,
        /// as in `vswitch run`
        #[arg(value_name = "UPLINK")]
        uplink: UplinkSpec,

        /// The network; not needed where there is only one
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,

        #[command(flatten)]
        switch: Switch,
    },
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Command::Set { uplink, network, switch } = arguments.command;
    let client = switch.client();
    let network = network.map_or_else(|| only_network(&client), Ok)?;
    let path = format!("/v1/networks/{}/uplink", word(&network));
    let what = format!("give network {network} the uplink {uplink}");
    let set = SetUplink { uplink: uplink.to_string() };
    let reply: NetworkReply = client.change("PUT", &path, &set).map_err(failed(what))?;
    print_text(&format!("{}: {}\n", reply.name, reply.uplink))?;
    Ok(ExitCode::SUCCESS)
}
