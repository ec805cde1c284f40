//! What all commands share that ask a running switch.

use std::path::PathBuf;

use vswitchd::api::client::{Client, ClientError};

use crate::failure::Failure;
use crate::output::{print_json, print_text};

pub(crate) mod capture;
pub(crate) mod events;
pub(crate) mod fdb;
pub(crate) mod networks;
pub(crate) mod port;
pub(crate) mod ports;
mod rates;
pub(crate) mod reload;
pub(crate) mod stats;
pub(crate) mod top;
pub(crate) mod uplink;

/// Which switch is asked.
#[derive(clap::Args, Debug)]
pub(crate) struct Switch {
    /// The control socket of the switch (`vswitch run --control PATH`)
    #[arg(long = "control", value_name = "PATH", env = "VSWITCH_CONTROL")]
    path: PathBuf,
}

impl Switch {
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.path)
    }
}

/// How an answer is printed.
#[derive(clap::Args, Debug)]
pub(crate) struct Output {
    /// Print JSON, as the switch answers it
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Prints an answer for a program, or what `table` makes of it for a person.
    pub(crate) fn print<T: serde::Serialize>(
        &self,
        answer: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json { print_json(answer) } else { print_text(&table(answer)) }
    }
}

/// What a command says when the switch does not do it.
pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(ClientError) -> Failure {
    let what = what.into();
    move |error| Failure::new(what, error)
}

/// A word in a path of the API. Names need no escape; what is none is to be told as not found.
pub(crate) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A name that may be given as NETWORK/PORT, or PORT alone where there is one network.
pub(crate) fn port_path(client: &Client, text: &str) -> Result<String, Failure> {
    let (network, port) = match text.split_once('/') {
        Some((network, port)) => (network.to_owned(), port),
        None => (only_network(client)?, text),
    };
    Ok(format!("/v1/networks/{}/ports/{}", word(&network), word(port)))
}

/// The name of the only network.
pub(crate) fn only_network(client: &Client) -> Result<String, Failure> {
    use vswitchd::api::wire::NetworkReply;
    let networks: Vec<NetworkReply> =
        client.get("/v1/networks").map_err(failed("ask for the networks"))?;
    let names: Vec<&str> = networks.iter().map(|network| network.name.as_str()).collect();
    match names[..] {
        [only] => Ok(only.to_owned()),
        _ => Err(Failure::new(
            "choose the network",
            format!("there are {}: {}", names.len(), names.join(", ")),
        )
        .to_do("say which one: NETWORK/PORT, or --network NETWORK")),
    }
}
