//! How networks reach the host's.

use std::collections::BTreeSet;

use ifctl::Kind;

use super::bridge;
use crate::config::{Configuration, UplinkSpec};
use crate::doctor::Finding;
use crate::doctor::facts::{Link, Links};

/// The uplinks of a configuration.
#[must_use]
pub fn uplinks_of(wanted: &Configuration) -> Vec<UplinkSpec> {
    wanted.networks.iter().map(|network| network.uplink.clone()).collect()
}

/// The uplinks of the switches that run: the bridges that their pairs were made for.
#[must_use]
pub fn uplinks_of_running(links: &Links) -> Vec<UplinkSpec> {
    let makers = links.all.iter().filter_map(|link| link.made_by.as_ref());
    let living = makers.filter(|maker| maker.is_alive);
    let bridges: BTreeSet<&str> = living.map(|maker| maker.label.as_str()).collect();
    bridges
        .into_iter()
        .filter(|bridge| links.find(bridge).is_some())
        .map(UplinkSpec::bridge)
        .collect()
}

/// Judges uplinks, each with the interfaces and bridges that it stands on.
#[must_use]
pub fn uplinks(wanted: &[UplinkSpec], links: &Links) -> Vec<Finding> {
    let of = |wanted: &UplinkSpec| match wanted {
        UplinkSpec::None => Vec::new(),
        UplinkSpec::Interface { name, wait: true, .. } if links.find(name).is_none() => {
            vec![waited(name)]
        }
        UplinkSpec::Interface { name, .. } => interface(name, links),
        UplinkSpec::Bridge { bridge, create: false, wait: true, .. }
            if links.find(bridge).is_none() =>
        {
            vec![waited(bridge)]
        }
        UplinkSpec::Bridge { bridge, create, member, wait, .. } => {
            bridge::bridge(bridge, *create, (member.as_deref(), *wait), links)
        }
    };
    wanted.iter().flat_map(of).collect()
}

fn interface(name: &str, links: &Links) -> Vec<Finding> {
    const ID: &str = "uplink-interface";
    let Some(link) = links.find(name) else {
        return vec![missing(ID, name)];
    };
    if link.kind == Kind::Loopback || !link.is_ethernet {
        let found = format!("carries no Ethernet frames, its kind is {}", link.kind);
        return vec![
            Finding::error(ID, name, found)
                .why("a virtual machine's card sends Ethernet frames")
                .to_do("choose a network card; this lists them")
                .command(&["vswitch", "if", "list"]),
        ];
    }
    let found = format!("is there: {}, MTU {}", link.kind, link.mtu);
    let there = Finding::ok(ID, name, found).figure("mtu", link.mtu.into());
    let mut findings = vec![there];
    if link.is_wireless == Some(true) {
        findings.push(wireless(link, false));
    }
    findings.push(carrier("uplink-carrier", link));
    findings
}

/// An interface that is not there, and that the switch is told to wait for.
pub(super) fn waited(name: &str) -> Finding {
    let found = "there is no interface of this name yet: the switch waits for it";
    Finding::note("uplink-waited-for", name, found)
}

/// An interface that is not there.
pub(super) fn missing(id: &'static str, name: &str) -> Finding {
    Finding::error(id, name, "there is no interface of this name here")
        .why("the switch does not start without")
        .to_do("see which there are")
        .command(&["vswitch", "if", "list"])
}

/// A wireless card as a way out; with `is_translated`, the bridge gives guests' frames its address.
pub(super) fn wireless(link: &Link, is_translated: bool) -> Finding {
    const ID: &str = "wireless";
    let name = link.name.as_str();
    if is_translated {
        return Finding::note(ID, name, "is a wireless card")
            .why(
                "an access point takes frames of the card's own address alone: the bridge puts \
                 it in the place of the guests' (MAC-NAT), so that others see one station for all",
            )
            .to_do("use a cable where guests need addresses of their own");
    }
    Finding::error(ID, name, "is a wireless card")
        .why(
            "an access point drops frames from any other address than the card's own, so no \
             guest's frame comes through",
        )
        .to_do("use a card with a cable, or a bridge without a card and route (NAT) to it")
        .command(&["vswitch", "if", "list"])
}

/// Whether an interface is on and has a cable with somebody at its end.
pub(super) fn carrier(id: &'static str, link: &Link) -> Finding {
    let name = link.name.as_str();
    let why = "nothing passes it";
    match (link.is_up, link.has_carrier) {
        (false, _) => Finding::warning(id, name, "is switched off")
            .why(why)
            .to_do("switch it on")
            .command(&["sudo", "vswitch", "if", "up", name]),
        (true, false) => Finding::warning(id, name, "is on and has no carrier")
            .why(why)
            .to_do("plug in its cable, or switch on what is at the other end"),
        (true, true) => Finding::ok(id, name, "is on and has its carrier"),
    }
}

/// Judges TAPs by the uplink of their network: the name of each, and the uplink.
#[must_use]
pub fn taps(wanted: &[(String, UplinkSpec)], links: &Links) -> Vec<Finding> {
    wanted.iter().flat_map(|(name, uplink)| tap(name, uplink, links)).collect()
}

fn tap(name: &str, uplink: &UplinkSpec, links: &Links) -> Vec<Finding> {
    const ID: &str = "tap";
    let Some(link) = links.find(name) else {
        return vec![Finding::ok(ID, name, "is not there: the switch makes it")];
    };
    if link.kind != Kind::Tap {
        return vec![
            Finding::error(ID, name, format!("is no TAP, its kind is {}", link.kind))
                .why("the switch cannot attach to it")
                .to_do("choose another name")
                .command(&["vswitch", "if", "list"]),
        ];
    }
    let mut findings = vec![Finding::ok(ID, name, format!("is there, MTU {}", link.mtu))];
    if !link.is_up {
        findings.push(
            Finding::warning("tap-up", name, "is switched off")
                .why("the switch switches on only a TAP that it made itself")
                .to_do("switch it on")
                .command(&["sudo", "vswitch", "if", "up", name]),
        );
    }
    let (UplinkSpec::Interface { name: other, .. } | UplinkSpec::Bridge { bridge: other, .. }) =
        uplink
    else {
        return findings;
    };
    if let Some(other) = links.find(other) {
        findings.push(same_mtu("port-mtu", link, other));
    }
    findings
}

/// Whether a link has the MTU of what its frames go to.
pub(super) fn same_mtu(id: &'static str, link: &Link, other: &Link) -> Finding {
    let (name, mtu, wanted) = (link.name.as_str(), link.mtu, other.mtu);
    if mtu == wanted {
        let found = format!("has the MTU of {}, {mtu}", other.name);
        return Finding::ok(id, name, found).figure("mtu", mtu.into());
    }
    let why = if mtu < wanted {
        "packets from the other side that are longer than its MTU are dropped without a word"
    } else {
        "packets of its side that are longer than the other's MTU are dropped without a word"
    };
    Finding::warning(id, name, format!("has MTU {mtu}, {} has {wanted}", other.name))
        .figure("mtu", mtu.into())
        .figure("other_mtu", wanted.into())
        .why(why)
        .to_do(format!("give all the same; this gives {name} that of {}", other.name))
        .command(&["sudo", "vswitch", "if", "mtu", name, &wanted.to_string()])
}
