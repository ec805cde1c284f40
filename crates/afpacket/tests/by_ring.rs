//! Sockets that receive by a ring: the tests of the others again, and what is the ring's own.
#![cfg(target_os = "linux")]
#![allow(clippy::duplicate_mod, reason = "each file has what they share, to be a test by itself")]

#[path = "frames.rs"]
mod frames;
#[path = "lifecycle.rs"]
mod lifecycle;
#[path = "offloads.rs"]
mod offloads;
#[path = "ring/mod.rs"]
mod ring;
