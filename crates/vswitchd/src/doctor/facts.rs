//! What there is on a machine, as far as it matters to a switch. Plain data: a gatherer fills it,
//! [`rules`](super::rules) judge it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ifctl::{Kind, PortState};

/// The interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// All of them.
    pub all: Vec<Link>,
    /// More of those that are bridges.
    pub bridges: Vec<Bridge>,
    /// Whether the system's bridges put a wireless card's own address in the place of the guests'
    /// (XNU's do, Linux's refuse the card).
    pub translates_wireless: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What made it.
    pub kind: Kind,
    /// Whether it was switched on.
    pub is_up: bool,
    /// Whether there is somebody at the other end of its cable; true where nobody says.
    pub has_carrier: bool,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// The bridge (or bond, …) that it belongs to.
    pub master: Option<String>,
    /// The other end of a pair.
    pub peer: Option<String>,
    /// Whether its frames are Ethernet's.
    pub is_ethernet: bool,
    /// Whether it has IP addresses, those that it gave itself (link-local) not counted.
    pub has_addresses: bool,
    /// Whether it is a wireless card; nothing where that cannot be known.
    pub is_wireless: Option<bool>,
    /// The switch that made it.
    pub made_by: Option<Maker>,
    /// Offloads that are on, of an interface that a switch made, though it turned them off.
    pub unwanted_offloads: Vec<String>,
}

/// The switch that made an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maker {
    /// Its process.
    pub pid: u32,
    /// Whether it is alive.
    pub is_alive: bool,
    /// What the interface was made for: the name of a bridge.
    pub label: String,
}

/// More of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Whether a new member waits.
    pub spanning_tree: SpanningTree,
    /// Whether frames that cross it go through the host's packet filter, of any family; nothing
    /// where the system has no such thing.
    pub is_filtered: Option<bool>,
    /// The members, each with what it does with frames.
    pub members: Vec<(String, PortState)>,
}

/// Whether a new member of a bridge waits before it passes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanningTree {
    /// It does not.
    Off,
    /// It waits so long in each of two states.
    On(Duration),
    /// The system does not tell.
    Unknown,
}

impl Link {
    /// Whether there are addresses among these that others than neighbours reach.
    pub(crate) fn is_routed(addresses: &[ifctl::Address]) -> bool {
        addresses.iter().any(|address| match address.address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        })
    }
}

impl Links {
    /// The interface `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Link> {
        self.all.iter().find(|link| link.name == name)
    }

    /// The members of the bridge `name`.
    pub fn members(&self, name: &str) -> impl Iterator<Item = &Link> {
        self.all.iter().filter(move |link| link.master.as_deref() == Some(name))
    }

    /// The switch that made a link, or the other end of its pair.
    #[must_use]
    pub fn maker<'a>(&'a self, link: &'a Link) -> Option<&'a Maker> {
        let peer = || self.find(link.peer.as_deref()?)?.made_by.as_ref();
        link.made_by.as_ref().or_else(peer)
    }
}

/// What this process may do, on Linux.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// The user's name, or number.
    pub user: String,
    /// Whether CAP_NET_ADMIN is effective; nothing where /proc does not say.
    pub has_net_admin: Option<bool>,
    /// Whether CAP_NET_RAW is.
    pub has_net_raw: Option<bool>,
    /// Whether this is the machine's own user namespace, where capabilities hold for all of it.
    pub is_initial_namespace: bool,
    /// Whether the kernel lets it change interfaces of this network namespace, or why that could
    /// not be asked.
    pub may_change_interfaces: Result<bool, String>,
    /// Whether it gets a packet socket.
    pub packet_socket: Refusal,
    /// Whether it can open the device of TUN and TAP.
    pub tun_device: Refusal,
}

/// Whether something was granted, and else why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It was granted.
    Granted,
    /// It is not there.
    Missing,
    /// It is there, and its driver is not.
    NoDriver,
    /// It is not for this user.
    NotPermitted,
    /// Something else: an errno.
    Other(i32),
}

/// A socket buffer and what limits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// The setting that limits it.
    pub setting: &'static str,
    /// What it is set to; nothing where that cannot be read.
    pub limit_bytes: Option<u64>,
    /// What a socket of this process was granted.
    pub granted_bytes: u64,
    /// What the switch asks for.
    pub wanted_bytes: u64,
    /// What the setting would have to be for that.
    pub limit_wanted_bytes: u64,
}

/// A limit of this process's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// Up to where it may be raised.
    pub hard: u64,
}

/// A socket's path, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath {
    /// The port, as `NETWORK/PORT`.
    pub port: String,
    /// The path.
    pub path: PathBuf,
    /// Whether the switch makes the socket; else somebody else listens there.
    pub is_ours: bool,
    /// The most bytes of a path that fit a socket's address.
    pub len_max: usize,
    /// Its directory.
    pub directory: Directory,
    /// What is at the path.
    pub there: There,
}

/// A socket's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Directory {
    Missing,
    NotADirectory,
    NotWritable,
    Writable,
}

/// What is at a socket's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A socket on which nobody listens.
    Dead,
    /// A socket that is somebody's.
    Alive,
    /// A file that is no socket.
    NotASocket,
    /// It could not be looked at: why.
    Unknown(String),
}
