//! One TCP connection between two hosts, by `iperf3`.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::saturate::{Meter, Used};
use crate::failure::{Failure, Result, Trying as _};
use crate::subject::Hosts;
use crate::system::process::Process;
use crate::system::program;

/// How many seconds of the beginning do not count: slow start, and addresses not yet resolved.
const OMITTED_S: u32 = 1;

/// A bulk transfer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcp {
    pub(crate) time: Duration,
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) bits_per_second: f64,
    pub(crate) bytes: f64,
    pub(crate) retransmits: f64,
    /// Over the whole connection, the omitted second included.
    pub(crate) used: Used,
}

impl Tcp {
    /// The program, and the package that has it, if it is not there.
    pub(crate) fn missing() -> Option<&'static str> {
        program::find("iperf3").is_none().then_some("no iperf3 (package iperf3)")
    }

    /// Transfers between the hosts, and measures `process` meanwhile.
    pub(crate) fn run(&self, hosts: &Hosts, process: Option<u32>) -> Result<Transfer> {
        let iperf = program::find("iperf3").ok_or_else(|| Failure::new("iperf3", "not found"))?;
        let (server, program) = (Arc::clone(&hosts.server), iperf.clone());
        let _server = server.inside(move || {
            let mut command = Command::new(program);
            command.args(["--server", "--one-off", "--forceflush"]);
            let mut server = Process::start(&mut command)?;
            server.wait_for("Server listening")?;
            Ok(server)
        })?;
        let meter = Meter::start(process)?;
        let (address, seconds) = (hosts.server_address, self.time.as_secs_f64().ceil());
        let report = hosts.client.inside(move || {
            let mut command = Command::new(iperf);
            command.args(["--client", address, "--json", "--connect-timeout", "5000"]);
            command.args(["--omit", &OMITTED_S.to_string(), "--time", &seconds.to_string()]);
            program::output_of(&mut command)
        })?;
        let used = meter.stop()?;
        let report: Value = serde_json::from_str(&report).trying("read iperf3's report")?;
        let figure = |end: &str, name: &str| {
            report["end"][end][name].as_f64().ok_or_else(|| {
                Failure::new("read iperf3's report", format!("there is no end.{end}.{name}"))
            })
        };
        Ok(Transfer {
            bits_per_second: figure("sum_received", "bits_per_second")?,
            bytes: figure("sum_received", "bytes")?,
            retransmits: figure("sum_sent", "retransmits")?,
            used,
        })
    }
}
