//! A built-in guest at a port of a running switch.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ::probe::{
    Cidr, Error, Guest, GuestConfig, Link, LinkError, LinkSpec, MacAddress, PingConfig, PingReport,
    TaskError,
};
use vswitchd::doctor::Finding;

use super::facts::{Lease, NoLease, Pings, Seen, Target};
use super::{judge, port};
use crate::failure::Failure;
use crate::probe::{made_up_mac, seconds, seed};
use crate::signals;

/// What the guest of a probe is and does.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Options of a probe")]
pub(super) struct Options {
    /// An address of the guest, in place of DHCP; may be given several times. The IPv6 link-local
    /// address is always there
    #[arg(long = "ip", value_name = "ADDR/PREFIX")]
    addresses: Vec<Cidr>,
    /// A default gateway, of either family
    #[arg(long = "gateway", value_name = "ADDR")]
    gateways: Vec<IpAddr>,
    /// Who is to answer, besides the router that DHCP names; may be given several times
    #[arg(long = "ping", value_name = "ADDR")]
    targets: Vec<IpAddr>,
    /// The guest's MAC address; without it the one that the port of --config names, or one made up
    #[arg(long)]
    mac: Option<MacAddress>,
    /// The largest packet that is to come through, without the Ethernet header
    #[arg(long, value_name = "BYTES", default_value_t = 1500)]
    mtu: usize,
    /// How long to wait for a DHCP lease
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "5")]
    timeout: Duration,
}

/// How long to listen for who has an address: for a second answer, too.
const LISTEN: Duration = Duration::from_millis(300);
/// How long a switch may take to notice that a guest is gone: it looks four times a second.
const NOTICED_MAX: Duration = Duration::from_secs(1);
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How many pings are sent, small ones and such as fill the MTU.
const PINGS: u16 = 10;
const PINGS_FULL: u16 = 3;
/// Headers in front of a ping's payload: IPv4's or IPv6's, and ICMP's.
const HEADERS_V4: usize = 20 + 8;
const HEADERS_V6: usize = 40 + 8;

/// Plugs a guest in and judges what it sees.
pub(super) fn probe(target: &port::Target, options: &Options) -> Result<Vec<Finding>, Failure> {
    let mac = options.mac.or(target.mac).unwrap_or_else(made_up_mac);
    let mut config = GuestConfig::new(mac).with_mtu(options.mtu).with_seed(seed());
    for address in &options.addresses {
        config = config.with_address(*address);
    }
    for gateway in &options.gateways {
        config = config.with_gateway(*gateway);
    }
    config.check().map_err(|error| Failure::new("make the built-in guest", error))?;
    let link = match plug_in(&target.link) {
        Ok(link) => link,
        Err(error) => return Ok(vec![no_link(&target.name, &error)]),
    };
    let mut guest =
        Guest::new(config, link).map_err(|error| Failure::new("make the built-in guest", error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let watch = signals::on_termination(move || flag.store(true, Ordering::Relaxed))?;
    guest.stop_on(stop);
    let seen = look(&mut guest, target, options);
    watch.end();
    match seen {
        Ok(seen) => Ok(judge::judge(&seen)),
        Err(Error::Link(error)) => Ok(vec![no_link(&target.name, &error)]),
        Err(error) => Err(Failure::new(format!("probe {}", target.name), error)),
    }
}

/// Plugs in. A switch may take a moment to notice that the last guest is gone, and until then it
/// lets nobody else in.
fn plug_in(to: &LinkSpec) -> Result<Link, LinkError> {
    let patience = Instant::now() + NOTICED_MAX;
    loop {
        match to.open(false) {
            Err(LinkError::Io { source, .. })
                if source.raw_os_error() == Some(EPERM) && Instant::now() < patience =>
            {
                std::thread::sleep(TRY_EVERY);
            }
            done => return done,
        }
    }
}

/// The port takes no guest.
fn no_link(port: &str, error: &LinkError) -> Finding {
    use std::io::ErrorKind;
    let finding = Finding::error("probe-port", port, error.to_string())
        .why("a virtual machine cannot be plugged in either");
    let LinkError::Io { source, .. } = error else {
        return finding.to_do("look at the port's attachment and its path");
    };
    finding.to_do(match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => "start a switch with that port",
        ErrorKind::PermissionDenied if source.raw_os_error() == Some(EPERM) => {
            "the port has its guest already: probe while that is off, or another port"
        }
        ErrorKind::PermissionDenied => "run this as the port's owner (--socket-owner) or as root",
        _ => "look at the port's attachment and its path",
    })
}

fn look(guest: &mut Guest, port: &port::Target, options: &Options) -> Result<Seen, Error> {
    let mac = guest.core().mac();
    let has_v4 = options.addresses.iter().any(|address| address.address().is_ipv4());
    let dhcp = if has_v4 { None } else { Some(lease(guest, options.timeout)?) };
    let router = match &dhcp {
        Some(Ok(lease)) => lease.router,
        _ => None,
    };
    let own = guest.resolve(mac.link_local().into(), LISTEN)?;
    let doubles = owners(own.answers.iter().map(|answer| answer.mac), Some(mac));
    let wanted = options.targets.iter().filter(|target| Some(**target) != router.map(IpAddr::V4));
    let wanted = wanted.map(|target| (*target, false));
    let router = router.map(|router: Ipv4Addr| (IpAddr::V4(router), true));
    let mut targets = Vec::new();
    for (address, is_router) in router.into_iter().chain(wanted) {
        targets.push(target(guest, address, is_router)?);
    }
    let ipv6 = ipv6(guest)?;
    Ok(Seen { port: port.name.clone(), mac: mac.to_string(), dhcp, doubles, targets, ipv6 })
}

fn lease(guest: &mut Guest, timeout: Duration) -> Result<Result<Lease, NoLease>, Error> {
    match guest.dhcp(timeout) {
        Ok(lease) => Ok(Ok(Lease {
            address: lease.address.to_string(),
            router: lease.router,
            server: lease.server,
            took: lease.elapsed,
        })),
        Err(Error::Task(error @ TaskError::DhcpRefused(_))) => {
            Ok(Err(NoLease::Refused(error.to_string())))
        }
        Err(Error::Task(error @ (TaskError::TimedOut { .. } | TaskError::Protocol(_)))) => {
            Ok(Err(NoLease::Silence(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

fn target(guest: &mut Guest, address: IpAddr, is_router: bool) -> Result<Target, Error> {
    let is_near = guest.core().addresses().iter().any(|own| own.contains(address));
    let owners = match is_near {
        true => {
            let answers = guest.resolve(address, LISTEN)?.answers;
            Some(owners(answers.iter().map(|answer| answer.mac), None))
        }
        false => None,
    };
    let mtu = guest.core().mtu();
    let headers = if address.is_ipv4() { HEADERS_V4 } else { HEADERS_V6 };
    let mut config = PingConfig::new(address);
    config.count = PINGS;
    let small = pings(guest, config.clone())?;
    config.count = PINGS_FULL;
    config.size = mtu.saturating_sub(headers);
    let full = pings(guest, config)?;
    Ok(Target { address, is_router, owners, small, full, mtu })
}

/// What came of pings; or, where there is no way to send them, why.
fn pings(guest: &mut Guest, config: PingConfig) -> Result<Result<Pings, String>, Error> {
    match guest.ping(config) {
        Ok(report) => Ok(Ok(counted(&report))),
        Err(Error::Task(error @ (TaskError::NoRoute(_) | TaskError::TooLarge { .. }))) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

fn counted(report: &PingReport) -> Pings {
    Pings {
        sent: report.sent,
        lost: report.lost(),
        doubled: report.duplicates,
        round_trip: report.round_trips().map_or(Duration::ZERO, |(_, mean, _)| mean),
    }
}

/// Asks all IPv6 stations (`ff02::1`), and then by neighbour discovery for one that answered.
fn ipv6(guest: &mut Guest) -> Result<Option<(IpAddr, usize)>, Error> {
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut config = PingConfig::new(all.into());
    config.count = 2;
    let report = match guest.ping(config) {
        Ok(report) => report,
        // Nobody can be asked.
        Err(Error::Task(TaskError::NoRoute(_))) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(from) = report.replies.first().map(|reply| reply.from) else { return Ok(None) };
    let answers = guest.resolve(from, LISTEN)?.answers;
    Ok(Some((from, owners(answers.iter().map(|answer| answer.mac), None).len())))
}

/// Each of these once, and not `but`.
fn owners(macs: impl Iterator<Item = MacAddress>, but: Option<MacAddress>) -> Vec<String> {
    let mut macs: Vec<String> =
        macs.filter(|mac| Some(*mac) != but).map(|mac| mac.to_string()).collect();
    macs.sort_unstable();
    macs.dedup();
    macs
}

/// Operation not permitted: the same number on Linux and on the BSDs.
const EPERM: i32 = 1;
