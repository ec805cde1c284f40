//! `vswitch probe dhcp`.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::json;

use super::{GuestOptions, failure, ms};
use crate::failure::Failure;
use crate::output::{print_json, print_text};

/// Ask for an address by DHCP and print the lease.
///
/// Fails with the step that had no answer. The lease is not given back.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  vswitch probe --connect unixgram:/run/vm1.sock dhcp --json")]
pub(super) struct Arguments {}

pub(super) fn main(
    _: &Arguments,
    options: &GuestOptions,
    stop: &Arc<AtomicBool>,
    json: bool,
) -> Result<ExitCode, Failure> {
    let mut guest = options.plug_in(options.config(), stop)?;
    let lease = guest
        .dhcp(options.timeout_or(10))
        .map_err(|error| failure("get an address by DHCP", error))?;
    if json {
        print_json(&json!({
            "mac": guest.core().mac().to_string(),
            "address": lease.address.to_string(),
            "router": lease.router,
            "dns": lease.dns,
            "server": lease.server,
            "lease_s": lease.time.map(|time| time.as_secs()),
            "elapsed_ms": ms(lease.elapsed),
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let or_none = |text: String| if text.is_empty() { "none".to_owned() } else { text };
    let router = lease.router.map(|router| router.to_string()).unwrap_or_default();
    let dns: Vec<String> = lease.dns.iter().map(ToString::to_string).collect();
    let time = lease.time.map(|time| format!("{} s", time.as_secs())).unwrap_or_default();
    print_text(&format!(
        "address  {}\nrouter   {}\ndns      {}\nserver   {}\nlease    {}\ntook     {:.1} ms\n",
        lease.address,
        or_none(router),
        or_none(dns.join(" ")),
        lease.server,
        or_none(time),
        ms(lease.elapsed),
    ))?;
    Ok(ExitCode::SUCCESS)
}
