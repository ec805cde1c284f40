//! The real switch, started and stopped as a person would.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::process::Process;
use crate::failure::{Failure, Result};

/// A running `vswitch run`; killed when dropped.
#[derive(Debug)]
pub(super) struct Switch {
    process: Process,
    /// What it said when it was ready.
    pub(super) ready: Value,
}

/// How long it may take until the switch says that it is ready.
const START_MAX: Duration = Duration::from_secs(10);

impl Switch {
    /// Starts `program run` with this uplink and these ports, and waits until it is ready.
    pub(super) fn start(program: &Path, uplink: &str, ports: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--uplink", uplink]);
        for port in ports {
            command.args(["--port", port]);
        }
        let process = Process::start("vswitch run", command)?;
        let line = process.expect("{", START_MAX)?;
        let ready: Value = serde_json::from_str(&format!("{{{line}"))
            .map_err(|error| Failure::new("read the switch's first line", error))?;
        match ready["event"].as_str() {
            Some("ready") => Ok(Self { process, ready }),
            _ => Err(Failure::new("start the switch", format!("it said {ready}"))),
        }
    }

    /// What is told of it: its process and its ports.
    pub(super) fn summary(&self) -> String {
        let ports = self.ready["ports"].as_array().map_or(0, Vec::len);
        format!("{ports} ports")
    }

    /// Kills it as `kill -9` does: it cannot clean up.
    pub(super) fn kill(mut self) -> Result<()> {
        self.process.stop(Signal::SIGKILL).map(drop)
    }

    /// Asks it to stop, and gives what it printed at the end: its counters.
    pub(super) fn stop(mut self) -> Result<Vec<String>> {
        let status = self.process.stop(Signal::SIGTERM)?;
        match status.success() {
            true => Ok(self.process.rest(START_MAX)),
            false => Err(self.process.failure(&format!("stopped with {status}"))),
        }
    }
}

/// The path of the socket named `name` in `directory`.
pub(super) fn socket(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.sock"))
}

/// That none of the switch's sockets is left in `directory`; `names` has a letter for each.
pub(super) fn no_socket_of(directory: &Path, names: &str) -> Result<String> {
    let paths = names.chars().map(|name| socket(directory, &name.to_string()));
    let left: Vec<String> =
        paths.filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    match left.is_empty() {
        true => Ok(format!("in {}", directory.display())),
        false => Err(Failure::new("left behind", left.join(", "))),
    }
}
