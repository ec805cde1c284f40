//! `vswitch networks`.

use std::process::ExitCode;

use vswitchd::api::wire::NetworkReply;
use vswitchd::report::UplinkState;

use super::{Output, Switch, failed};
use crate::failure::Failure;
use crate::output::table;

/// Show the networks of a running switch, their uplinks and what those use.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    #[command(flatten)]
    output: Output,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = arguments.switch.client();
    let networks: Vec<NetworkReply> =
        client.get("/v1/networks").map_err(failed("ask for the networks"))?;
    arguments.output.print(&networks, |networks| shown(networks))?;
    Ok(ExitCode::SUCCESS)
}

/// The uplink, and that it waits, if it does.
fn uplink(network: &NetworkReply) -> String {
    match network.uplink_state {
        Some(UplinkState::Waiting) => format!("{} (waiting)", network.uplink),
        _ => network.uplink.clone(),
    }
}

fn shown(networks: &[NetworkReply]) -> String {
    let rows: Vec<Vec<String>> = networks
        .iter()
        .map(|network| {
            let interfaces: Vec<&str> =
                network.interfaces.iter().map(|interface| interface.name.as_str()).collect();
            vec![
                network.name.clone(),
                uplink(network),
                interfaces.join(" "),
                network.ports.len().to_string(),
            ]
        })
        .collect();
    table(&["NETWORK", "UPLINK", "INTERFACES", "PORTS"], &rows)
}
