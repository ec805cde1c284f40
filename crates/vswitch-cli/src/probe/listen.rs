//! `vswitch probe listen`.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ::probe::services::Service;
use ::probe::{Counters, Event, FrameCounts, Guest};
use serde_json::{Value, json};

use super::{GuestOptions, failure, ms};
use crate::failure::Failure;
use crate::output::print_text;

/// Stay plugged in: answer pings, serve TCP, print what is seen.
///
/// Serves throughput (TCP port 5882), echo (7), discard (9) and chargen (19). Ends at SIGINT,
/// SIGTERM or after --timeout, with the guest's counters.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Example:
  vswitch probe --connect unixgram:/tmp/vm1.sock --ip 192.0.2.1/24 listen")]
pub(super) struct Arguments {
    /// Join this multicast group; may be given several times
    #[arg(long = "join", value_name = "GROUP")]
    groups: Vec<IpAddr>,
}

pub(super) fn main(
    arguments: &Arguments,
    options: &GuestOptions,
    stop: &Arc<AtomicBool>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut guest = options.plug_in(options.config().serving().telling(), stop)?;
    for group in &arguments.groups {
        let joined = guest.core_mut().join(*group);
        joined.map_err(|error| Failure::new("join a multicast group", error))?;
    }
    print_text(&ready(&guest, json))?;
    let deadline = options.timeout.map(|timeout| Instant::now() + timeout);
    let mut printed = Ok(());
    let ran = guest.run_until(deadline, |core| {
        while let Some(event) = core.next_event() {
            let text = if json { event_json(&event).map(line) } else { event_words(&event) };
            printed = text.map_or(Ok(()), |text| print_text(&text));
        }
        printed.is_err()
    });
    ran.map_err(|error| failure("keep the built-in guest plugged in", error))?;
    printed?;
    print_text(&stopped(&guest.core().counters(), json))?;
    Ok(ExitCode::SUCCESS)
}

fn ready(guest: &Guest, json: bool) -> String {
    let mac = guest.core().mac().to_string();
    let addresses: Vec<_> = guest.core().addresses().iter().map(ToString::to_string).collect();
    if json {
        let services: Vec<_> = Service::ALL
            .iter()
            .map(|service| json!({"name": service.name(), "port": service.port()}))
            .collect();
        return line(json!({
            "event": "ready", "mac": mac, "addresses": addresses, "services": services,
        }));
    }
    let services: Vec<_> = Service::ALL
        .iter()
        .map(|service| format!("{} ({})", service.name(), service.port()))
        .collect();
    format!("{mac} with {}\nserving {}\n", addresses.join(", "), services.join(", "))
}

fn event_words(event: &Event) -> Option<String> {
    Some(match event {
        Event::Station { mac } => format!("a station: {mac}\n"),
        Event::EchoAnswered { to, size } => {
            format!("answered an echo request: {to}, {size} bytes\n")
        }
        Event::Connected { service, from } => format!("{service}: {from} connected\n"),
        Event::Served { service, from, received, sent, elapsed, ok } => {
            let how = if *ok { "done" } else { "broken off" };
            let seconds = elapsed.as_secs_f64();
            format!("{service}: {from} {how}: {received} bytes in, {sent} out, {seconds:.2} s\n")
        }
        Event::LinkBack => "the cable is back\n".to_owned(),
        _ => return None,
    })
}

fn event_json(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Station { mac } => json!({"event": "station", "mac": mac.to_string()}),
        Event::EchoAnswered { to, size } => json!({"event": "echo", "to": to, "size": size}),
        Event::Connected { service, from } => {
            json!({"event": "connected", "service": service, "from": from})
        }
        Event::Served { service, from, received, sent, elapsed, ok } => json!({
            "event": "served", "service": service, "from": from, "ok": ok,
            "received_bytes": received, "sent_bytes": sent, "elapsed_ms": ms(*elapsed),
        }),
        Event::LinkBack => json!({"event": "link-back"}),
        _ => return None,
    })
}

fn stopped(counters: &Counters, json: bool) -> String {
    if json {
        return line(json!({
            "event": "stopped",
            "received": counts_json(&counters.received),
            "sent": counts_json(&counters.sent),
            "received_for_others": counters.received_for_others,
            "malformed": counters.malformed,
            "lost_at_link": counters.lost_at_link,
            "dropped_queue_full": counters.dropped_queue_full,
            "echo_replies_sent": counters.echo_replies_sent,
        }));
    }
    format!(
        "received {} frames ({} for others), sent {}, answered {} echo requests\n",
        counters.received.frames,
        counters.received_for_others,
        counters.sent.frames,
        counters.echo_replies_sent
    )
}

fn counts_json(counts: &FrameCounts) -> Value {
    json!({
        "frames": counts.frames,
        "bytes": counts.bytes,
        "arp": counts.arp,
        "ipv4": counts.ipv4,
        "ipv6": counts.ipv6,
        "broadcast": counts.broadcast,
        "multicast": counts.multicast,
    })
}

fn line(value: Value) -> String {
    value.to_string() + "\n"
}
