//! The real switch, started and stopped as a person would.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::process::Process;
use crate::failure::Result;

/// A running `vswitch run`; killed when dropped.
#[derive(Debug)]
pub(super) struct Switch {
    process: Process,
    /// What it said when it was ready.
    pub(super) ready: Value,
}

/// How long it may take until the switch says that it is ready, or what it counted.
const WORD_MAX: Duration = Duration::from_secs(10);

impl Switch {
    /// Starts `program run` with this uplink and these ports, and waits until it is ready.
    pub(super) fn start(program: &Path, uplink: &str, ports: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--uplink", uplink]);
        for port in ports {
            command.args(["--port", port]);
        }
        Self::of(command)
    }

    /// Starts `program run` with a configuration file, and waits until it is ready.
    #[cfg(target_os = "linux")]
    pub(super) fn configured(program: &Path, file: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "--config"]).arg(file);
        Self::of(command)
    }

    fn of(mut command: Command) -> Result<Self> {
        // The guests are this process's, also when a user's sudo started it: the user would get the
        // ports' sockets, and root's guests no answer from there.
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        let process = Process::start("vswitch run", command)?;
        let ready = event(&process, "ready")?;
        Ok(Self { process, ready })
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

    /// Asks it to stop, and gives what it said at the end: its counters.
    pub(super) fn stop(mut self) -> Result<Value> {
        let status = self.process.stop(Signal::SIGTERM)?;
        if !status.success() {
            return Err(self.process.failure(&format!("stopped with {status}")));
        }
        event(&self.process, "stopped")
    }
}

/// The next JSON line of the switch with this event; those before it that say what was reloaded are
/// passed over.
fn event(process: &Process, name: &str) -> Result<Value> {
    loop {
        let line = process.expect("{", WORD_MAX)?;
        let value: Value = serde_json::from_str(&format!("{{{line}"))
            .map_err(|error| process.failure(&format!("its line is not JSON: {error}")))?;
        if value["event"] == name {
            return Ok(value);
        }
        if value["event"] != "reloaded" {
            return Err(process.failure(&format!("no {name:?} event")));
        }
    }
}
