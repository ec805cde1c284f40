//! `vswitch events`.

use std::process::ExitCode;

use vswitchd::events::{Event, EventRecord};

use super::{Switch, failed};
use crate::failure::Failure;
use crate::output::print_on;

/// Print what happens to a running switch, as it happens, until it ends or SIGINT.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    switch: Switch,

    /// Print JSON, one object a line, as the switch tells it
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let what = "listen for events";
    let pieces = arguments.switch.client().stream("/v1/events").map_err(failed(what))?;
    let mut rest = Vec::new();
    for piece in pieces {
        rest.extend_from_slice(&piece.map_err(failed(what))?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let text = if arguments.json { in_full(&line) } else { shown(&line) };
            if !print_on(&text)? {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_full(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn shown(line: &[u8]) -> String {
    // A newer switch may tell of what this program does not know.
    let Ok(EventRecord { unix_ms, event }) = serde_json::from_slice(line) else {
        return in_full(line);
    };
    let seconds = unix_ms / 1000 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}Z  {}\n", unix_ms % 1000, words(&event))
}

fn words(event: &Event) -> String {
    match event {
        Event::Listening { version } => format!("listening to vswitch {version}"),
        Event::Ending => "the switch ends".to_owned(),
        Event::Lost { events } => format!("{events} events were lost: this reads too slowly"),
        Event::PortAdded { network, port } => format!("port {network}/{port} added"),
        Event::PortRemoved { network, port } => format!("port {network}/{port} removed"),
        Event::PortEnded { network, port, why } => format!("port {network}/{port} ended: {why}"),
        Event::LinkChanged { network, port, is_up } => {
            format!("link of {network}/{port} is {}", if *is_up { "up" } else { "down" })
        }
        Event::UplinkChanged { network, uplink } => format!("uplink of {network} is {uplink}"),
        Event::ClientJoined { network, port } => format!("client {network}/{port} joined"),
        Event::ClientTurnedAway { network, port, why } => {
            format!("a client of {network}/{port} was turned away: {why}")
        }
        Event::Repaired { object, what } => format!("{object} repaired: {what}"),
        Event::Contested { object, what } => format!("{object} contested: {what}"),
        Event::UplinkWaiting { uplink, why } => format!("uplink {uplink} waits: {why}"),
        Event::UplinkThere { uplink } => format!("uplink {uplink} is there"),
        Event::Reloaded { applied } => format!(
            "reloaded: {} added, {} removed, {} changed, {} failed",
            applied.added.len(),
            applied.removed.len(),
            applied.changed.len(),
            applied.failed.len()
        ),
        _ => serde_json::to_string(event).unwrap_or_default(),
    }
}
