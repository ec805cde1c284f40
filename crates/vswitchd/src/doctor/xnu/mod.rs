//! Looks at an XNU: a Mac's own, or a simulated one.
//!
//! What is no matter of its kernel's face (sockets' paths, limits of this process) is looked at
//! elsewhere. Rules of pf are not looked at.

mod devices;
mod links;

use ifctl::xnu::{Interfaces, Owner};
use ifctl::{Error, Kind};
use xnu_sys::Kernel;

use super::facts::Links;
use super::{Finding, Needs, Severity, rules, unreadable_interfaces};
use crate::config::{Configuration, UplinkSpec};

/// What a kernel does not tell of the process that asks.
pub struct Asker<'a> {
    /// The user's name, or number.
    pub user: String,
    /// Whether it is root.
    pub is_root: bool,
    /// Whether a process is alive; true where that cannot be known.
    pub is_alive: &'a dyn Fn(Owner) -> bool,
}

impl std::fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Looks at what `wanted` stands on, or, without, at what the switches that run stand on, and at
/// the machine.
#[must_use]
pub fn examine<K: Kernel>(
    kernel: &K,
    asker: &Asker<'_>,
    wanted: Option<&Configuration>,
) -> Vec<Finding> {
    let needs = wanted.map(Needs::of);
    let is_needed = needs.as_ref().map(|needs| needs.packets);
    let mut findings = vec![root(asker, is_needed), devices::bpf(kernel, is_needed)];
    findings.extend(needs.iter().flat_map(|needs| needs.taps.iter().map(|name| no_tap(name))));
    if needs.as_ref().is_none_or(|needs| needs.sockets) {
        findings.push(devices::socket_buffers(kernel));
    }
    match interfaces(kernel, asker, wanted) {
        Ok(of_interfaces) => findings.extend(of_interfaces),
        Err(error) => findings.push(unreadable_interfaces(&error)),
    }
    findings
}

fn interfaces<K: Kernel>(
    kernel: &K,
    asker: &Asker<'_>,
    wanted: Option<&Configuration>,
) -> Result<Vec<Finding>, Error> {
    let interfaces = Interfaces::open_on(kernel.clone())?;
    let links = links::gather(&interfaces, asker.is_alive)?;
    let running = || rules::uplinks_of_running(&links);
    let uplinks = wanted.map_or_else(running, rules::uplinks_of);
    let mut findings = settings(&interfaces, mtu_wanted(&uplinks, &links))?;
    findings.extend(rules::uplinks(&uplinks, &links));
    findings.extend(rules::leftovers(&links));
    Ok(findings)
}

fn root(asker: &Asker<'_>, is_needed: Option<bool>) -> Finding {
    const ID: &str = "interface-privilege";
    let object = format!("user {}", asker.user);
    if asker.is_root {
        return Finding::ok(ID, object, "is root, and may change interfaces");
    }
    Finding::new(missing(is_needed), ID, object, "is not root, and may not change interfaces")
        .why("uplinks need root; ports and uplink none work without")
        .to_do("run the switch with sudo")
}

/// How bad it is that something is missing.
fn missing(is_needed: Option<bool>) -> Severity {
    match is_needed {
        None => Severity::Warning,
        Some(true) => Severity::Error,
        Some(false) => Severity::Note,
    }
}

fn no_tap(name: &str) -> Finding {
    Finding::error("tap", name, "there are no TAP interfaces on a Mac")
        .why("the switch does not start")
        .to_do("use a unixgram: or stream: port")
}

/// The largest MTU that a pair is to have.
fn mtu_wanted(uplinks: &[UplinkSpec], links: &Links) -> u32 {
    let mtu = |uplink: &UplinkSpec| match uplink {
        UplinkSpec::Bridge { bridge, .. } => {
            links.find(bridge).filter(|link| link.kind == Kind::Bridge).map(|link| link.mtu)
        }
        UplinkSpec::Interface { .. } | UplinkSpec::None => None,
    };
    uplinks.iter().filter_map(mtu).max().unwrap_or(1500)
}

/// The settings that feths are made by.
fn settings<K: Kernel>(interfaces: &Interfaces<K>, mtu: u32) -> Result<Vec<Finding>, Error> {
    const ID: &str = "feth-setting";
    let found = interfaces.check_feth_settings(mtu)?;
    if found.is_empty() {
        let found = format!("feths pass frames as they are, up to MTU {mtu}");
        return Ok(vec![Finding::ok(ID, "net.link.fake", found).figure("mtu", mtu.into())]);
    }
    let finding = |of: ifctl::xnu::Finding| {
        let severity = match of.severity {
            ifctl::xnu::Severity::Note => Severity::Note,
            ifctl::xnu::Severity::Warning => Severity::Warning,
            ifctl::xnu::Severity::Error => Severity::Error,
        };
        let finding = Finding::new(severity, ID, of.setting, format!("is {}", of.value));
        let finding = finding.figure("value", of.value.into()).why(of.meaning);
        match of.better {
            Some(better) => finding
                .figure("good_value", better.into())
                .to_do("set it, and start the switch again: feths have the settings of their start")
                .command(&["sudo", "sysctl", "-w", &format!("{}={better}", of.setting)]),
            None => finding,
        }
    };
    Ok(found.into_iter().map(finding).collect())
}
