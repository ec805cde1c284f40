//! The switch as a service: what it is to be, how it comes up, runs and goes down.
//!
//! [`config`] says what is wanted, a [`Platform`](platform::Platform) makes ports and uplinks of
//! it, and a [`Service`] is a switch with all of them, taking away at its end what it made. The
//! binary `vswitch` is arguments and words over this crate; the same service runs on a simulated
//! platform.
#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod capture;
pub mod config;
pub mod doctor;
pub mod events;
pub mod host;
#[cfg(target_os = "linux")]
pub mod linux;
mod loops;
pub mod metrics;
pub mod platform;
pub mod repairs;
pub mod report;
mod service;
mod socket_path;
pub mod xnu;

pub use loops::Ended;
pub use service::{Control, Plug, Service, ServiceError};
pub use vswitch::MacAddr;

/// The README's example compiles.
#[cfg(all(doctest, unix))]
#[doc = include_str!("../README.md")]
struct Readme;
