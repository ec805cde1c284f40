//! Why something could not be had on XNU.

use ifctl::xnu::Finding;
use vswitch::port::xnu::LinkError;
use xnu_sys::SyscallError;

/// Why something could not be had on XNU. Prints with what to do about it, where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum XnuError {
    /// No poller.
    #[error("kqueue: {0}")]
    Poller(#[source] SyscallError),
    /// A socket.
    #[error("socket: {0}")]
    Socket(#[source] SyscallError),
    /// What a port is attached to.
    #[error(transparent)]
    Attachment(Box<dyn std::error::Error + Send + Sync>),
    /// A given socket, for the second time.
    #[error("the socket that was given is closed: give another")]
    Taken,
    /// TAPs are Linux's.
    #[error(
        "tap:{name}: there are no TAP interfaces on a Mac (give the host an address on the bridge \
         instead, or use a unixgram: or stream: port)"
    )]
    Tap {
        /// The name.
        name: String,
    },
    /// Several threads are Linux's.
    #[error("a network has one thread on a Mac (leave out --threads)")]
    Threads,
    /// An interface.
    #[error("{source}{}", advice(.source.to_do()))]
    Interface {
        /// Why.
        #[from]
        source: ifctl::Error,
    },
    /// BPF or NDRV on an interface.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// An uplink that guests' frames cannot go through.
    #[error("{name} carries no Ethernet frames, its kind is {kind} (choose a network card)")]
    NotEthernet {
        /// The interface.
        name: String,
        /// What it is.
        kind: ifctl::Kind,
    },
    /// `create` for a bridge that is there.
    #[error("{bridge} exists already (leave out \"create\" to join it)")]
    BridgeExists {
        /// The bridge.
        bridge: String,
    },
    /// The host is set up so that feths damage frames.
    #[error("{finding}{}", advice(finding.to_do()))]
    Setting {
        /// Which setting, and what to do.
        finding: Finding,
    },
}

fn advice(to_do: Option<String>) -> String {
    to_do.map(|to_do| format!(" ({to_do})")).unwrap_or_default()
}
