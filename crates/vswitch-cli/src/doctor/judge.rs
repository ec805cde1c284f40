//! From what a guest saw to findings. Pure.

use std::time::Duration;

use vswitchd::doctor::Finding;

use super::facts::{Lease, NoLease, Pings, Seen, Target};

/// Judges all that a guest saw.
pub(super) fn judge(seen: &Seen) -> Vec<Finding> {
    let port = seen.port.as_str();
    let plugged = format!("a guest is plugged in, with the address {}", seen.mac);
    let mut findings = vec![Finding::ok("probe-port", port, plugged)];
    findings.extend(seen.dhcp.as_ref().map(|dhcp| lease(port, dhcp)));
    findings.extend(doubles(port, &seen.doubles));
    for target in &seen.targets {
        findings.extend(target.owners.as_ref().map(|owners| neighbor(target, owners)));
        findings.push(ping(target));
        findings.extend(full_size(target));
    }
    findings.push(ipv6(seen));
    findings
}

fn lease(port: &str, dhcp: &Result<Lease, NoLease>) -> Finding {
    const ID: &str = "probe-dhcp";
    const WHY: &str = "guests that ask for an address by DHCP get none";
    match dhcp {
        Ok(lease) => {
            let ms = milliseconds(lease.took);
            let router = lease.router.map(|router| format!(", router {router}"));
            let found = format!(
                "{} from {}{}, after {ms} ms",
                lease.address,
                lease.server,
                router.unwrap_or_default()
            );
            Finding::ok(ID, port, found).figure("ms", ms)
        }
        Err(NoLease::Refused(why)) => Finding::error(ID, port, why.clone())
            .why(WHY)
            .to_do("look at the DHCP server's log: it knows why"),
        Err(NoLease::Silence(why)) => Finding::warning(ID, port, why.clone()).why(WHY).to_do(
            "if there is to be a DHCP server: look at the uplink (doctor --uplink …); if not, give \
             the probe an address (--ip)",
        ),
    }
}

fn doubles(port: &str, doubles: &[String]) -> Option<Finding> {
    (!doubles.is_empty()).then(|| {
        let found = format!("{} says that it has the guest's address", doubles.join(" and "));
        Finding::error("probe-double", port, found)
            .why("two stations of one address take each other's frames away")
            .to_do("give each virtual machine a MAC address of its own")
    })
}

fn neighbor(target: &Target, owners: &[String]) -> Finding {
    const ID: &str = "probe-neighbor";
    let object = target.address.to_string();
    let protocol = if target.address.is_ipv4() { "ARP" } else { "neighbour discovery" };
    match owners {
        [] => Finding::error(ID, object, format!("nobody answers by {protocol}"))
            .why("nothing can be sent to whom nobody knows")
            .to_do("look whether it is switched on and on this network, and at the uplink"),
        [owner] => Finding::ok(ID, object, format!("is {owner} by {protocol}")),
        owners => {
            let found = format!("is claimed by {} by {protocol}", owners.join(" and "));
            Finding::error(ID, object, found)
                .figure("owners", owners.len() as u64)
                .why("frames for one of them go to the other")
                .to_do("give one of them another address")
        }
    }
}

fn ping(target: &Target) -> Finding {
    const ID: &str = "probe-ping";
    let object = target.address.to_string();
    let pings = match &target.small {
        Ok(pings) => pings,
        Err(why) => {
            return Finding::error(ID, object, why.clone())
                .why("it cannot be reached")
                .to_do("give the probe an address in its network, or a gateway (--ip, --gateway)");
        }
    };
    let &Pings { sent, lost, doubled, round_trip } = pings;
    let figures =
        |finding: Finding| finding.figure("sent", sent.into()).figure("lost", lost.into());
    if lost == sent {
        let found = format!("answers none of {sent} pings");
        let bad = if target.is_router { Finding::warning } else { Finding::error };
        return figures(bad(ID, object, found))
            .why("it is not reached, or answers no pings")
            .to_do("look whether its firewall drops echo requests, and at the uplink");
    }
    if lost > 0 || doubled > 0 {
        let found = format!("of {sent} pings {lost} are lost and {doubled} answered twice");
        return figures(Finding::warning(ID, object, found))
            .figure("doubled", doubled)
            .why("frames are lost on the way, or there are two ways")
            .to_do("look at the switch's counters of drops, which say where and why");
    }
    let us = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
    let found = format!("answers {sent} of {sent} pings, {:.3} ms", round_trip.as_secs_f64() * 1e3);
    figures(Finding::ok(ID, object, found)).figure("round_trip_us", us)
}

/// Whether packets that fill the MTU come through, where small ones do.
fn full_size(target: &Target) -> Option<Finding> {
    const ID: &str = "probe-mtu";
    let is_reached = target.small.as_ref().is_ok_and(|pings| pings.lost < pings.sent);
    let pings = target.full.as_ref().ok().filter(|_| is_reached)?;
    let (object, mtu) = (target.address.to_string(), target.mtu);
    let figure = |finding: Finding| finding.figure("mtu", mtu as u64);
    if pings.lost < pings.sent {
        return Some(figure(Finding::ok(
            ID,
            object,
            format!("packets of {mtu} bytes come through"),
        )));
    }
    let found = format!("answers small pings, and none of {mtu} bytes");
    Some(
        figure(Finding::warning(ID, object, found))
            .why("connections open and then hang: something on the way has a smaller MTU")
            .to_do("compare the MTUs (doctor --uplink …), or give the guests a smaller one"),
    )
}

fn ipv6(seen: &Seen) -> Finding {
    const ID: &str = "probe-ipv6";
    let port = seen.port.as_str();
    match &seen.ipv6 {
        None => Finding::note(ID, port, "no other station answers by IPv6")
            .why("there may be none that speaks it, or its frames to groups are lost"),
        Some((address, 1)) => {
            let found = format!("{address} answers, and is found by neighbour discovery");
            Finding::ok(ID, port, found)
        }
        Some((address, owners)) => {
            let found = format!("{address} answers, and neighbour discovery finds {owners} of it");
            Finding::warning(ID, port, found)
                .figure("owners", *owners as u64)
                .why("guests do not reach it by IPv6, or not always the same")
                .to_do("look whether something on the way drops multicast or ICMPv6")
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use vswitchd::doctor::Severity::{self, Error, Note, Ok as Fine, Warning};

    use super::*;

    const GOOD: Pings =
        Pings { sent: 10, lost: 0, doubled: 0, round_trip: Duration::from_micros(250) };
    const LOST: Pings = Pings { lost: 10, ..GOOD };

    fn router() -> Target {
        Target {
            address: "192.0.2.1".parse().unwrap(),
            is_router: true,
            owners: Some(vec!["02:00:00:00:00:01".into()]),
            small: Ok(GOOD),
            full: Ok(GOOD),
            mtu: 1500,
        }
    }

    fn seen() -> Seen {
        Seen {
            port: "lan/vm1".into(),
            mac: "52:54:00:00:00:01".into(),
            dhcp: Some(Ok(Lease {
                address: "192.0.2.7/24".into(),
                router: Some("192.0.2.1".parse().unwrap()),
                server: "192.0.2.1".parse().unwrap(),
                took: Duration::from_millis(12),
            })),
            doubles: vec![],
            targets: vec![router()],
            ipv6: Some(("fe80::1".parse().unwrap(), 1)),
        }
    }

    fn found(seen: &Seen) -> Vec<(&'static str, Severity)> {
        let findings = judge(seen);
        for finding in &findings {
            let advises = finding.why.is_some() && finding.to_do.is_some();
            assert!(finding.severity < Warning || advises, "{finding:?}");
        }
        findings.into_iter().map(|finding| (finding.id, finding.severity)).collect()
    }

    #[test]
    fn all_is_well() {
        let expected =
            ["probe-port", "probe-dhcp", "probe-neighbor", "probe-ping", "probe-mtu", "probe-ipv6"];
        assert_eq!(found(&seen()), expected.map(|id| (id, Fine)));
        let findings = judge(&seen());
        assert_eq!(findings[1].found, "192.0.2.7/24 from 192.0.2.1, router 192.0.2.1, after 12 ms");
        assert_eq!(findings[3].found, "answers 10 of 10 pings, 0.250 ms");
    }

    #[test]
    fn each_fault_is_one_finding() {
        let with = |target: Target| Seen { targets: vec![target], ..seen() };
        let refused = NoLease::Refused("no".into());
        let silence = NoLease::Silence("nobody".into());
        let two = Some(vec!["a".into(), "b".into()]);
        let some_lost = Pings { lost: 3, ..GOOD };
        let cases: [(Seen, &str, Severity); 10] = [
            (Seen { dhcp: Some(Err(refused)), ..seen() }, "probe-dhcp", Error),
            (Seen { dhcp: Some(Err(silence)), ..seen() }, "probe-dhcp", Warning),
            (Seen { doubles: vec!["a".into()], ..seen() }, "probe-double", Error),
            (Seen { ipv6: None, ..seen() }, "probe-ipv6", Note),
            (Seen { ipv6: Some(("fe80::1".parse().unwrap(), 0)), ..seen() }, "probe-ipv6", Warning),
            (with(Target { owners: two, ..router() }), "probe-neighbor", Error),
            (with(Target { owners: Some(vec![]), ..router() }), "probe-neighbor", Error),
            (with(Target { small: Ok(some_lost), ..router() }), "probe-ping", Warning),
            (with(Target { full: Ok(LOST), ..router() }), "probe-mtu", Warning),
            (with(Target { small: Ok(LOST), ..router() }), "probe-ping", Warning),
        ];
        for (seen, id, severity) in cases {
            let faults: Vec<_> =
                found(&seen).into_iter().filter(|(_, severity)| *severity != Fine).collect();
            assert_eq!(faults, [(id, severity)], "{seen:?}");
        }
    }

    #[test]
    fn whom_a_person_named_must_answer() {
        let target = Target { is_router: false, small: Ok(LOST), owners: None, ..router() };
        let named = Seen { targets: vec![target], ..seen() };
        assert!(found(&named).contains(&("probe-ping", Error)));
        assert!(!found(&named).iter().any(|(id, _)| *id == "probe-mtu" || *id == "probe-neighbor"));
        let target = Target { small: Err("no route".into()), full: Ok(GOOD), ..router() };
        assert!(found(&Seen { targets: vec![target], ..seen() }).contains(&("probe-ping", Error)));
    }
}
