//! What a built-in guest saw at a port. Plain data.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// All that it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The port.
    pub(super) port: String,
    /// The guest's address.
    pub(super) mac: String,
    /// A lease, or why there is none; nothing when none was asked for.
    pub(super) dhcp: Option<Result<Lease, NoLease>>,
    /// Others that say that they have the guest's own IPv6 address.
    pub(super) doubles: Vec<String>,
    /// Those who were asked for: the router, and whom the person named.
    pub(super) targets: Vec<Target>,
    /// A station that answered to all IPv6 stations, with how many answered to its name.
    pub(super) ipv6: Option<(IpAddr, usize)>,
}

/// A DHCP lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub(super) struct Lease {
    pub(super) address: String,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) server: Ipv4Addr,
    pub(super) took: Duration,
}

/// Why there is no lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoLease {
    /// The server refused.
    Refused(String),
    /// Nobody answered, or not to the end.
    Silence(String),
}

/// Somebody who was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its address.
    pub(super) address: IpAddr,
    /// Whether it is the lease's router; else a person named it.
    pub(super) is_router: bool,
    /// Who says that they have it, each once; nothing where it is behind a router.
    pub(super) owners: Option<Vec<String>>,
    /// Small pings, or why there was none.
    pub(super) small: Result<Pings, String>,
    /// Pings that fill the MTU.
    pub(super) full: Result<Pings, String>,
    /// The MTU that they fill.
    pub(super) mtu: usize,
}

/// What came of some pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pings {
    /// How many were sent.
    pub(super) sent: u16,
    /// How many had no answer.
    pub(super) lost: u16,
    /// How many had more than one.
    pub(super) doubled: u64,
    /// The mean round trip.
    pub(super) round_trip: Duration,
}
