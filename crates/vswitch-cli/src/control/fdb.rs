//! `vswitch fdb`.

use std::process::ExitCode;

use vswitchd::api::client::Client;
use vswitchd::api::wire::{AddressReply, AddressesReply, NetworkReply};

use super::{Output, Switch, failed, word};
use crate::failure::Failure;
use crate::output::table;

/// Show the addresses that a running switch has learnt or was given, and where they are.
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

/// An address, and its network.
#[derive(serde::Serialize)]
struct Row {
    network: String,
    #[serde(flatten)]
    address: AddressReply,
}

/// How many are asked for at once.
const PAGE: usize = 5000;

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let client = arguments.switch.client();
    let networks = match &arguments.network {
        Some(network) => vec![network.clone()],
        None => client
            .get::<Vec<NetworkReply>>("/v1/networks")
            .map_err(failed("ask for the networks"))?
            .into_iter()
            .map(|network| network.name)
            .collect(),
    };
    let mut rows = Vec::new();
    for network in networks {
        rows.extend(addresses(&client, &network)?);
    }
    arguments.output.print(&rows, |rows| shown(rows))?;
    Ok(ExitCode::SUCCESS)
}

fn addresses(client: &Client, network: &str) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/networks/{}/fdb?limit={PAGE}{after}", word(network));
        let page: AddressesReply = client
            .get(&path)
            .map_err(failed(format!("ask for the addresses of network {network}")))?;
        let row = |address| Row { network: network.to_owned(), address };
        rows.extend(page.addresses.into_iter().map(row));
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    rows.sort_by(|one, two| {
        (&one.address.port, &one.address.mac).cmp(&(&two.address.port, &two.address.mac))
    });
    Ok(rows)
}

fn shown(rows: &[Row]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|Row { network, address }| {
            let age = match address.is_static {
                true => "static".to_owned(),
                false => format!("{}.{} s", address.age_ms / 1000, address.age_ms % 1000 / 100),
            };
            vec![address.mac.clone(), format!("{network}/{}", address.port), age]
        })
        .collect();
    table(&["ADDRESS", "PORT", "LAST SEEN"], &rows)
}
