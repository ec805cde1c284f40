//! A layer-2 switch for virtual machines: fabric, ports, pollers, one loop.

pub mod counters;
pub mod fabric;
mod frame;
mod mac;
pub mod offload;
pub mod pool;
mod time;

pub use frame::{FRAME_MAX_BYTES, FRAME_MIN_BYTES, Frame};
pub use mac::{MacAddr, ParseMacError};
pub use time::Nanos;
