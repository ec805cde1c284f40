//! This Mac's own kernel, as root: a bridge of a number that nobody has, made by ioctls and given
//! its addresses by ifconfig(8). Nothing that was there before is changed.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use ifctl::xnu::Tag;
use ifctl::{Interfaces, Kind, OwnedInterface};
use nix::unistd::Uid;
use vswitchd::xnu::this_process;

use super::ifconfig::{self, Usable};
use super::line;
use crate::failure::{Failure, Result};
use crate::run::network::HOST;
use crate::tools::output_of;

/// A bridge with an IPv4 and an IPv6 address. It has no card as a member, so that nothing leaves
/// the machine; dropped, it is destroyed.
#[derive(Debug)]
pub(crate) struct Host {
    bridge: OwnedInterface,
}

/// Numbers from which the first free one is taken: macOS itself uses 0, and 100 and up for vmnet.
const NUMBERS: std::ops::Range<u32> = 4200..4300;

const IFCONFIG: &str = "/sbin/ifconfig";

/// How long the kernel may take to make sure that nobody else has the bridge's IPv6 address.
const ADDRESS_MAX: Duration = Duration::from_secs(10);

impl Host {
    /// Makes the bridge, as root.
    pub(crate) fn prepare() -> Result<Option<Self>> {
        if !Uid::effective().is_root() {
            println!(
                "Without root no bridge can be made on this Mac's own kernel.\n\
                 Only traffic between guests is checked.\n"
            );
            return Ok(None);
        }
        let fail = |error: ifctl::Error| Failure::new("make a bridge", error);
        let interfaces = Interfaces::open().map_err(fail)?;
        let us = this_process();
        for orphan in interfaces.reap_orphans(|owner| (us.is_alive)(owner)).map_err(fail)? {
            println!("{} was left by a run or a switch that was killed: gone.", orphan.name);
        }
        check_addresses(&interfaces)?;
        let mut bridge = create_free()?;
        bridge.set_description(&Tag::new(us.owner, "xtask run").to_string()).map_err(fail)?;
        for (address, bits) in HOST.addresses() {
            let arguments = ifconfig::add(bridge.name(), address, bits);
            output_of(Command::new(IFCONFIG).args(arguments))?;
        }
        interfaces.set_up(bridge.name(), true).map_err(fail)?;
        println!(
            "On this Mac's own kernel, as root: on a bridge of this run's own, {} ({}, {}), which \
             goes at the end. No interface that was there before is touched.\n",
            bridge.name(),
            HOST.ipv4(),
            HOST.ipv6()
        );
        Ok(Some(Self { bridge }))
    }

    /// The bridge's name.
    pub(crate) fn bridge(&self) -> &str {
        self.bridge.name()
    }

    /// The kernel's number for the bridge.
    pub(crate) fn bridge_index(&self) -> Result<u32> {
        Ok(self.bridge.index())
    }

    /// Every feth and bridge, by name and kind: what a switch makes. Other kinds come and go by
    /// themselves on a Mac.
    pub(crate) fn interfaces(&self) -> Result<Vec<String>> {
        let fail = |error: ifctl::Error| Failure::new("list interfaces", error);
        let list = Interfaces::open().and_then(|interfaces| interfaces.list()).map_err(fail)?;
        let ours = list.iter().filter(|of| matches!(of.kind, Kind::Feth | Kind::Bridge));
        let mut lines: Vec<String> = ours.map(line).collect();
        lines.sort_unstable();
        Ok(lines)
    }

    /// Waits until the bridge's addresses may be used.
    pub(crate) fn wait_for_addresses(&self) -> Result<()> {
        let end = Instant::now() + ADDRESS_MAX;
        for (address, _) in HOST.addresses() {
            loop {
                let said = output_of(Command::new(IFCONFIG).arg(self.bridge()))?;
                let what = format!("wait for the bridge's address {address}");
                match ifconfig::usable(&String::from_utf8_lossy(&said), address) {
                    Usable::Yes => break,
                    Usable::Never(why) => return Err(Failure::new(what, why)),
                    Usable::NotYet if Instant::now() >= end => {
                        return Err(Failure::new(what, "still tentative"));
                    }
                    Usable::NotYet => thread::sleep(Duration::from_millis(50)),
                }
            }
        }
        Ok(())
    }

    /// Destroys the bridge, and sees that it is gone.
    pub(crate) fn take_away(self) -> Result<()> {
        let name = self.bridge().to_owned();
        let what = format!("take away {name}");
        self.bridge.destroy().map_err(|error| Failure::new(&what, error))?;
        match Interfaces::open().and_then(|interfaces| interfaces.find(&name)) {
            Err(ifctl::Error::NotFound { .. }) => {
                println!("{name} is gone again.");
                Ok(())
            }
            Ok(_) => Err(Failure::new(what, "it is still there")),
            Err(error) => Err(Failure::new(what, error)),
        }
    }
}

/// That nobody on this Mac has the addresses, another run for example.
fn check_addresses(interfaces: &Interfaces) -> Result<()> {
    let fail = |error: ifctl::Error| Failure::new("list interfaces", error);
    let wanted = HOST.addresses().map(|(address, _)| address);
    for interface in interfaces.list().map_err(fail)? {
        let taken = interface.addresses.iter().find(|of| wanted.contains(&of.address));
        if let Some(taken) = taken {
            let why = format!("{} has it: is another run under way?", interface.name);
            return Err(Failure::new(format!("use {taken}, an address for examples"), why));
        }
    }
    Ok(())
}

/// A bridge of the first number that nobody has.
fn create_free() -> Result<OwnedInterface> {
    for number in NUMBERS {
        match OwnedInterface::bridge(&format!("bridge{number}")) {
            Err(ifctl::Error::Exists { .. }) => {}
            made => return made.map_err(|error| Failure::new("make a bridge", error)),
        }
    }
    let (first, last) = (NUMBERS.start, NUMBERS.end - 1);
    Err(Failure::new("make a bridge", format!("bridge{first} to bridge{last} are all taken")))
}
