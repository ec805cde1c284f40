//! A layer-2 switch for virtual machines: fabric, ports, pollers, one loop.

pub mod capture;
pub mod counters;
pub mod fabric;
mod frame;
pub mod framing;
pub mod histogram;
mod mac;
pub mod offload;
pub mod poller;
pub mod pool;
pub mod port;
pub mod queue;
pub mod switch;
mod time;

pub use frame::{FRAME_MAX_BYTES, FRAME_MIN_BYTES, Frame};
pub use mac::{MacAddr, ParseMacError};
pub use time::Nanos;

/// The README's example compiles.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// The example of docs/macos.md compiles, on a Mac.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../../../docs/macos.md")]
struct MacOs;
