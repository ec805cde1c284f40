//! Any bytes as a stream of length-prefixed frames.
#![no_main]

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/vswitch/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::stream(bytes));
