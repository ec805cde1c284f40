//! A simulated Mac for the tests of the macOS half.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

use ifctl::xnu::{FethOptions, Interfaces, Owner, Tag};
use xnu_sim::{Fault, FaultAction, MacOs, SimKernel};
use xnu_sys::{Descriptor, Errno, InterfaceName};

pub(crate) const CARD_MAC: [u8; 6] = [0x3c, 0x22, 0xfb, 0, 0, 1];

/// A switch that lives, and one that has died.
pub(crate) const ALIVE: Owner = Owner { pid: 501, started: 1_700_000_000_000_000 };
pub(crate) const DEAD: Owner = Owner { pid: 501, started: 1_600_000_000_000_000 };

/// A Mac with `lo0` and a handle to its interfaces.
pub(crate) fn mac() -> (SimKernel, Interfaces<SimKernel>) {
    mac_of(MacOs::V15)
}

pub(crate) fn mac_of(version: MacOs) -> (SimKernel, Interfaces<SimKernel>) {
    let kernel = SimKernel::boot(version, 7);
    let interfaces = Interfaces::open_on(kernel.clone()).unwrap();
    (kernel, interfaces)
}

/// A Mac with `bridge7`, which is up and has the card `en5`.
pub(crate) fn mac_with_bridge() -> (SimKernel, Interfaces<SimKernel>) {
    let (kernel, interfaces) = mac();
    drop(kernel.add_ethernet("en5", CARD_MAC, xnu_sim::EthernetOptions::default()));
    interfaces.create_bridge("bridge7").unwrap();
    interfaces.add_member("bridge7", "en5").unwrap();
    interfaces.set_up("bridge7", true).unwrap();
    (kernel, interfaces)
}

pub(crate) fn tagged(owner: Owner) -> FethOptions {
    FethOptions { tag: Some(Tag::new(owner, "lan")), ..FethOptions::default() }
}

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A descriptor for requests that `ifctl` does not make.
pub(crate) fn control(kernel: &SimKernel) -> Descriptor<SimKernel, xnu_sys::Control> {
    Descriptor::control(kernel.clone()).unwrap()
}

/// From now on, the next call of this name about this object fails.
pub(crate) fn fail_next(kernel: &SimKernel, call: &'static str, object: &str, errno: Errno) {
    let object = Some(object.to_owned());
    let action = FaultAction::Fail(errno);
    kernel.add_fault(Fault { call, object, after: 0, times: 1, action });
}

/// Time enough for whatever is being destroyed to be gone.
pub(crate) fn let_go(kernel: &SimKernel) {
    kernel.run_for(std::time::Duration::from_millis(50));
}
