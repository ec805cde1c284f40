//! How a network reaches the host's: a pair into a bridge, or an interface as it is.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ifctl::xnu::Interfaces;
use vswitch::port::xnu::{Link, LinkKeeper, LinkOptions, Tended, UplinkPort};
use vswitch::{MacAddr, Nanos};
use xnu_sys::{Host, Kernel};

use super::XnuError;
use super::interface_keeper::InterfaceKeeper;
use super::stand::{Plan, Stand};
use super::tally::Tally;
use crate::platform::OpenUplink;
use crate::report::{InterfaceReport, InterfaceRole};

/// What was made for an uplink, taken away when this is dropped. The port keeps it in repair, so
/// both have it; it ends with this.
pub struct Uplink<K: Kernel = Host> {
    stand: Option<Shared<K>>,
}

type Shared<K> = Arc<Mutex<Option<Stand<K>>>>;

/// An interface used as it is. Nothing of it is changed; while the device is open it is
/// promiscuous.
pub(super) fn on_interface<K: Kernel>(
    interfaces: Interfaces<K>,
    name: &str,
    addresses: Option<Vec<MacAddr>>,
    tally: Tally,
) -> Result<OpenUplink<Uplink<K>>, XnuError> {
    let interface = interfaces.find(name)?;
    if interface.mac.is_none() {
        return Err(XnuError::NotEthernet { name: name.to_owned(), kind: interface.kind });
    }
    if !interface.is_up() {
        tracing::warn!(interface = name, "the uplink is down: set it up (`vswitch if up {name}`)");
    }
    let options = LinkOptions { addresses, is_own_feth: false };
    let link = Link::open(interfaces.kernel().clone(), name, &options)?;
    let keeper = InterfaceKeeper::new(interfaces.kernel().clone(), name, options, tally);
    let report = InterfaceReport {
        name: name.to_owned(),
        role: InterfaceRole::SwitchEnd,
        mtu: interface.mtu,
        created: false,
    };
    Ok(OpenUplink {
        port: Box::new(UplinkPort::new(link, Box::new(keeper))),
        made: Uplink { stand: None },
        interfaces: vec![report],
    })
}

/// A pair, one end a member of the bridge, the other the switch's.
pub(super) fn on_bridge<K: Kernel>(
    interfaces: Interfaces<K>,
    plan: Plan,
    tally: Tally,
) -> Result<OpenUplink<Uplink<K>>, XnuError> {
    let (stand, link) = Stand::build(interfaces, plan, tally)?;
    let interfaces = stand.report()?;
    let stand = Arc::new(Mutex::new(Some(stand)));
    let keeper = BridgeKeeper(Arc::clone(&stand));
    Ok(OpenUplink {
        port: Box::new(UplinkPort::new(link, Box::new(keeper))),
        made: Uplink { stand: Some(stand) },
        interfaces,
    })
}

/// The port's hold of the stand.
struct BridgeKeeper<K: Kernel>(Shared<K>);

impl<K: Kernel> LinkKeeper<K> for BridgeKeeper<K> {
    fn tend(&mut self, has_link: bool, now: Nanos) -> Tended<K> {
        match lock(&self.0).as_mut() {
            Some(stand) => stand.tend(has_link, now),
            None => Tended::Kept,
        }
    }

    fn set_addresses(&mut self, addresses: Option<&[MacAddr]>) {
        if let Some(stand) = lock(&self.0).as_mut() {
            stand.set_addresses(addresses);
        }
    }
}

impl<K: Kernel> Drop for Uplink<K> {
    fn drop(&mut self) {
        if let Some(stand) = &self.stand {
            // Whoever else still has it finds nothing to keep any more.
            drop(lock(stand).take());
        }
    }
}

/// A panic elsewhere leaves a stand that can still be taken down.
fn lock<K: Kernel>(stand: &Shared<K>) -> MutexGuard<'_, Option<Stand<K>>> {
    stand.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Kernel> fmt::Debug for Uplink<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uplink").finish_non_exhaustive()
    }
}

impl<K: Kernel> fmt::Debug for BridgeKeeper<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BridgeKeeper").finish_non_exhaustive()
    }
}
