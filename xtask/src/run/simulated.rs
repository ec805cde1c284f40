//! The main job of the macOS switch on a simulated XNU: the service, loop, ports and poller that a
//! Mac runs, in virtual time, on any machine and without root.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use probe::throughput::{Amount, PORT, TransferReport, Way};
use probe::{Ping, PingConfig, PingReport, Resolve, Transfer, TransferConfig};
use vswitchd::report::InterfaceRole;
use vswitchd::xnu::Mended;
use xnu_lab::{BRIDGE, CARD, Lab, LabConfig, Station};
use xnu_sim::MacOs;

use super::checks::Checks;
use super::counters;
use crate::failure::{Failure, Result};

mod costs;

/// How much a TCP transfer carries.
const TRANSFER_BYTES: u64 = 4 << 20;

/// How long what was lost may take to be there again.
const MEND_MAX: Duration = Duration::from_secs(3);

/// How long a multicast datagram may be under way; a second copy would come in that time, too.
const MULTICAST: Duration = Duration::from_millis(200);

/// How long stations may take to announce themselves.
const ANNOUNCED_AFTER: Duration = Duration::from_secs(2);

/// How long to listen for a second answer to a question who has an address.
const LISTEN: Duration = Duration::from_millis(150);

/// As in the scenario on Linux: transient and link-local, and of the administrative scope.
const GROUPS: [(IpAddr, u16); 2] = [
    (IpAddr::V6(Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4242)), 4246),
    (IpAddr::V4(Ipv4Addr::new(239, 255, 66, 66)), 4244),
];

/// Runs every check and prints the table.
pub(super) fn run(version: MacOs, seed: u64) -> Result<()> {
    let title =
        format!("The macOS switch on a simulated macOS {version} (seed {seed}), in virtual time");
    let mut checks = Checks::begin(&title);
    scenario(&mut checks, version, seed);
    checks.section("System calls per frame of 1,514 bytes, in saturated flow");
    costs::compare(&mut checks, version);
    checks.end()
}

fn scenario(checks: &mut Checks, version: MacOs, seed: u64) {
    checks.section("Start");
    let boot = || {
        let lab = Lab::boot(LabConfig::new(version, seed));
        let lab = lab.map_err(|error| Failure::new("boot", error))?;
        Ok((summary(&lab), lab))
    };
    let Some(mut lab) = checks.attempt("the switch is ready", boot) else { return };
    // Whoever comes up says so by itself, which is no answer to any question.
    lab.run_for(ANNOUNCED_AFTER);
    checks.section("Address resolution and ping");
    ping_everybody(checks, &mut lab);
    checks.section("TCP");
    transfer(checks, &mut lab);
    checks.section("Multicast");
    for (group, port) in GROUPS {
        let group = SocketAddr::new(group, port);
        checks.check(&format!("vm1 → {} reaches all others", group.ip()), || {
            multicast(&mut lab, group)
        });
    }
    checks.section("What is lost comes back");
    mend(checks, &mut lab);
    checks.section("End");
    end(checks, lab);
}

fn summary(lab: &Lab) -> String {
    let ready = lab.ready();
    let shown = ready.networks[0].interfaces.iter().map(|interface| {
        let role = match interface.role {
            InterfaceRole::Bridge => "bridge",
            InterfaceRole::Member => "its member",
            InterfaceRole::SwitchEnd => "the switch's end",
        };
        format!("{} ({role})", interface.name)
    });
    format!("{}; two guests on socketpairs", shown.collect::<Vec<_>>().join(", "))
}

fn ping_everybody(checks: &mut Checks, lab: &mut Lab) {
    let lan = lab.lan().clone();
    for place in 0..2 {
        let name = format!("vm{}", place + 1);
        checks.check(&format!("{name} ↔ LAN   {ND}"), || ping(lab, place, lan.address_v6()));
        checks.check(&format!("{name} ↔ LAN   {ARP}"), || ping(lab, place, lan.address_v4()));
    }
    let other = lab.guest(1).clone();
    checks.check(&format!("vm1 ↔ vm2   {ND}"), || ping(lab, 0, other.address_v6()));
    checks.check(&format!("vm1 ↔ vm2   {ARP}"), || ping(lab, 0, other.address_v4()));
}

/// Asks who has the address, which exactly one must answer, and pings it.
fn ping(lab: &mut Lab, place: usize, address: IpAddr) -> Result<String> {
    let asked = lab.run_guest(place, Resolve::new(address, LISTEN));
    let asked = asked.map_err(|error| Failure::new("ask", error))?;
    let [answer] = asked.answers.as_slice() else {
        let who: Vec<_> = asked.answers.iter().map(|answer| answer.mac.to_string()).collect();
        return Err(Failure::new("who has it", format!("answers: [{}]", who.join(", "))));
    };
    let report: PingReport = lab
        .run_guest(place, Ping::new(PingConfig::new(address)))
        .map_err(|error| Failure::new("ping", error))?;
    let Some((_, mean, _)) = report.round_trips().filter(|_| report.is_perfect()) else {
        return Err(Failure::new("ping", format!("{report:?}")));
    };
    let (came, mean_ms) = (report.replies.len(), mean.as_secs_f64() * 1e3);
    Ok(format!("{} answers; {came} of {}, mean {mean_ms:.2} ms", answer.mac, report.sent))
}

fn transfer(checks: &mut Checks, lab: &mut Lab) {
    let config = |address, way| {
        let peer = SocketAddr::new(address, PORT);
        Transfer::new(TransferConfig::new(peer, way, Amount::Bytes(TRANSFER_BYTES)))
    };
    let (lan, other) = (lab.lan().clone(), lab.guest(1).clone());
    checks.check("vm1 → LAN   IPv6", || {
        arrived(lab.run_guest(0, config(lan.address_v6(), Way::Upload)))
    });
    checks.check("LAN → vm1   IPv4", || {
        arrived(lab.run_guest(0, config(lan.address_v4(), Way::Download)))
    });
    checks.check("vm1 → vm2   IPv6", || {
        arrived(lab.run_guest(0, config(other.address_v6(), Way::Upload)))
    });
}

fn arrived(report: std::result::Result<TransferReport, probe::TaskError>) -> Result<String> {
    let report = report.map_err(|error| Failure::new("transfer", error))?;
    if report.bytes != TRANSFER_BYTES {
        return Err(Failure::new("transfer", format!("{report:?}")));
    }
    let again = report.retransmits.unwrap_or(0);
    Ok(format!("{} kB, every byte as sent, {again} segments sent again", report.bytes / 1000))
}

/// vm1 sends one datagram to a group that all others have joined; each gets it once.
fn multicast(lab: &mut Lab, group: SocketAddr) -> Result<String> {
    let fail = |error: &dyn Display| Failure::new(format!("multicast to {group}"), error);
    let others = [lab.guest(1).clone(), lab.lan().clone()];
    let mut ports = Vec::new();
    for station in &others {
        let bound = station.with_core(|core| {
            core.join(group.ip())?;
            core.udp_bind(group.port())
        });
        ports.push(bound.map_err(|error| fail(&error))?);
    }
    let sender = lab.guest(0).clone();
    let port = sender.with_core(|core| core.udp_bind(group.port()));
    let port = port.map_err(|error| fail(&error))?;
    let sent = sender.with_core(|core| core.udp_send(port, group, b"to all"));
    sent.map_err(|error| fail(&error))?;
    lab.run_for(MULTICAST);
    sender.with_core(|core| core.udp_close(port));
    for ((station, port), name) in others.iter().zip(ports).zip(["vm2", "LAN"]) {
        match copies(station, port) {
            1 => {}
            count => return Err(fail(&format!("{count} copies came to {name}"))),
        }
    }
    Ok("vm2 and the LAN, once each".to_owned())
}

fn copies(station: &Station, port: probe::UdpPort) -> usize {
    station.with_core(|core| {
        let copies = std::iter::from_fn(|| core.udp_receive(port)).count();
        core.udp_close(port);
        copies
    })
}

fn mend(checks: &mut Checks, lab: &mut Lab) {
    let Some((bridge_end, switch_end)) = pair(lab) else {
        checks.check::<&str>("a pair is there", || Err(Failure::new("look", "no pair is ready")));
        return;
    };
    let operator = lab.operator().clone();
    checks.check("its end is taken out of the bridge", || {
        operator
            .remove_member(BRIDGE, &bridge_end)
            .map_err(|error| Failure::new("remove the member", error))?;
        mended(lab, Mended::Membership)
    });
    checks.check("its end is set down", || {
        operator
            .set_interface_up(&switch_end, false)
            .map_err(|error| Failure::new("set it down", error))?;
        mended(lab, Mended::Up)
    });
    checks.check("its end is destroyed", || {
        operator
            .destroy_interface(&switch_end)
            .map_err(|error| Failure::new("destroy it", error))?;
        mended(lab, Mended::Link)
    });
}

/// The pair's ends: the bridge's, and the switch's.
fn pair(lab: &Lab) -> Option<(String, String)> {
    let of = |role: InterfaceRole| {
        let ready = lab.ready();
        let mut made = ready.networks[0].interfaces.iter().filter(|of| of.created);
        made.find(|of| of.role == role).map(|of| of.name.clone())
    };
    Some((of(InterfaceRole::Member)?, of(InterfaceRole::SwitchEnd)?))
}

/// Waits until the switch has mended what was just broken, and sees that frames pass again.
fn mended(lab: &mut Lab, what: Mended) -> Result<String> {
    let (before, broken_at) = (lab.tally().of(what), lab.now());
    if !lab.run_until(MEND_MAX, |lab| lab.tally().of(what) > before) {
        let why = format!("not within {MEND_MAX:?}\n{}", lab.kernel().trace());
        return Err(Failure::new("wait until it is mended", why));
    }
    let took = lab.now() - broken_at;
    // What was destroyed is a member for a while yet: the kernel lets go of it in its own time.
    let are_two = |lab: &Lab| {
        let members = lab.operator().members(BRIDGE);
        members.len() == 2 && members.iter().any(|member| member == CARD)
    };
    if !lab.run_until(MEND_MAX, are_two) {
        let members = lab.operator().members(BRIDGE);
        return Err(Failure::new("the bridge's members", format!("{members:?}")));
    }
    let lan = lab.lan().address_v6();
    let pinged = ping(lab, 0, lan)?;
    Ok(format!("mended after {} ms; ping {pinged}", took.as_millis()))
}

fn end(checks: &mut Checks, lab: Lab) {
    let lost: u64 = [lab.guest(0), lab.guest(1)]
        .map(|guest| guest.with_core(|core| core.counters().malformed))
        .iter()
        .sum();
    checks.check("the guests got no broken frame", || match lost {
        0 => Ok(""),
        count => Err(Failure::new("the guests", format!("{count} broken frames"))),
    });
    let end = lab.finish();
    checks.check("no interface and no descriptor is left", || match end.leftovers.as_slice() {
        [] => Ok(format!("{} system calls in all", end.counters.total_calls())),
        left => Err(Failure::new("left behind", left.join(", "))),
    });
    let stopped = serde_json::to_value(&end.stopped)
        .map_err(|error| Failure::new("read the counters", error));
    if let Some(stopped) = checks.attempt("the switch has stopped", || Ok(("", stopped?))) {
        checks.check("every frame is accounted for", || counters::accounting(&stopped));
        checks.note(&counters::table(&stopped));
    }
}

const ND: &str = "IPv6 neighbour discovery, ping";
const ARP: &str = "IPv4 ARP, ping";
