//! This machine: what processes used, namespaces, sockets, programs.

mod mapping;
pub(crate) mod mmsg;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod ring;
pub(crate) mod rx_ring;
pub(crate) mod socket;
pub(crate) mod usage;
pub(crate) mod xdp;
