//! Any bytes as frames into the fabric.
#![no_main]

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/vswitch/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::fabric(bytes));
