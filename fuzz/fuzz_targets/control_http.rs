//! Any bytes as a connection to the control server.
#![no_main]

use vswitch_fuzz::bounded;
use vswitchd::api::entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(8 << 20, entries::http, bytes));
