//! Any bytes as a capture buffer of XNU's BPF.
#![no_main]

#[path = "../../crates/bpf/tests/entries/capture.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::capture(bytes));
