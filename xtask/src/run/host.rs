//! The host's side of the network: a bridge with addresses, in this process's own namespace.

#[cfg_attr(target_os = "linux", path = "host/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "host/elsewhere.rs")]
mod sys;

pub(super) use sys::Host;
