//! Any bytes as a stream of length-prefixed frames. Each of them keeps a buffer of 64 KiB here.
#![no_main]

use vswitch_fuzz::bounded;

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/vswitch/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(512 << 20, entries::stream, bytes));
