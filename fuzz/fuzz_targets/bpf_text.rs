//! Any bytes as the text of a filter program.
#![no_main]

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/bpf/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::text(bytes));
