//! What `run` and `exec` share: options, logging, starting a service on this machine, its counters.

use std::io;
use std::num::NonZeroUsize;

use vswitchd::Service;
use vswitchd::access::Access;
use vswitchd::config::{Configuration, NAME_RULE, is_name};
use vswitchd::host::HostPlatform;
use vswitchd::report::{PortSummary, Stopped};

use crate::failure::Failure;
use crate::output::table;

/// How a network is called, logged, and who may use its sockets.
#[derive(clap::Args, Debug)]
pub(crate) struct NetworkOptions {
    /// The network's name [default: default; with --control, the only one]
    #[arg(long = "network", value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<String>,

    /// Who owns the sockets' paths: a name or number [default: the user who called sudo]
    #[arg(long, value_name = "USER")]
    socket_owner: Option<String>,

    /// The group of the sockets' paths: a name or number [default: the owner's]
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<String>,

    /// The permission bits of the sockets' paths [default: 0660]
    #[arg(long, value_name = "MODE")]
    socket_mode: Option<String>,

    /// How the log on stderr is written; RUST_LOG says how much of it there is
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl NetworkOptions {
    /// The name of a network that is made.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "default".to_owned())
    }

    pub(crate) fn access(&self) -> Result<Access, Failure> {
        let (owner, group) = (self.socket_owner.as_deref(), self.socket_group.as_deref());
        Access::from_options(owner, group, self.socket_mode.as_deref())
            .map_err(|error| Failure::new("read the sockets' options", error))
    }
}

/// Brings a service up on so many threads, or says why not.
pub(crate) fn start_on(
    wanted: impl Into<Configuration>,
    threads: NonZeroUsize,
) -> Result<Service<HostPlatform>, Failure> {
    Service::start_on(HostPlatform::default(), wanted, threads)
        .map_err(|error| Failure::new("start the switch", error))
}

/// Logs to stderr; `RUST_LOG` chooses what, from `info` on by default.
pub(crate) fn start_logging(format: LogFormat) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// One JSON value on one line.
pub(crate) fn json_line(value: &impl serde::Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(value).map_err(|error| Failure::new("write JSON", error))?;
    Ok(line + "\n")
}

/// Each port's counters, for a person. Where there are several networks, each port's is told.
pub(crate) fn counters_table(stopped: &Stopped) -> String {
    let ports = &stopped.ports;
    let has_many = ports.iter().any(|port| port.network != ports[0].network);
    counters(ports, &stopped.trunks, has_many)
}

/// The same of a switch that runs, whose ports are called `NETWORK/PORT` by all commands.
pub(crate) fn counters_of(ports: &[PortSummary], trunks: &Option<PortSummary>) -> String {
    counters(ports, trunks, true)
}

fn counters(ports: &[PortSummary], trunks: &Option<PortSummary>, with_network: bool) -> String {
    let named = |port: &PortSummary| match with_network {
        true => format!("{}/{}", port.network, port.name),
        false => port.name.clone(),
    };
    let ports = ports.iter().map(|port| (named(port), port));
    let rows: Vec<Vec<String>> = ports
        .chain(trunks.iter().map(|trunks| (trunks.name.clone(), trunks)))
        .map(|(name, port)| {
            let drops: Vec<String> =
                port.drops.iter().map(|(reason, frames)| format!("{reason} {frames}")).collect();
            vec![
                name,
                port.received_frames.to_string(),
                port.received_bytes.to_string(),
                port.sent_frames.to_string(),
                port.sent_bytes.to_string(),
                (port.dropped_frames + port.unsent_frames).to_string(),
                drops.join(", "),
            ]
        })
        .collect();
    table(&["PORT", "RECEIVED", "BYTES", "SENT", "BYTES", "DROPPED", "WHY"], &rows)
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err(format!("a name has {NAME_RULE}")) }
}
