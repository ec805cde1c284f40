//! A bridge as a way out, and its members.

use std::time::Duration;

use ifctl::{Kind, PortState};

use super::uplinks::{carrier, missing, same_mtu, waited, wireless};
use crate::doctor::Finding;
use crate::doctor::facts::{Bridge, Link, Links, SpanningTree};

/// Judges the uplink `bridge:NAME[,create][,member=MEMBER][,messages][,wait]`.
pub(super) fn bridge(
    name: &str,
    create: bool,
    (member, wait): (Option<&str>, bool),
    links: &Links,
) -> Vec<Finding> {
    let (there, standing) = standing(name, create, links);
    let mut findings = vec![there];
    if standing == Standing::Refused {
        return findings;
    }
    findings.extend(member.and_then(|member| match links.find(member) {
        None if wait => Some(waited(member)),
        _ => wanted_member(name, member, links),
    }));
    let Standing::Joined(link) = standing else {
        // It will have this member, and no other.
        let member = member.and_then(|member| links.find(member));
        findings.extend(member.map(|member| carrier("member-carrier", member)));
        return findings;
    };
    if !link.is_up {
        findings.push(
            Finding::warning("bridge-up", name, "is switched off")
                .why("a bridge that is off passes nothing")
                .to_do("switch it on")
                .command(&["sudo", "vswitch", "if", "up", name]),
        );
    }
    findings.push(live_uplink(link, member, links));
    findings.extend(mtus(link, links));
    if let Some(bridge) = links.bridges.iter().find(|bridge| bridge.name == name) {
        findings.extend(spanning_tree(bridge));
        findings.extend(bridge.members.iter().filter_map(|member| state(bridge, member)));
        findings.extend(filtered(bridge, links.find(DOCKER).is_some()));
    }
    findings.extend(links.members(name).filter_map(|link| radio(link, links)));
    findings.extend(offloads(name, links));
    findings
}

/// What becomes of a bridge at the switch's start.
#[derive(Debug, PartialEq, Eq)]
enum Standing<'a> {
    /// It is joined.
    Joined(&'a Link),
    /// It is made.
    Made,
    /// The switch does not start.
    Refused,
}

/// Whether the bridge is as it is to be.
fn standing<'a>(name: &str, create: bool, links: &'a Links) -> (Finding, Standing<'a>) {
    const ID: &str = "bridge";
    let Some(link) = links.find(name) else {
        return if create {
            (Finding::ok(ID, name, "is not there: the switch makes it"), Standing::Made)
        } else {
            (no_bridge(ID, name), Standing::Refused)
        };
    };
    if link.kind != Kind::Bridge {
        let found = format!("is no bridge, its kind is {}", link.kind);
        let finding = Finding::error(ID, name, found)
            .why("the switch joins bridges alone")
            .to_do("use it as it is (iface:NAME), or choose a bridge")
            .command(&["vswitch", "if", "list"]);
        return (finding, Standing::Refused);
    }
    match &link.made_by {
        _ if !create => {
            let found = format!("is there, MTU {}", link.mtu);
            let there = Finding::ok(ID, name, found).figure("mtu", link.mtu.into());
            (there, Standing::Joined(link))
        }
        Some(maker) if maker.is_alive => {
            let found = format!("was made by a switch that runs, process {}", maker.pid);
            let note = Finding::note(ID, name, found).figure("pid", maker.pid.into());
            (note.why("a second switch cannot make it"), Standing::Joined(link))
        }
        // The next switch takes it away first; `leftover` says more.
        Some(_) => (Finding::ok(ID, name, "is a dead switch's: it is made anew"), Standing::Made),
        None => {
            let finding = Finding::error(ID, name, "is there, and was not made by a switch")
                .why("with \"create\" the switch makes the bridge, and takes it away at its end")
                .to_do("leave out \"create\" to join it; or, if nobody needs it, take it away")
                .command(&["sudo", "vswitch", "bridge", "destroy", name]);
            (finding, Standing::Refused)
        }
    }
}

fn no_bridge(id: &'static str, name: &str) -> Finding {
    Finding::error(id, name, "there is no bridge of this name here")
        .why("the switch does not start without")
        .to_do("make it, or have the switch make it (bridge:NAME,create)")
        .command(&["sudo", "vswitch", "bridge", "create", name])
        .and(&["sudo", "vswitch", "if", "up", name])
}

/// An interface that is to become a member, where something is wrong with it.
fn wanted_member(bridge: &str, name: &str, links: &Links) -> Option<Finding> {
    const ID: &str = "member";
    let Some(link) = links.find(name) else {
        return Some(missing(ID, name));
    };
    match &link.master {
        Some(master) if master == bridge => return None,
        Some(master) => {
            return Some(
                Finding::error(ID, name, format!("belongs to {master} already"))
                    .why("an interface has one bridge")
                    .to_do("take it out there, or use that bridge")
                    .command(&["sudo", "vswitch", "bridge", "remove", master, name]),
            );
        }
        None => {}
    }
    if link.kind == Kind::Loopback || !link.is_ethernet {
        return Some(
            Finding::error(ID, name, format!("carries no Ethernet, its kind is {}", link.kind))
                .why("a bridge takes none of these")
                .to_do("choose a network card; this lists them")
                .command(&["vswitch", "if", "list"]),
        );
    }
    if link.is_wireless == Some(true) {
        return Some(wireless(link, links.translates_wireless));
    }
    link.has_addresses.then(|| {
        Finding::warning("member-addresses", name, "has IP addresses of its own")
            .why("as a member it does not use them any more: the host is not reached by them")
            .to_do("give them to the bridge instead; this shows them")
            .command(&["vswitch", "if", "list", name])
    })
}

fn radio(link: &Link, links: &Links) -> Option<Finding> {
    (link.is_wireless == Some(true)).then(|| wireless(link, links.translates_wireless))
}

/// Whether the bridge has a member that leads away from this switch and works.
fn live_uplink(bridge: &Link, wanted: Option<&str>, links: &Links) -> Finding {
    const ID: &str = "bridge-live-uplink";
    let name = bridge.name.as_str();
    let leads_away = |link: &&Link| link.kind != Kind::Tap && links.maker(link).is_none();
    let joins = wanted.and_then(|wanted| links.find(wanted));
    let joins = joins.filter(|link| link.master.as_deref() != Some(name));
    let ways: Vec<&Link> = links.members(name).chain(joins).filter(leads_away).collect();
    let lives = |link: &&&Link| link.is_up && link.has_carrier;
    let figures = |finding: Finding| {
        finding
            .figure("uplinks", ways.len() as u64)
            .figure("live_uplinks", ways.iter().filter(lives).count() as u64)
    };
    let names = |ways: Vec<&Link>| {
        ways.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let living: Vec<&Link> = ways.iter().filter(lives).copied().collect();
    if !living.is_empty() {
        return figures(Finding::ok(ID, name, format!("leads out by {}", names(living))));
    }
    if ways.is_empty() && bridge.has_addresses {
        return figures(
            Finding::note(ID, name, "has no member that leads out; the host is on it")
                .why("guests reach each other and the host, and the world if the host routes")
                .to_do("make a card its member, if guests are to be on that card's network"),
        );
    }
    if ways.is_empty() {
        return figures(
            Finding::warning(ID, name, "has no member that leads out, and no address")
                .why("guests reach each other, and nobody else")
                .to_do("make a card its member; this lists them")
                .command(&["vswitch", "if", "list"]),
        );
    }
    let off = ways.iter().find(|link| !link.is_up).map(|link| link.name.clone());
    let bad = Finding::warning(
        ID,
        name,
        format!("no member works that leads out: {}", names(ways.clone())),
    )
    .why("guests reach each other and the host, and nobody else");
    figures(match off {
        Some(off) => {
            bad.to_do("switch the member on").command(&["sudo", "vswitch", "if", "up", &off])
        }
        None => bad.to_do("plug in its cable, or switch on what is at the other end"),
    })
}

/// Whether all members, and the switch's ends of pairs, have the bridge's MTU.
fn mtus(bridge: &Link, links: &Links) -> Vec<Finding> {
    const ID: &str = "bridge-mtu";
    let name = bridge.name.as_str();
    let ends = || {
        let peers = links.members(name).filter_map(|member| links.find(member.peer.as_deref()?));
        links.members(name).chain(peers.filter(|peer| links.maker(peer).is_some()))
    };
    let wrong: Vec<Finding> = ends()
        .filter(|link| link.mtu != bridge.mtu)
        .map(|link| same_mtu(ID, link, bridge))
        .collect();
    if !wrong.is_empty() {
        return wrong;
    }
    let found = format!("has the MTU of its members, {}", bridge.mtu);
    vec![Finding::ok(ID, name, found).figure("mtu", bridge.mtu.into())]
}

/// The shortest forward delay that Linux takes with a spanning tree (`BR_MIN_FORWARD_DELAY`).
const DELAY_MIN: Duration = Duration::from_secs(2);

fn spanning_tree(bridge: &Bridge) -> Option<Finding> {
    const ID: &str = "bridge-spanning-tree";
    let name = bridge.name.as_str();
    let delay = match bridge.spanning_tree {
        SpanningTree::Unknown => return None,
        SpanningTree::Off => {
            let found = "no spanning tree: a new member passes frames at once";
            return Some(Finding::ok(ID, name, found));
        }
        SpanningTree::On(delay) => delay,
    };
    let wait = delay * 2;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let figures = |finding: Finding| finding.figure("wait_ms", ms(wait));
    let seconds = wait.as_secs();
    if delay <= DELAY_MIN {
        let found = format!("a new member passes nothing for {seconds} s (spanning tree)");
        return Some(figures(Finding::note(ID, name, found)).why("guests are online after that"));
    }
    let found = format!("a new member passes nothing for {seconds} s (spanning tree)");
    Some(
        figures(Finding::warning(ID, name, found))
            .why(
                "so long after each start of the switch no guest reaches the world, and a guest's \
                 DHCP may have given up",
            )
            .to_do("shorten the wait to 4 s; where no loop can be, turn the tree off (stp_state 0)")
            .command(&setting(name, &["forward_delay", "200"])),
    )
}

/// The command that changes settings of a bridge.
fn setting<'a>(bridge: &'a str, what: &[&'a str]) -> Vec<&'a str> {
    [&["sudo", "ip", "link", "set", bridge, "type", "bridge"], what].concat()
}

fn state(bridge: &Bridge, (member, state): &(String, PortState)) -> Option<Finding> {
    const ID: &str = "bridge-member-state";
    let found = format!("is {state} on {}", bridge.name);
    match state {
        PortState::Blocking => Some(
            Finding::warning(ID, member.clone(), found)
                .why("the spanning tree keeps it silent, since there is a second way to the same")
                .to_do("see which ways there are")
                .command(&["vswitch", "bridge", "members", &bridge.name]),
        ),
        PortState::Listening | PortState::Learning => Some(
            Finding::note(ID, member.clone(), found)
                .why("it passes nothing yet: the spanning tree has it wait"),
        ),
        // Off or without carrier, which others tell.
        _ => None,
    }
}

/// The bridge that Docker makes. Where it is, the packet filter drops what is forwarded (Docker's
/// "Packet filtering and firewalls": the policy of the chain FORWARD is DROP).
const DOCKER: &str = "docker0";

fn filtered(bridge: &Bridge, has_docker: bool) -> Option<Finding> {
    const ID: &str = "bridge-netfilter";
    let name = bridge.name.as_str();
    if !bridge.is_filtered? {
        let found = "frames that cross it do not go through the host's packet filter";
        return Some(Finding::ok(ID, name, found));
    }
    let found = "IP that crosses it goes through the host's packet filter";
    let finding = if has_docker {
        Finding::warning(ID, name, format!("{found}, and Docker has that drop what is forwarded"))
    } else {
        Finding::note(ID, name, found)
    };
    Some(
        finding
            .why(
                "where that drops what is forwarded, as Docker sets it up, packets between guests \
                 and the card are lost (bridge-nf-call-iptables)",
            )
            .to_do("if guests reach the host and not beyond, let bridged frames pass by")
            .command(&[
                "sudo",
                "sysctl",
                "-w",
                "net.bridge.bridge-nf-call-iptables=0",
                "net.bridge.bridge-nf-call-ip6tables=0",
            ])
            .and(&setting(name, &["nf_call_iptables", "0", "nf_call_ip6tables", "0"])),
    )
}

/// Offloads that somebody turned on again on a switch's pair.
fn offloads(bridge: &str, links: &Links) -> Vec<Finding> {
    const ID: &str = "offloads";
    let ends = links.members(bridge).flat_map(|member| {
        [Some(member), member.peer.as_deref().and_then(|peer| links.find(peer))]
    });
    let made: Vec<&Link> = ends.flatten().filter(|link| links.maker(link).is_some()).collect();
    let wrong: Vec<Finding> = made
        .iter()
        .filter(|link| !link.unwanted_offloads.is_empty())
        .map(|link| {
            let (name, on) = (link.name.as_str(), &link.unwanted_offloads);
            let features: Vec<&str> = on.iter().flat_map(|on| [on.as_str(), "off"]).collect();
            let command = [&["sudo", "ethtool", "-K", name], &features[..]].concat();
            Finding::warning(ID, name, format!("has offloads on: {}", on.join(", ")))
                .figure("offloads", on.len() as u64)
                .why(
                    "the switch cannot be told of work that they leave on a frame, or is given \
                      several frames as one: such frames are lost",
                )
                .to_do("turn them off again")
                .command(&command)
        })
        .collect();
    match made.as_slice() {
        [first, ..] if wrong.is_empty() => {
            let found = "the switch's pair leaves on frames what a guest can be told of";
            vec![Finding::ok(ID, first.name.clone(), found)]
        }
        _ => wrong,
    }
}
