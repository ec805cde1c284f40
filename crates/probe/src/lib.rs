//! A guest without a VM: a user-space TCP/IP stack on one end of a switch port.
//!
//! It speaks the wire protocols that VMs' network cards speak (one datagram is one Ethernet frame,
//! or a byte stream with a 4-byte length before each frame), answers ARP, neighbour discovery and
//! pings, and can be asked to ping, get a DHCP lease, move bytes over TCP, join multicast groups
//! and send numbered frames. Whatever has such a port can be tried with it: this project's switch,
//! vmnet-helper, gvproxy, a QEMU.
//!
//! Three layers, each usable without the next:
//!
//! - [`GuestCore`], the stack: frames, time and [`Task`]s in, frames and results out. No IO.
//! - [`Guest`]: a core on a [`Link`], in the caller's thread, in real time.
//! - [`GuestHandle`]: a guest in a thread of its own, for several tasks at a time.
//!
//! ```
//! use probe::{Guest, GuestConfig, GuestHandle, Link, MacAddress, PingConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (left, right) = Link::pair()?;
//! let peer = GuestConfig::new(MacAddress::local(2)).with_address("192.0.2.2/24".parse()?);
//! let peer = GuestHandle::start(Guest::new(peer, right)?);
//!
//! let config = GuestConfig::new(MacAddress::local(1)).with_address("192.0.2.1/24".parse()?);
//! let mut guest = Guest::new(config, left)?;
//! let report = guest.ping(PingConfig::new("192.0.2.2".parse()?))?;
//! assert!(report.is_perfect());
//! # peer.stop()?;
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod cidr;
mod config;
mod core;
mod error;
pub mod flow;
mod frame;
#[cfg(unix)]
mod guest;
#[cfg(unix)]
mod handle;
pub mod host;
#[cfg(unix)]
mod link;
mod mac;
pub mod services;
mod task;
pub mod throughput;
mod wire;

pub use crate::cidr::{Cidr, CidrParseError};
pub use crate::config::{ADDRESSES_MAX, GuestConfig};
pub use crate::core::{
    Counters, Datagram, Direction, Event, FrameCounts, GuestCore, NeighborAnswer, UdpPort,
};
pub use crate::error::{ConfigError, ConnectionEnd, Error, LinkError, Step, TaskError};
#[cfg(unix)]
pub use crate::guest::Guest;
#[cfg(unix)]
pub use crate::handle::{GuestHandle, Pending};
#[cfg(unix)]
pub use crate::link::{Link, LinkSpec};
pub use crate::mac::{MacAddress, MacParseError};
pub use crate::task::{
    Dhcp, Lease, Ping, PingConfig, PingReply, PingReport, Progress, Resolution, Resolve, SendFlow,
    Task, Transfer, TransferConfig,
};
pub use crate::wire::{MemoryWire, Transmit, Wire};
