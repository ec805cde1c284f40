//! The control API of a running service, on real sockets.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod crowd;
mod described;
mod descriptors;
mod link;
mod rights;
