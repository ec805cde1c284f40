//! A simulated Mac with guests and a LAN, on which the real service runs, in virtual time.
//!
//! [`Lab`] is a machine of `xnu-sim` with a bridge and a network card in it, a [`Station`] on the
//! LAN behind the card, and stations plugged into the switch by socketpairs, as
//! Virtualization.framework plugs VMs in. The switch is `vswitchd`'s service with the platform,
//! ports and poller that a Mac runs. [`cost`] counts its system calls per frame beside those of the
//! [`original`]'s loop.
#![forbid(unsafe_code)]

mod attach;
pub mod cost;
mod lab;
mod mac;
pub mod original;
mod station;
mod task;
mod wire;

pub use attach::SimAttach;
pub use lab::{End, Lab, LabConfig};
pub use mac::{BRIDGE, CARD, LabError, SimulatedMac, Started};
pub use station::{Station, StationConfig};
pub use wire::{CardWire, SocketWire};

/// The README's example compiles, and holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
