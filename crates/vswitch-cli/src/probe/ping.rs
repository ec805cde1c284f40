//! `vswitch probe ping`.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ::probe::{Ping, PingConfig, PingReply, PingReport};
use serde_json::json;

use super::{GuestOptions, failure, ms, seconds};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Send echo requests and wait for the replies.
///
/// The exit code is 0 if every request was answered, and 1 otherwise.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  vswitch probe --connect unixgram:/tmp/vm1.sock --ip 192.0.2.1/24 ping 192.0.2.2 --count 10")]
pub(super) struct Arguments {
    /// Whom: an IPv4 or IPv6 address
    #[arg(value_name = "ADDR")]
    target: IpAddr,
    /// How many requests
    #[arg(long, short, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// From one request to the next
    #[arg(long, short, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Bytes of payload in each
    #[arg(long, short, value_name = "BYTES", default_value_t = 56)]
    size: usize,
}

pub(super) fn main(
    arguments: &Arguments,
    options: &GuestOptions,
    stop: &Arc<AtomicBool>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut config = PingConfig::new(arguments.target);
    config.count = arguments.count;
    config.interval = arguments.interval;
    config.size = arguments.size;
    config.wait = options.timeout_or(1);
    let mut guest = options.plug_in(options.config(), stop)?;
    let mut ping = Ping::new(config);
    if !json {
        print_text(&format!("PING {}: {} data bytes\n", arguments.target, arguments.size))?;
        // A reader that went away is no reason to stop.
        let size = arguments.size;
        ping = ping.on_reply(move |reply| drop(print_text(&reply_line(reply, size))));
    }
    let report =
        guest.run(ping).map_err(|error| failure(format!("ping {}", arguments.target), error))?;
    if json {
        print_json(&as_json(&report))?;
    } else {
        print_text(&summary(&report))?;
    }
    Ok(if report.lost() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reply_line(reply: &PingReply, size: usize) -> String {
    let PingReply { sequence, from, round_trip } = reply;
    let size = size + 8;
    format!("{size} bytes from {from}: seq={sequence} time={:.3} ms\n", ms(*round_trip))
}

fn summary(report: &PingReport) -> String {
    let mut text =
        format!("{} sent, {} answered, {} lost", report.sent, report.replies.len(), report.lost());
    if report.duplicates > 0 {
        text.push_str(&format!(", {} duplicates", report.duplicates));
    }
    if report.corrupted > 0 {
        text.push_str(&format!(", {} corrupted", report.corrupted));
    }
    if let Some((min, mean, max)) = report.round_trips() {
        let [min, mean, max] = [min, mean, max].map(ms);
        text.push_str(&format!("; round trip min/mean/max {min:.3}/{mean:.3}/{max:.3} ms"));
    }
    text + "\n"
}

fn as_json(report: &PingReport) -> serde_json::Value {
    let replies: Vec<_> = report
        .replies
        .iter()
        .map(|reply| {
            let PingReply { sequence, from, round_trip } = reply;
            json!({"sequence": sequence, "from": from, "round_trip_ms": ms(*round_trip)})
        })
        .collect();
    let round_trips = report
        .round_trips()
        .map(|(min, mean, max)| json!({"min": ms(min), "mean": ms(mean), "max": ms(max)}));
    json!({
        "target": report.target,
        "sent": report.sent,
        "answered": report.replies.len(),
        "lost": report.lost(),
        "duplicates": report.duplicates,
        "corrupted": report.corrupted,
        "round_trip_ms": round_trips,
        "replies": replies,
    })
}
