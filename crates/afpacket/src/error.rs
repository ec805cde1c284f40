//! What can fail, for whoever opens a socket and for the data path.

use std::io;

/// Why a socket could not be opened, or a setting not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such interface in this network namespace.
    #[error("no interface named {interface}")]
    NoSuchInterface {
        /// The name asked for.
        interface: String,
    },
    /// The interface carries no Ethernet frames (a tun, a PPP link, a monitoring radio, …).
    #[error("{interface} carries no Ethernet frames (its hardware type is {hardware_type})")]
    NotEthernet {
        /// The interface.
        interface: String,
        /// Its ARPHRD_ number.
        hardware_type: u16,
    },
    /// The process may not open packet sockets.
    #[error("open a packet socket: {source} (run as root or with CAP_NET_RAW)")]
    NotPermitted {
        /// EPERM or EACCES.
        source: io::Error,
    },
    /// The filter has more instructions than the kernel takes (`BPF_MAXINSNS`).
    #[error("a filter of {length} instructions is too long (at most {})", FILTER_WORDS_MAX)]
    FilterTooLong {
        /// Its length in instructions.
        length: usize,
    },
    /// The kernel refused the filter.
    #[error("attach a filter of {length} instructions: {source}{}", filter_hint(source))]
    Filter {
        /// Its length in instructions.
        length: usize,
        /// EINVAL for a program that is not valid, ENOMEM for one over `net.core.optmem_max`.
        source: io::Error,
    },
    /// Another call failed.
    #[error("{call} for the packet socket on {interface}: {source}")]
    Call {
        /// The call, with the option's name where there is one.
        call: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why [`receive`](crate::PacketSocket::receive) has no frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// No frame is waiting; poll for readability.
    #[error("no frame is waiting")]
    WouldBlock,
    /// The interface went down, or was down when the socket was opened. Said once; frames come
    /// again by themselves when the interface is up. It may have been on its way out, so ask
    /// [`state`](crate::PacketSocket::state) a little later.
    #[error("the interface is down")]
    Down,
    /// The interface has gone (deleted, or moved to another namespace). This socket is of no more
    /// use, also when an interface of that name comes back.
    #[error("the interface has gone")]
    Gone,
    /// One frame was lost: a segment of a kind that a virtio-net header cannot express (SCTP, ESP
    /// or a tunnel's GSO; before Linux 6.2, UDP's). Only with
    /// [`vnet_hdr`](crate::Options::vnet_hdr); go on receiving.
    #[error("a frame was lost: its kind of segment does not fit a virtio-net header")]
    Inexpressible,
    /// Anything else.
    #[error("recvmmsg: {0}")]
    Os(#[source] io::Error),
}

/// Why [`send`](crate::PacketSocket::send) did not take a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket's send buffer is full; the frame can be sent once the socket is writable.
    #[error("the send buffer is full")]
    WouldBlock,
    /// The frame is over the interface's MTU (EMSGSIZE).
    #[error("the frame is over the interface's MTU")]
    TooBig,
    /// The kernel took the frame and lost it: its queue was full (ENOBUFS), or it could not finish
    /// the frame, for want of memory or because the frame's headers are not those that its
    /// virtio-net header speaks of (ENOMEM).
    #[error("the interface's queue was full, or the frame could not be finished")]
    Lost,
    /// The kernel refused the frame for what it is (EINVAL): under 14 bytes, or with a virtio-net
    /// header that does not fit its bytes.
    #[error("the frame is not valid")]
    Invalid,
    /// The interface is down; frames can be sent again when it is up.
    #[error("the interface is down")]
    Down,
    /// The interface has gone; see [`ReceiveError::Gone`].
    #[error("the interface has gone")]
    Gone,
    /// Anything else.
    #[error("sendmmsg: {0}")]
    Os(#[source] io::Error),
}

/// Why a socket receives frames as messages, and not by a ring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotByRing {
    /// It was opened without [`receive_ring_slots`](crate::Options::receive_ring_slots).
    #[error("not asked for")]
    NotAsked,
    /// A kernel whose rings are not sound (before 5.6).
    #[error("the rings of Linux {release} are not sound (those of 5.6 and later are)")]
    Kernel {
        /// As `uname -r` has it.
        release: String,
    },
    /// It did at first. Then a frame came whose kind of segment a virtio-net header cannot express
    /// (see [`ReceiveError::Inexpressible`]), and blocks the ring: a fault of Linux's.
    #[error("a frame came whose kind of segment blocks a ring (a fault of Linux's)")]
    Blocked,
    /// The kernel has no such rings, or no memory.
    #[error("{call}: {source}")]
    Call {
        /// The call, with the option's name where there is one.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// Why a socket sends nothing by `AF_XDP`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotByXdp {
    /// It was opened without [`xdp_send`](crate::Options::xdp_send).
    #[error("not asked for")]
    NotAsked,
    /// A kernel that goes down by it.
    #[error("Linux {release} may go down by sending with AF_XDP (CVE-2025-40290)")]
    Kernel {
        /// As `uname -r` has it.
        release: String,
    },
    /// The kernel has no such sockets, somebody else has the interface's queue, or a limit is in
    /// the way.
    #[error("{call}: {source}{}", xdp_hint(call, source))]
    Call {
        /// The call, with the option's name where there is one.
        call: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// `BPF_MAXINSNS` of linux/bpf_common.h.
pub(crate) const FILTER_WORDS_MAX: usize = 4096;

fn filter_hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::ENOMEM) => " (raise it with: sysctl net.core.optmem_max)",
        Some(libc::EINVAL) => " (the kernel finds it not valid)",
        _ => "",
    }
}

fn xdp_hint(call: &str, source: &io::Error) -> &'static str {
    match (call, source.raw_os_error()) {
        (_, Some(libc::EAFNOSUPPORT)) => " (a kernel without CONFIG_XDP_SOCKETS, or not allowed)",
        ("bind", Some(libc::EBUSY)) => " (another AF_XDP socket has the interface's first queue)",
        ("setsockopt XDP_UMEM_REG", Some(libc::ENOBUFS)) => {
            " (1 MiB more may not be locked: RLIMIT_MEMLOCK, CAP_IPC_LOCK)"
        }
        _ => "",
    }
}
