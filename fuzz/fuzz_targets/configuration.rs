//! Any text as a configuration file, and as a port and an uplink of the command line.
#![no_main]

use std::path::Path;

use vswitchd::config::{PortSpec, UplinkSpec, file};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = file::parse(text, Path::new("/etc/vswitch.toml"));
    let _ = text.parse::<PortSpec>();
    let _ = text.parse::<UplinkSpec>();
});
