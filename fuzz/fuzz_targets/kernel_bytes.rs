//! Any bytes as a kernel's message about interfaces, and as an interface's description.
#![no_main]

use vswitch_fuzz::bounded;

#[allow(dead_code, reason = "shared by several targets")]
#[path = "../../crates/ifctl/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::kernel_bytes, bytes));
