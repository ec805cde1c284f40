//! Any text as a configuration file, and as a port and an uplink of the command line.
#![no_main]

use vswitch_fuzz::bounded;
use vswitchd::api::entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(64 << 20, entries::configuration, bytes));
