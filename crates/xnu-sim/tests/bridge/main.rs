//! Bridges, as `bsd/net/if_bridge.c` has them: contract §3, corrections C1 to C11, C30, M13 to M20.

#[path = "../support/mod.rs"]
mod support;

mod any_bytes;
mod commands;
mod filters;
mod flooding;
mod forwarding;
mod host;
mod members;
mod table;
mod wifi;
