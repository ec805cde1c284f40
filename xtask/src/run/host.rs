//! The host's side of the network: a bridge with addresses, in this process's own namespace.

#[cfg_attr(target_os = "linux", path = "host/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "host/elsewhere.rs")]
mod sys;

pub(super) use sys::Host;

/// The bridge.
pub(super) const BRIDGE: &str = "br0";

/// Its addresses (RFC 5737, RFC 3849) with their prefix lengths.
pub(super) const IPV4: &str = "192.0.2.1";
pub(super) const IPV4_BITS: u8 = 24;
pub(super) const IPV6: &str = "2001:db8::1";
pub(super) const IPV6_BITS: u8 = 64;
