//! Any bytes as a capture buffer of XNU's BPF.
#![no_main]

use vswitch_fuzz::bounded;

#[path = "../../crates/bpf/tests/entries/capture.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::capture, bytes));
