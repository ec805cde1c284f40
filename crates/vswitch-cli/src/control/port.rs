//! `vswitch port`: one port of a running switch is added, removed, taken down or up.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use vswitchd::api::wire::{AddPort, PortReply, SetLink};
use vswitchd::config::{Attachment, PortSpec};

use super::{Output, Switch, failed, only_network, port_path, ports, word};
use crate::failure::Failure;

/// Add a port to a running switch, remove one, or take its link down and up.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Add a port. It stays until it is removed or the switch ends, also when the configuration is
    /// read again, unless that has a port of its name
    Add {
        /// The port, NAME=KIND:ARG[,mac=MAC] as in `vswitch run`
        #[arg(value_name = "PORT")]
        port: PortSpec,

        /// The network; not needed where there is only one
        #[arg(long, value_name = "NETWORK")]
        network: Option<String>,

        #[command(flatten)]
        switch: Switch,

        #[command(flatten)]
        output: Output,
    },
    /// Remove a port. One that the configuration has comes back when that is read again
    Remove(One),
    /// Take a port's link down, as if its cable were pulled; `uplink` is the network's uplink
    Down(One),
    /// Take a port's link up again
    Up(One),
}

#[derive(clap::Args, Debug)]
struct One {
    /// NETWORK/PORT, or PORT where there is only one network
    #[arg(value_name = "PORT")]
    port: String,

    #[command(flatten)]
    switch: Switch,
}

pub(crate) fn main(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Command::Add { port, network, switch, output } => {
            let client = switch.client();
            let network = network.map_or_else(|| only_network(&client), Ok)?;
            let add = AddPort {
                name: port.name.clone(),
                attach: from_the_root_on(port.attachment)?.to_string(),
                mac: port.mac.map(|mac| mac.to_string()),
            };
            let path = format!("/v1/networks/{}/ports", word(&network));
            let added: PortReply = client
                .change("POST", &path, &add)
                .map_err(failed(format!("add port {network}/{}", port.name)))?;
            output.print(&added, |added| ports::shown(std::slice::from_ref(added)))?;
        }
        Command::Remove(One { port, switch }) => {
            let client = switch.client();
            let path = port_path(&client, &port)?;
            client
                .change::<()>("DELETE", &path, &())
                .map_err(failed(format!("remove port {port}")))?;
        }
        Command::Down(one) => set_link(&one, false)?,
        Command::Up(one) => set_link(&one, true)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn set_link(One { port, switch }: &One, is_up: bool) -> Result<(), Failure> {
    let client = switch.client();
    let path = port_path(&client, port)? + "/link";
    let what = format!("take port {port} {}", if is_up { "up" } else { "down" });
    client.change::<()>("PUT", &path, &SetLink { is_up }).map_err(failed(what))
}

/// The switch has another working directory than this command.
fn from_the_root_on(attachment: Attachment) -> Result<Attachment, Failure> {
    if attachment.path().is_none_or(Path::is_absolute) {
        return Ok(attachment);
    }
    let here: PathBuf = std::env::current_dir()
        .map_err(|error| Failure::new("find the working directory", error))?;
    Ok(attachment.in_directory(&here))
}
