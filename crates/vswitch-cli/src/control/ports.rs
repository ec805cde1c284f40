//! `vswitch ports`.

use std::process::ExitCode;

use vswitchd::api::wire::{Origin, PortReply};

use super::{Output, Switch, failed, word};
use crate::failure::Failure;
use crate::output::table;

/// Show the ports of a running switch.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    /// Those of this network only
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,

    #[command(flatten)]
    output: Output,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let path = match &arguments.network {
        Some(network) => format!("/v1/ports?network={}", word(network)),
        None => "/v1/ports".to_owned(),
    };
    let ports: Vec<PortReply> =
        arguments.switch.client().get(&path).map_err(failed("ask for the ports"))?;
    arguments.output.print(&ports, |ports| shown(ports))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shown(ports: &[PortReply]) -> String {
    let rows: Vec<Vec<String>> = ports
        .iter()
        .map(|port| {
            vec![
                format!("{}/{}", port.network, port.name),
                port.attachment.clone(),
                port.mac.clone().unwrap_or_else(|| "any".to_owned()),
                state(port),
                match port.origin {
                    Origin::Configuration => "configuration".to_owned(),
                    Origin::Control => "control".to_owned(),
                },
            ]
        })
        .collect();
    table(&["PORT", "ATTACHED TO", "ADDRESS", "STATE", "FROM"], &rows)
}

fn state(port: &PortReply) -> String {
    if !port.is_link_up {
        return "down".to_owned();
    }
    match &port.clients {
        _ if port.is_ended => "ended".to_owned(),
        Some(clients) if clients.len() == 1 => "1 client".to_owned(),
        Some(clients) => format!("{} clients", clients.len()),
        None => "up".to_owned(),
    }
}
