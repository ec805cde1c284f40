//! What a descriptor can be of.

/// A kernel object behind an open file; the numbers are those of the part that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Object {
    /// An `AF_UNIX` datagram socket (also the one by which requests about interfaces are made).
    Unix(u32),
    /// `/dev/bpfN`.
    Bpf(u32),
    /// A `PF_NDRV` socket.
    Ndrv(u32),
    /// A `PF_SYSTEM` event socket.
    Events(u32),
    /// A kqueue.
    Kqueue(u32),
}
