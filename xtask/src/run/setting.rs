//! What every scenario works with, and how each of them begins and ends.

use std::path::PathBuf;

use super::checks::Checks;
use super::counters;
use super::host::Host;
use super::switch::Switch;
use crate::failure::{Failure, Result};

/// What a scenario works with.
#[derive(Debug)]
pub(super) struct Setting {
    /// The program `vswitch`.
    pub(super) program: PathBuf,
    /// Where sockets lie; its path is short, as a socket's must be.
    pub(super) directory: tempfile::TempDir,
    /// The host's network, where this process may make one.
    pub(super) host: Option<Host>,
}

/// The switch's ports in a scenario: a name and a kind for each.
pub(super) type Ports<'a> = &'a [(&'a str, &'a str)];

impl Setting {
    /// The path of the socket of the port, or of the guest, with this name.
    pub(super) fn socket(&self, name: &str) -> PathBuf {
        self.directory.path().join(format!("{name}.sock"))
    }

    /// The argument after `--uplink`.
    pub(super) fn uplink(&self) -> String {
        let bridge = |host: &Host| format!("bridge:{}", host.bridge());
        self.host.as_ref().map_or_else(|| "none".to_owned(), bridge)
    }

    /// Starts the switch and waits until it and the host's addresses can be used.
    pub(super) fn start_switch(&self, ports: Ports<'_>) -> Result<(String, Switch)> {
        let argument =
            |(name, kind): &(&str, &str)| format!("{name}={kind}:{}", self.socket(name).display());
        let arguments: Vec<String> = ports.iter().map(argument).collect();
        let switch = Switch::start(&self.program, &self.uplink(), &arguments)?;
        self.host.as_ref().map_or(Ok(()), Host::wait_for_addresses)?;
        Ok((switch.summary(), switch))
    }

    /// The interfaces of the host's network.
    pub(super) fn interfaces(&self) -> Result<Vec<String>> {
        self.host.as_ref().map_or(Ok(Vec::new()), Host::interfaces)
    }

    /// Stops the switch, shows its counters, and checks that nothing is left of it. Interfaces in
    /// `orphans` may be there still: a switch that was killed could not take them away.
    pub(super) fn end(
        &self,
        checks: &mut Checks,
        switch: Switch,
        ports: Ports<'_>,
        before: &[String],
        orphans: &[String],
    ) {
        let stop = || switch.stop().map(|stopped| ("", stopped));
        if let Some(stopped) = checks.attempt("the switch stops at SIGTERM", stop) {
            checks.check("every frame is accounted for", || counters::accounting(&stopped));
            checks.note(&counters::table(&stopped));
        }
        if self.host.is_some() {
            checks.check("interfaces are as before", || {
                same_interfaces(before, &self.interfaces()?, orphans)
            });
        }
        checks.check("the sockets are gone", || {
            let paths = ports.iter().map(|(name, _)| self.socket(name));
            match paths.into_iter().find(|path| path.exists()) {
                None => Ok(""),
                Some(path) => Err(Failure::new("still there", path.display())),
            }
        });
    }
}

/// That all interfaces of before are there, and no others but orphans.
fn same_interfaces(before: &[String], after: &[String], orphans: &[String]) -> Result<String> {
    let gone = before.iter().filter(|name| !after.contains(name));
    let left = after.iter().filter(|name| !before.contains(name) && !orphans.contains(name));
    let gone: Vec<_> = gone.map(String::as_str).collect();
    let left: Vec<_> = left.map(String::as_str).collect();
    match (gone.as_slice(), left.as_slice()) {
        ([], []) => Ok(after.join(", ")),
        _ => Err(Failure::new("compare", format!("gone {gone:?}, left behind {left:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_orphans_may_be_left() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let before = names(&["br0", "lo"]);
        assert!(same_interfaces(&before, &before, &[]).is_ok());
        let more = names(&["br0", "lo", "vsw0"]);
        assert!(same_interfaces(&before, &more, &[]).is_err());
        assert!(same_interfaces(&before, &more, &names(&["vsw0"])).is_ok());
        assert!(same_interfaces(&before, &before, &names(&["vsw0"])).is_ok());
        assert!(same_interfaces(&before, &names(&["lo"]), &[]).is_err());
    }
}
