//! `vswitch doctor`.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;
use vswitchd::access::Access;
use vswitchd::config::{Configuration, Network, PortSpec, UplinkSpec, check, file};
use vswitchd::doctor::{Finding, Severity, worst};
use vswitchd::host;

use crate::failure::Failure;
use crate::output::{print_json, print_text};

mod facts;
mod judge;
mod port;
mod probe;
mod words;

use port::PortWord;

/// Look at what stands in the way of a network, and say what to do about it.
///
/// Looks at this machine: privileges, devices, limits, what killed switches left. With --config or
/// --uplink also at what that stands on: interfaces, bridges and their members, MTUs, sockets'
/// paths; without, at the bridges of the switches that run. With --port a built-in guest is plugged
/// into a port of a running switch: DHCP, neighbours (ARP, neighbour discovery), pings.
///
/// Changes nothing on this machine, and needs no privilege; what cannot be seen without one is
/// told. (A probe of a port is a guest: it takes a DHCP lease, and its address is learnt.)
///
/// The exit code is that of the worst finding: 0 when all is well or a note, 1 for a warning, 2 for
/// an error, also when it cannot do its work.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Look at what this configuration stands on
    #[arg(long, value_name = "FILE", conflicts_with = "uplink")]
    config: Option<PathBuf>,

    /// Look at what this uplink stands on, written as for `vswitch run`
    #[arg(long, value_name = "UPLINK")]
    uplink: Option<UplinkSpec>,

    /// A port. KIND:ARG (unixgram:PATH, stream:PATH or fd:N) is probed; a port of --config may be
    /// named instead, as NAME or NETWORK/NAME. NAME=KIND:ARG[,mac=MAC], as for `vswitch run`, is
    /// looked at with the uplink and not probed. May be given many times
    #[arg(long = "port", value_name = "PORT")]
    ports: Vec<PortWord>,

    #[command(flatten)]
    probe: probe::Options,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All that was found, for programs.
#[derive(Serialize)]
struct Report<'a> {
    /// The worst of the findings.
    severity: Severity,
    /// How many there are of each.
    counts: Counts,
    findings: &'a [Finding],
}

#[derive(Serialize)]
struct Counts {
    ok: usize,
    note: usize,
    warning: usize,
    error: usize,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let findings = match examine(arguments) {
        Ok(findings) => findings,
        Err(failure) => return Ok(failed(&failure)),
    };
    let printed = if arguments.json {
        let count = |of| findings.iter().filter(|finding| finding.severity == of).count();
        let [ok, note, warning, error] = Severity::ALL.map(count);
        let counts = Counts { ok, note, warning, error };
        print_json(&Report { severity: worst(&findings), counts, findings: &findings })
    } else {
        print_text(&words::report(&findings))
    };
    match printed {
        Ok(()) => Ok(exit_code(worst(&findings))),
        Err(failure) => Ok(failed(&failure)),
    }
}

/// Without an answer the worst is to be feared.
fn failed(failure: &Failure) -> ExitCode {
    eprintln!("vswitch: {failure}");
    exit_code(Severity::Error)
}

fn exit_code(worst: Severity) -> ExitCode {
    ExitCode::from(match worst {
        Severity::Ok | Severity::Note => 0,
        Severity::Warning => 1,
        Severity::Error => 2,
    })
}

fn examine(arguments: &Arguments) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    let wanted = match &arguments.config {
        Some(path) => match file::read(path) {
            Ok(wanted) => {
                findings.push(Finding::ok("configuration", path.display().to_string(), "is well"));
                Some(wanted)
            }
            // All else is looked at all the same.
            Err(error) => {
                let finding = Finding::error("configuration", "the file", error.to_string());
                let finding = finding.why("the switch does not start with it, nor change to it");
                let finding = finding.to_do("correct it; this prints one with everything in it");
                findings.push(finding.command(&["vswitch", "config", "example"]));
                None
            }
        },
        None => short_form(arguments)?,
    };
    let targets: Vec<_> = arguments
        .ports
        .iter()
        .map(|port| port.target(wanted.as_ref()))
        .collect::<Result<_, _>>()?;
    let mut of_machine = host::examine(wanted.as_ref());
    if wanted.is_none() && targets.iter().any(Option::is_some) {
        // It is a port that is asked about, of a switch that has what it needs.
        of_machine.iter_mut().for_each(no_privilege_needed);
    }
    findings.extend(of_machine);
    for target in targets.iter().flatten() {
        findings.extend(probe::probe(target, &arguments.probe)?);
    }
    Ok(findings)
}

/// Makes a note of a privilege that is missing.
fn no_privilege_needed(finding: &mut Finding) {
    if ["interface-privilege", "packet-socket", "bpf-device"].contains(&finding.id) {
        finding.severity = finding.severity.min(Severity::Note);
    }
}

/// What the options of one network ask for, if they do.
fn short_form(arguments: &Arguments) -> Result<Option<Configuration>, Failure> {
    let ports: Vec<PortSpec> = arguments.ports.iter().filter_map(PortWord::wanted).collect();
    if arguments.uplink.is_none() && ports.is_empty() {
        return Ok(None);
    }
    let uplink = arguments.uplink.clone().unwrap_or(UplinkSpec::None);
    let access = Access::from_options(None, None, None)
        .map_err(|error| Failure::new("read the sockets' options", error))?;
    let network = Network { name: "default".to_owned(), uplink, ports, access };
    check(std::slice::from_ref(&network))
        .map_err(|conflict| Failure::new("read the options", conflict))?;
    Ok(Some(network.into()))
}

const EXAMPLES: &str = if cfg!(target_os = "macos") {
    "\
Examples:
  sudo vswitch doctor --uplink bridge:bridge7
  sudo vswitch doctor --config vswitch.toml --json
  vswitch doctor --port unixgram:/tmp/vm1.sock"
} else {
    "\
Examples:
  sudo vswitch doctor --uplink bridge:br0
  sudo vswitch doctor --config vswitch.toml --json
  vswitch doctor --port unixgram:/run/vm1.sock --ping 192.0.2.1"
};
