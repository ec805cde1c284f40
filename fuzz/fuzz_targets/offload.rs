//! Any bytes as a virtio-net header and the unfinished frame behind it.
#![no_main]

#[path = "../../crates/vswitch/tests/entries/offload.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::finish(bytes));
