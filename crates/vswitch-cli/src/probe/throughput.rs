//! `vswitch probe throughput`.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::probe::TransferConfig;
use ::probe::throughput::{Amount, PORT, TransferReport, Way};
use serde_json::json;

use super::{GuestOptions, failure, ms, seconds};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Move bytes over TCP to or from a guest that listens, and check every one of them.
///
/// The other side is `vswitch probe … listen`. The exit code is 0 if all bytes arrived unchanged.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  vswitch probe --connect unixgram:/tmp/vm1.sock --ip 192.0.2.1/24 throughput 192.0.2.2 --reverse")]
pub(super) struct Arguments {
    /// The listening guest: ADDR, ADDR:PORT or [ADDR]:PORT; without a port, 5882
    #[arg(value_name = "ADDR[:PORT]", value_parser = peer)]
    peer: SocketAddr,
    /// Download instead of upload
    #[arg(long, short)]
    reverse: bool,
    /// For how long
    #[arg(long, short, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    seconds: Duration,
    /// This many bytes instead
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    bytes: Option<u64>,
}

pub(super) fn main(
    arguments: &Arguments,
    options: &GuestOptions,
    stop: &Arc<AtomicBool>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let way = if arguments.reverse { Way::Download } else { Way::Upload };
    let amount = arguments.bytes.map_or(Amount::Time(arguments.seconds), Amount::Bytes);
    let mut config = TransferConfig::new(arguments.peer, way, amount);
    config.silence_max = options.timeout_or(10);
    let mut guest = options.plug_in(options.config(), stop)?;
    let (verb, preposition) = match way {
        Way::Upload => ("upload", "to"),
        Way::Download => ("download", "from"),
    };
    let what = format!("{verb} {preposition} {}", arguments.peer);
    let report = guest.transfer(config).map_err(|error| failure(&what, error))?;
    if json {
        print_json(&as_json(arguments.peer, verb, &report))?;
    } else {
        print_text(&format!("{what}: {}\n", words(&report)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn words(report: &TransferReport) -> String {
    let again = match report.retransmits {
        Some(count) if report.way == Way::Upload => format!(", {count} segments sent again"),
        _ => String::new(),
    };
    let (bytes, elapsed) = (report.bytes, report.elapsed.as_secs_f64());
    let rate = report.mbit_per_s();
    format!("{bytes} bytes in {elapsed:.2} s, {rate:.0} Mbit/s, all bytes right{again}")
}

fn as_json(peer: SocketAddr, way: &str, report: &TransferReport) -> serde_json::Value {
    json!({
        "peer": peer,
        "way": way,
        "bytes": report.bytes,
        "elapsed_ms": ms(report.elapsed),
        "mbit_per_s": (report.mbit_per_s() * 10.0).round() / 10.0,
        "retransmits": report.retransmits,
    })
}

fn peer(text: &str) -> Result<SocketAddr, String> {
    let with_port = text.parse::<SocketAddr>().ok();
    let without = || text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    with_port
        .or_else(without)
        .ok_or_else(|| "not an address: ADDR, ADDR:PORT or [ADDR]:PORT".into())
}
