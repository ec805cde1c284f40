//! Any bytes as the words of a filter program and a frame.
#![no_main]

use vswitch_fuzz::bounded;

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/bpf/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::program, bytes));
