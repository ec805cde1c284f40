//! Any bytes as what a VDE client asks.
#![no_main]

use vswitch_fuzz::bounded;

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/vswitch/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::vde_request, bytes));
