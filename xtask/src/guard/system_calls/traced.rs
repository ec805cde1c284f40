//! The real switch with strace at it, held and let go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::peer_failed;
use super::trace::calls_of_the_loop;
use crate::failure::{Failure, Result};
use crate::run::process::Process;

/// `vswitch run` with two ports, or one and an uplink; killed when dropped.
pub(super) struct TracedSwitch {
    process: Process,
    /// What it said when it was ready.
    ready: Value,
    directory: tempfile::TempDir,
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// So long nothing may be written to the trace until the switch is taken for done.
const QUIET: Duration = Duration::from_millis(60);

/// What strace writes for each thread that a signal has stopped.
const STOPPED: &str = "--- stopped by SIGSTOP ---";

impl TracedSwitch {
    pub(super) fn start(program: &Path, strace: &Path, uplink: &str, kind: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("guard").tempdir();
        let directory = directory.map_err(|error| peer_failed("make a directory", error))?;
        let mut command = Command::new(strace);
        // -D: the child is the switch, and not strace.
        command.args(["-D", "-qq", "-f", "-o"]).arg(directory.path().join("trace"));
        command.arg(program).args(["run", "--uplink", uplink]);
        let ports: &[&str] = if uplink == "none" { &["a", "b"] } else { &["a"] };
        for name in ports {
            let path = directory.path().join(name);
            command.arg("--port").arg(format!("{name}={kind}:{}", path.display()));
        }
        // The peers are this process's, also when a user's sudo started it.
        command.env_remove("SUDO_UID").env_remove("SUDO_GID");
        let process = Process::start("vswitch run under strace", command)?;
        let ready = format!("{{{}", process.expect("{", PATIENCE)?);
        let ready = serde_json::from_str(&ready)
            .map_err(|error| process.failure(&format!("its line is not JSON: {error}")))?;
        Ok(Self { process, ready, directory })
    }

    /// The bridge's end of its uplink.
    pub(super) fn member(&self) -> Result<String> {
        let interfaces = self.ready["interfaces"].as_array();
        let mut of_bridge = interfaces.into_iter().flatten().filter(|it| it["role"] == "member");
        let name = of_bridge.next().and_then(|it| it["name"].as_str()).map(str::to_owned);
        name.ok_or_else(|| self.process.failure("it does not say which interface is the member"))
    }

    /// The path of a port's socket.
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Stops every thread of the switch, once it has nothing to do.
    pub(super) fn hold(&mut self) -> Result<()> {
        self.wait_until_quiet()?;
        let stopped_before = self.trace()?.matches(STOPPED).count();
        self.process.signal(Signal::SIGSTOP)?;
        let threads = self.threads()?;
        self.wait_until("stop it", |this| {
            Ok(this.trace()?.matches(STOPPED).count() >= stopped_before + threads)
        })
    }

    /// Lets it go, waits until `done`, and gives the calls that the loop has made from then on.
    pub(super) fn release_until(
        &mut self,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<BTreeMap<String, usize>> {
        let before = self.trace()?.len();
        self.process.signal(Signal::SIGCONT)?;
        self.wait_until("carry the frames", |_| done())?;
        self.wait_until_quiet()?;
        let trace = self.trace()?;
        Ok(calls_of_the_loop(&trace[before..]))
    }

    fn wait_until_quiet(&self) -> Result<()> {
        let mut len = self.trace()?.len();
        self.wait_until("have nothing to do", |this| {
            sleep(QUIET);
            let before = std::mem::replace(&mut len, this.trace()?.len());
            Ok(len == before)
        })
    }

    fn wait_until(&self, what: &str, mut done: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !done(self)? {
            if Instant::now() >= end {
                return Err(self.process.failure(&format!("did not {what} in {PATIENCE:?}")));
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn trace(&self) -> Result<String> {
        let path = self.directory.path().join("trace");
        let fail = |error| Failure::new(format!("read {}", path.display()), error);
        fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(fail)
    }

    fn threads(&self) -> Result<usize> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id()));
        tasks.map(Iterator::count).map_err(|error| peer_failed("count its threads", error))
    }
}
