//! What can go wrong, one type per moment: making a guest, plugging it in, asking it to act.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// A guest that cannot be as described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The MAC address belongs to a group, or is all zeros.
    #[error("a guest cannot own the MAC address {0}: it is not unicast")]
    Mac(crate::MacAddress),
    /// The address is not one that a station can own.
    #[error("a guest cannot own the address {0}: it is not unicast")]
    Address(IpAddr),
    /// More addresses than a guest holds (its own link-local address counts).
    #[error("{0} addresses: a guest holds up to {max}", max = crate::ADDRESSES_MAX)]
    Addresses(usize),
    /// The MTU is outside 68 (RFC 791) to 65,535.
    #[error("MTU {0}: it must be 68 to 65535 bytes")]
    Mtu(usize),
    /// A group that is not a multicast address, or one group too many.
    #[error("cannot join the group {0}: {1}")]
    Group(IpAddr, &'static str),
    /// A UDP port that is 0 or already bound by this guest.
    #[error("cannot bind UDP port {0}: it is 0 or in use")]
    UdpPort(u16),
}

/// A cable that could not be plugged in, or that came off.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// A system call on a socket of the link failed.
    #[error("{call} {object}: {source}")]
    Io {
        /// The call, as its manual page names it.
        call: &'static str,
        /// What it was called on: a path or a descriptor.
        object: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The path does not fit a socket address.
    #[error("{path}: a socket's path holds up to {max} bytes, this one has {len}")]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length in bytes.
        len: usize,
        /// How many would fit.
        max: usize,
    },
    /// The text is no link.
    #[error("{0:?} is no link: expected unixgram:PATH, stream:PATH or fd:N")]
    Syntax(String),
    /// The descriptor is no socket that carries frames, or not inherited.
    #[error("descriptor {fd}: {why}")]
    Descriptor {
        /// Its number.
        fd: i32,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The peer of a stream announced a frame of an impossible length: nothing after it can be
    /// read.
    #[error("the peer announced a frame of {0} bytes")]
    FrameLength(u32),
    /// The peer closed the stream, and the link does not connect again.
    #[error("the peer closed the connection")]
    Closed,
}

/// An action of a guest that did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskError {
    /// No address of this guest reaches the target, nor does a gateway.
    #[error("no route to {0}: the guest has no address in its network and no gateway for it")]
    NoRoute(IpAddr),
    /// The request would not fit one packet.
    #[error("{size} bytes do not fit: {max} is the most towards this target")]
    TooLarge {
        /// What was asked for.
        size: usize,
        /// What fits.
        max: usize,
    },
    /// The parameters of the action contradict themselves.
    #[error("{0}")]
    Parameter(&'static str),
    /// The time given ran out; `step` is what the action was waiting for.
    #[error("timed out after {waited:.1?} while {step}")]
    TimedOut {
        /// What was waited for.
        step: Step,
        /// Since the action began.
        waited: Duration,
    },
    /// The DHCP server said no (DHCPNAK).
    #[error("the DHCP server {0} refused the request")]
    DhcpRefused(IpAddr),
    /// The peer refused the connection, or closed it before it had done its part.
    #[error("the connection to {peer} was {what} while {step}")]
    Connection {
        /// The peer.
        peer: SocketAddr,
        /// Refused or reset.
        what: ConnectionEnd,
        /// What was going on.
        step: Step,
    },
    /// Bytes arrived that are not those that were sent.
    #[error("wrong content at byte {offset}")]
    Content {
        /// Of the first wrong byte.
        offset: u64,
    },
    /// The peer does not speak the throughput protocol; what it said instead.
    #[error("the peer answered {0:?}")]
    Protocol(String),
    /// All UDP ports or connections that a guest holds are in use.
    #[error("no free {0} left")]
    Exhausted(&'static str),
    /// The guest stopped before the action ended.
    #[error("the guest was stopped")]
    Stopped,
}

/// What an action waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// A DHCPOFFER to any of the DHCPDISCOVERs sent.
    DhcpOffer {
        /// How many DHCPDISCOVERs were sent.
        discovers: u32,
    },
    /// A DHCPACK to the DHCPREQUESTs sent.
    DhcpAck {
        /// How many DHCPREQUESTs were sent.
        requests: u32,
    },
    /// The three-way handshake.
    Connecting,
    /// Data towards the peer.
    Sending,
    /// Data from the peer.
    Receiving,
    /// The peer's word on what it received.
    Verdict,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DhcpOffer { discovers } => {
                write!(f, "waiting for a DHCP offer ({discovers} DHCPDISCOVER sent)")
            }
            Self::DhcpAck { requests } => {
                write!(f, "waiting for the DHCP acknowledgement ({requests} DHCPREQUEST sent)")
            }
            Self::Connecting => f.write_str("connecting"),
            Self::Sending => f.write_str("sending"),
            Self::Receiving => f.write_str("receiving"),
            Self::Verdict => f.write_str("waiting for the peer's word on what it received"),
        }
    }
}

/// How a connection ended that should have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// No one listens there.
    Refused,
    /// Reset, or closed too early.
    Reset,
}

impl std::fmt::Display for ConnectionEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
        })
    }
}

/// A guest's run that failed: its cable or its action.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The guest cannot be as described.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The cable.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The action.
    #[error(transparent)]
    Task(#[from] TaskError),
}
