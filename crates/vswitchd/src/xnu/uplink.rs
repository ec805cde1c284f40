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
use crate::platform::OpenUplink;
use crate::repairs::Repairs;
use crate::report::{InterfaceReport, Standing, UplinkState};

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
    (uplink, wait): (String, bool),
    addresses: Option<Vec<MacAddr>>,
    repairs: Repairs,
) -> Result<OpenUplink<Uplink<K>>, XnuError> {
    let options = LinkOptions { addresses, is_own_feth: false };
    let kernel = interfaces.kernel().clone();
    let interface = match interfaces.find(name) {
        Err(ifctl::Error::NotFound { .. }) if wait => {
            tracing::warn!(interface = name, "the uplink is missing: it is waited for");
            let standing = Standing::new(UplinkState::Waiting, Vec::new());
            let keeper =
                InterfaceKeeper::new(kernel, (name, uplink), options, repairs, standing.clone());
            let port = Box::new(UplinkPort::waiting(Box::new(keeper)));
            return Ok(OpenUplink { port, made: Uplink { stand: None }, standing });
        }
        found => found?,
    };
    if interface.mac.is_none() {
        return Err(XnuError::NotEthernet { name: name.to_owned(), kind: interface.kind });
    }
    if !interface.is_up() {
        tracing::warn!(interface = name, "the uplink is down: set it up (`vswitch if up {name}`)");
    }
    let link = Link::open(kernel.clone(), name, &options)?;
    let report = InterfaceReport::used(name, interface.mtu);
    let standing = Standing::new(UplinkState::Up, vec![report]);
    let keeper = InterfaceKeeper::new(kernel, (name, uplink), options, repairs, standing.clone());
    Ok(OpenUplink {
        port: Box::new(UplinkPort::new(link, Box::new(keeper))),
        made: Uplink { stand: None },
        standing,
    })
}

/// A pair, one end a member of the bridge, the other the switch's.
pub(super) fn on_bridge<K: Kernel>(
    interfaces: Interfaces<K>,
    plan: Plan,
    wait: bool,
    repairs: Repairs,
) -> Result<OpenUplink<Uplink<K>>, XnuError> {
    // What waits for the rest has a handle of its own.
    let for_waiting = Interfaces::open_on(interfaces.kernel().clone())?;
    let built = Stand::build(interfaces, plan.clone(), repairs.clone());
    let (stand, link) = match built {
        Err(XnuError::Interface { source: error @ ifctl::Error::NotFound { .. } }) if wait => {
            tracing::warn!("the uplink is missing, and is waited for: {error}");
            (Stand::waiting(for_waiting, plan, repairs), None)
        }
        built => built.map(|(stand, link)| (stand, Some(link)))?,
    };
    let standing = stand.standing();
    let stand = Arc::new(Mutex::new(Some(stand)));
    let keeper = Box::new(BridgeKeeper(Arc::clone(&stand)));
    let port = match link {
        Some(link) => UplinkPort::new(link, keeper),
        None => UplinkPort::waiting(keeper),
    };
    Ok(OpenUplink { port: Box::new(port), made: Uplink { stand: Some(stand) }, standing })
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
