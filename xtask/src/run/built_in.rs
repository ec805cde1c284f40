//! The main job with guests that need no virtual machine: `probe`'s user-space TCP/IP stacks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use probe::host::Server;
use probe::throughput::{self, Amount, TransferReport, Way};
use probe::{
    Cidr, Guest, GuestConfig, GuestHandle, LinkSpec, MacAddress, Ping, PingConfig, Resolve,
    Transfer, TransferConfig,
};

use super::checks::Checks;
use super::host::Host;
use super::network::{A, B, C, HOST, Station, family};
use super::setting::{Ports, Setting};
use crate::failure::{Failure, Result};

/// The ports, and who is plugged into each.
const PORTS: Ports<'static> = &[("a", "unixgram"), ("b", "unixgram"), ("c", "stream")];

/// How long a TCP transfer lasts.
const TRANSFER: Duration = Duration::from_secs(1);

/// How long to listen for a second answer to a question who has an address.
const LISTEN: Duration = Duration::from_millis(150);

/// How long a multicast datagram may be under way; a second copy would come in that time, too.
const MULTICAST: Duration = Duration::from_millis(300);

/// Groups of the multicast checks, each with its UDP port: transient and link-local (RFC 4291,
/// 2.7), and of the administrative scope (RFC 2365).
const GROUPS: [(IpAddr, u16); 2] = [
    (IpAddr::V6(Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0, 0x4242)), 4246),
    (IpAddr::V4(Ipv4Addr::new(239, 255, 66, 66)), 4244),
];

/// Runs every check and prints the table.
pub(super) fn run(setting: &Setting) -> Result<()> {
    let mut checks = Checks::begin("vswitch with built-in guests");
    Scenario { setting }.run(&mut checks)?;
    checks.end()
}

#[derive(Debug, Clone, Copy)]
struct Scenario<'a> {
    setting: &'a Setting,
}

/// A guest in a thread of its own.
#[derive(Debug)]
struct Plugged {
    station: Station,
    guest: GuestHandle,
}

impl Scenario<'_> {
    fn run(self, checks: &mut Checks) -> Result<()> {
        let before = self.setting.interfaces()?;
        checks.section("Start");
        let start = || self.setting.start_switch(PORTS);
        let Some(switch) = checks.attempt("the switch is ready", start) else { return Ok(()) };
        let plug = || self.plug_in();
        let Some(guests) = checks.attempt("three guests are plugged in", plug) else {
            return Ok(());
        };
        checks.section("Address resolution and ping");
        self.ping(checks, &guests);
        checks.section("TCP");
        self.transfer(checks, &guests);
        checks.section("Multicast");
        for (group, port) in GROUPS {
            let group = SocketAddr::new(group, port);
            checks.check(&format!("a → {} reaches all others", group.ip()), || {
                self.multicast(&guests, group)
            });
        }
        checks.section("End");
        checks.check("the guests lost no frame", || unplug(guests));
        self.setting.end(checks, switch, PORTS, &before, &[]);
        Ok(())
    }

    /// Guest a says vfkit's handshake first.
    fn plug_in(self) -> Result<(&'static str, [Plugged; 3])> {
        let path = |station: Station| self.setting.socket(station.name);
        let guests = [
            Plugged::new(A, &LinkSpec::Unixgram(path(A)), true)?,
            Plugged::new(B, &LinkSpec::Unixgram(path(B)), false)?,
            Plugged::new(C, &LinkSpec::Stream(path(C)), false)?,
        ];
        Ok(("a and b by datagrams, a with vfkit's handshake, c by a stream", guests))
    }

    fn ping(self, checks: &mut Checks, guests: &[Plugged; 3]) {
        if self.setting.host.is_some() {
            for guest in guests {
                let name = guest.station.name;
                for (what, address) in [(ND, HOST.ipv6().into()), (ARP, HOST.ipv4().into())] {
                    checks.check(&format!("{name} ↔ host  {what}"), || guest.ping(address));
                }
            }
        }
        for (one, other) in [(0, 1), (1, 2), (2, 0)].map(|(a, b)| (&guests[a], &guests[b])) {
            let names = format!("{} ↔ {}", one.station.name, other.station.name);
            for (what, address) in
                [(ND, other.station.ipv6().into()), (ARP, other.station.ipv4().into())]
            {
                checks.check(&format!("{names}     {what}"), || one.ping(address));
            }
        }
    }

    fn transfer(self, checks: &mut Checks, guests: &[Plugged; 3]) {
        let [a, b, c] = guests;
        if self.setting.host.is_some() {
            for (guest, address) in [(a, HOST.ipv6().into()), (c, HOST.ipv4().into())] {
                let name = guest.station.name;
                checks.check(&format!("{name} → host  {}", family(address)), || {
                    guest.to_host(address)
                });
            }
            for (guest, address) in [(a, a.station.ipv4().into()), (c, c.station.ipv6().into())] {
                let name = guest.station.name;
                checks.check(&format!("host → {name}  {}", family(address)), || {
                    rate(probe::host::transfer(
                        SocketAddr::new(address, throughput::PORT),
                        Way::Upload,
                        Amount::Time(TRANSFER),
                    ))
                });
            }
        }
        for (one, other) in [(a, b), (b, c), (c, a)] {
            let names = format!("{} → {}", one.station.name, other.station.name);
            let address = other.station.ipv6().into();
            checks.check(&format!("{names}     {}", family(address)), || one.to_guest(address));
        }
    }

    /// Guest a sends one datagram to a group that all others have joined; each gets it once.
    fn multicast(self, guests: &[Plugged; 3], group: SocketAddr) -> Result<String> {
        let [a, others @ ..] = guests;
        let listeners: Vec<_> =
            others.iter().map(|guest| guest.join(group)).collect::<Result<_>>()?;
        let socket = self.setting.host.as_ref().map(|host| join(host, group)).transpose()?;
        a.send_to(group)?;
        thread::sleep(MULTICAST);
        for (guest, port) in others.iter().zip(listeners) {
            let copies = guest.copies(port)?;
            exactly_one(guest.station.name, copies)?;
        }
        let Some(socket) = socket else { return Ok("2 guests".to_owned()) };
        let copies = std::iter::from_fn(|| socket.recv(&mut [0; 64]).ok()).count();
        exactly_one("the host", copies)?;
        Ok("2 guests and the host, once each".to_owned())
    }
}

impl Plugged {
    fn new(station: Station, spec: &LinkSpec, vfkit: bool) -> Result<Self> {
        let what = format!("plug in guest {}", station.name);
        let mut config = GuestConfig::new(MacAddress(station.mac())).serving();
        for (address, bits) in station.addresses() {
            let bad = || Failure::new(&what, format!("{address}/{bits} is no network"));
            config = config.with_address(Cidr::new(address, bits).ok_or_else(bad)?);
        }
        let link = spec.open(vfkit).map_err(|error| Failure::new(&what, error))?;
        let guest = Guest::new(config, link).map_err(|error| Failure::new(&what, error))?;
        Ok(Self { station, guest: GuestHandle::start(guest) })
    }

    /// Asks who has the address, which exactly one must answer, and pings it.
    fn ping(&self, address: IpAddr) -> Result<String> {
        let fail = |error| Failure::new("ask", error);
        let resolution = self.guest.run(Resolve::new(address, LISTEN)).map_err(fail)?;
        let [answer] = resolution.answers.as_slice() else {
            let answers: Vec<_> =
                resolution.answers.iter().map(|answer| answer.mac.to_string()).collect();
            return Err(Failure::new("who has it", format!("answers: [{}]", answers.join(", "))));
        };
        let fail = |error| Failure::new("ping", error);
        let report = self.guest.run(Ping::new(PingConfig::new(address))).map_err(fail)?;
        let (count, sent) = (report.replies.len(), report.sent);
        let Some((_, mean, _)) = report.round_trips().filter(|_| report.is_perfect()) else {
            let extra = (report.duplicates, report.corrupted);
            let why = format!("{count} of {sent}, (duplicates, corrupted) = {extra:?}");
            return Err(Failure::new("ping", why));
        };
        let milliseconds = mean.as_secs_f64() * 1e3;
        Ok(format!("{} answers; {count} of {sent}, mean {milliseconds:.2} ms", answer.mac))
    }

    /// A transfer to a server of ours on one of the host's addresses.
    fn to_host(&self, address: IpAddr) -> Result<String> {
        let fail = |error| Failure::new(format!("serve on {address}"), error);
        let listener = TcpListener::bind((address, throughput::PORT)).map_err(fail)?;
        let _server = Server::start(listener).map_err(fail)?;
        self.to_guest(address)
    }

    /// A transfer to a server on this address.
    fn to_guest(&self, address: IpAddr) -> Result<String> {
        let peer = SocketAddr::new(address, throughput::PORT);
        let config = TransferConfig::new(peer, Way::Upload, Amount::Time(TRANSFER));
        rate(self.guest.run(Transfer::new(config)))
    }

    /// Joins a group, and binds the port that its datagrams come to.
    fn join(&self, group: SocketAddr) -> Result<probe::UdpPort> {
        let name = self.station.name;
        let fail = |error| Failure::new(format!("{name} joins {group}"), error);
        let joined = self.guest.with(move |core| {
            core.join(group.ip()).map_err(|error| error.to_string())?;
            core.udp_bind(group.port()).map_err(|error| error.to_string())
        });
        joined.map_err(|error| fail(error.to_string()))?.map_err(fail)
    }

    fn send_to(&self, group: SocketAddr) -> Result<()> {
        let fail = |error| Failure::new(format!("send to {group}"), error);
        let sent = self.guest.with(move |core| {
            let port = core.udp_bind(group.port()).map_err(|error| error.to_string())?;
            let sent = core.udp_send(port, group, b"to all").map_err(|error| error.to_string());
            sent.map(|()| port)
        });
        let port = sent.map_err(|error| fail(error.to_string()))?.map_err(fail)?;
        // The socket's queue must be empty before it is closed.
        thread::sleep(Duration::from_millis(50));
        let closed = self.guest.with(move |core| core.udp_close(port));
        closed.map_err(|error| fail(error.to_string()))
    }

    /// How many datagrams have come; closes the port.
    fn copies(&self, port: probe::UdpPort) -> Result<usize> {
        let counted = self.guest.with(move |core| {
            let copies = std::iter::from_fn(|| core.udp_receive(port)).count();
            core.udp_close(port);
            copies
        });
        counted.map_err(|error| Failure::new(self.station.name, error))
    }
}

/// Stops the guests, and looks at what they counted.
fn unplug(guests: [Plugged; 3]) -> Result<String> {
    let mut frames = 0;
    for Plugged { station, guest } in guests {
        let stopped = guest.stop();
        let guest = stopped.map_err(|error| Failure::new(station.name, error))?;
        let counters = guest.core().counters();
        let lost = counters.lost_at_link + counters.dropped_queue_full + counters.malformed;
        if lost > 0 {
            return Err(Failure::new(station.name, format!("{counters:?}")));
        }
        frames += counters.received.frames;
    }
    Ok(format!("{frames} received"))
}

/// The host's own member of a group.
fn join(host: &Host, group: SocketAddr) -> Result<UdpSocket> {
    let fail = |error| Failure::new(format!("the host joins {group}"), error);
    let any: IpAddr =
        if group.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, group.port())).map_err(fail)?;
    match group.ip() {
        IpAddr::V4(group) => socket.join_multicast_v4(&group, &HOST.ipv4()),
        IpAddr::V6(group) => socket.join_multicast_v6(&group, host.bridge_index()?),
    }
    .and_then(|()| socket.set_nonblocking(true))
    .map_err(fail)?;
    Ok(socket)
}

fn exactly_one(who: &str, copies: usize) -> Result<()> {
    match copies {
        1 => Ok(()),
        _ => Err(Failure::new(who, format!("{copies} copies came"))),
    }
}

fn rate(report: std::result::Result<TransferReport, probe::TaskError>) -> Result<String> {
    let report = report.map_err(|error| Failure::new("transfer", error))?;
    Ok(format!("{} kB, {:.0} Mbit/s", report.bytes / 1000, report.mbit_per_s()))
}

const ND: &str = "IPv6 neighbour discovery, ping";
const ARP: &str = "IPv4 ARP, ping";
