//! The bridge, made through netlink.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use ifctl::Interfaces;

use super::line;
use crate::failure::{Failure, Result};
use crate::namespace;
use crate::run::network::HOST;

/// A bridge with an IPv4 and an IPv6 address; it goes with the namespace.
#[derive(Debug)]
pub(crate) struct Host(());

/// The name is free in a namespace of its own.
const BRIDGE: &str = "br0";

/// How long the kernel may take to make sure that nobody else has the bridge's IPv6 address.
const ADDRESS_MAX: Duration = Duration::from_secs(10);

impl Host {
    /// Moves this process into a namespace of its own, where it makes the bridge.
    pub(crate) fn prepare() -> Result<Option<Self>> {
        if let Err(why) = namespace::available() {
            println!("No network of its own here: {why}\nOnly traffic between guests is checked.");
            return Ok(None);
        }
        namespace::enter()?;
        Self(()).restore_bridge()?;
        Ok(Some(Self(())))
    }

    /// Deletes the bridge, with whoever is in it.
    pub(crate) fn destroy_bridge(&self) -> Result<()> {
        let deleted = Interfaces::open().and_then(|mut interfaces| interfaces.destroy(BRIDGE));
        deleted.map_err(|error| Failure::new("delete the bridge", error))
    }

    /// Makes the bridge, with its addresses.
    pub(crate) fn restore_bridge(&self) -> Result<()> {
        let fail = |error: ifctl::Error| Failure::new("make a bridge", error);
        let mut interfaces = Interfaces::open().map_err(fail)?;
        interfaces.create_bridge(BRIDGE).map_err(fail)?;
        for (address, bits) in HOST.addresses() {
            interfaces.add_address(BRIDGE, address, bits).map_err(fail)?;
        }
        interfaces.set_up(BRIDGE, true).map_err(fail)?;
        Ok(())
    }

    /// The bridge's name.
    pub(crate) fn bridge(&self) -> &str {
        BRIDGE
    }

    /// Every interface of the namespace by name and kind.
    pub(crate) fn interfaces(&self) -> Result<Vec<String>> {
        let fail = |error: ifctl::Error| Failure::new("list interfaces", error);
        let list = Interfaces::open().and_then(|mut interfaces| interfaces.list()).map_err(fail)?;
        let mut lines: Vec<String> = list.iter().map(line).collect();
        lines.sort_unstable();
        Ok(lines)
    }

    /// The kernel's number for the bridge.
    pub(crate) fn bridge_index(&self) -> Result<u32> {
        let found = Interfaces::open().and_then(|mut interfaces| interfaces.find(BRIDGE));
        let fail = |error: ifctl::Error| Failure::new("find the bridge", error);
        found.map(|interface| interface.index).map_err(fail)
    }

    /// Waits until the bridge's IPv6 addresses may be used: the kernel begins to ask whether
    /// somebody has them when the bridge gets its first member (RFC 4862, 5.4).
    pub(crate) fn wait_for_addresses(&self) -> Result<()> {
        const TENTATIVE: u32 = 0x40; // IFA_F_TENTATIVE
        let end = Instant::now() + ADDRESS_MAX;
        loop {
            let table = fs::read_to_string("/proc/self/net/if_inet6")
                .map_err(|error| Failure::new("read the IPv6 addresses", error))?;
            let flags = table.lines().filter_map(|line| line.split_whitespace().nth(4));
            let flags = flags.filter_map(|flags| u32::from_str_radix(flags, 16).ok());
            if !flags.into_iter().any(|flags| flags & TENTATIVE != 0) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(Failure::new("wait for the bridge's address", "still tentative"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Nothing to do: it goes with the namespace, and that with this process.
    pub(crate) fn take_away(self) -> Result<()> {
        Ok(())
    }
}
