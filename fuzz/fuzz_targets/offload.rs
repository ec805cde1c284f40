//! Any bytes as a virtio-net header and the unfinished frame behind it.
#![no_main]

use vswitch_fuzz::bounded;

#[path = "../../crates/vswitch/tests/entries/offload.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::finish, bytes));
