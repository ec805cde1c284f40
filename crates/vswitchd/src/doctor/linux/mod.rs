//! Looks at a Linux machine.

mod links;
mod privileges;
mod settings;

use super::{Finding, Needs, rules, sockets};
use crate::config::{Attachment, Configuration, UplinkSpec};

/// Looks at what `wanted` stands on, or, without, at what the switches that run stand on, and at
/// the machine. It is the namespaces of the calling thread that are looked at.
#[must_use]
pub fn examine(wanted: Option<&Configuration>) -> Vec<Finding> {
    let needs = wanted.map(Needs::of);
    let mut findings = rules::privileges(&privileges::gather(), needs.as_ref());
    findings.extend(settings::examine(needs.as_ref()));
    match links::gather() {
        Ok(links) => {
            let running = || rules::uplinks_of_running(&links);
            let uplinks = wanted.map_or_else(running, rules::uplinks_of);
            findings.extend(rules::uplinks(&uplinks, &links));
            findings.extend(rules::taps(&wanted.map(wanted_taps).unwrap_or_default(), &links));
            findings.extend(rules::leftovers(&links));
        }
        Err(error) => findings.push(super::unreadable_interfaces(&error)),
    }
    findings.extend(sockets::examine(wanted));
    findings
}

fn wanted_taps(wanted: &Configuration) -> Vec<(String, UplinkSpec)> {
    let of = |network: &crate::config::Network| {
        let taps = network.ports.iter().filter_map(|port| match &port.attachment {
            Attachment::Tap(name) => Some((name.clone(), network.uplink.clone())),
            _ => None,
        });
        taps.collect::<Vec<_>>()
    };
    wanted.networks.iter().flat_map(of).collect()
}
