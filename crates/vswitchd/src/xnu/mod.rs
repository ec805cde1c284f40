//! The service on XNU: feth and bridge, BPF and NDRV, kqueue; over any [`Kernel`], a Mac's own or a
//! simulated one.
//!
//! Networks reach the host by a pair of feths, one of them a member of the host's bridge
//! (`uplink`), and whatever is lost while the switch runs is mended: the membership, the
//! pair, a bridge that was made here (`stand`).

mod error;
#[cfg(target_os = "macos")]
mod host;
mod interface_keeper;
mod stand;
mod uplink;

use std::sync::Arc;

use ifctl::Kind;
use ifctl::xnu::{Interfaces, Owner, Severity};
use vswitch::MacAddr;
use vswitch::poller::Kqueue;
use xnu_sys::{Host, Kernel};

pub use crate::repairs::{Mended, Tally};
pub use error::XnuError;
#[cfg(target_os = "macos")]
pub use host::{HostAttach, HostXnu, this_process};
pub use uplink::Uplink;

use crate::access::Access;
use crate::config::{Attachment, UplinkSpec};
use crate::events::Events;
use crate::platform::{Attached, OpenUplink, Platform, TrunkEnds};
use crate::repairs::Repairs;

/// How ports are attached on a kernel: sockets with paths and inherited descriptors are a process's
/// own matter, which a simulated kernel has in its own way.
pub trait Attach<K: Kernel> {
    /// Opens what a port is attached to.
    ///
    /// # Errors
    /// When it cannot be had; nothing is left behind then.
    fn attach(
        &mut self,
        kernel: &K,
        attachment: Attachment,
        access: Access,
    ) -> Result<Attached, XnuError>;
}

/// Who this process is among those that make interfaces, so that what a dead one left is told from
/// what a living one has.
#[derive(Clone)]
pub struct Identity {
    /// This process.
    pub owner: Owner,
    /// Whether another is alive; true where it cannot be known.
    pub is_alive: Arc<dyn Fn(Owner) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// XNU as a platform.
pub struct Xnu<K: Kernel = Host, A = ()> {
    kernel: K,
    attach: A,
    identity: Identity,
    repairs: Repairs,
    is_checked: bool,
}

impl<K: Kernel, A: Attach<K>> Xnu<K, A> {
    /// The platform of a kernel.
    #[must_use]
    pub fn new(kernel: K, attach: A, identity: Identity) -> Self {
        Self { kernel, attach, identity, repairs: Repairs::default(), is_checked: false }
    }

    /// What was mended so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.repairs.tally()
    }

    /// Looks once at the host's settings for feths, and takes away what dead switches left.
    fn check_host(&mut self, interfaces: &Interfaces<K>, mtu: u32) -> Result<(), XnuError> {
        if std::mem::replace(&mut self.is_checked, true) {
            return Ok(());
        }
        for finding in interfaces.check_feth_settings(mtu)? {
            match finding.severity {
                Severity::Error => return Err(XnuError::Setting { finding }),
                Severity::Warning => tracing::warn!("{finding}"),
                Severity::Note => tracing::debug!("{finding}"),
            }
        }
        let is_alive = Arc::clone(&self.identity.is_alive);
        for reaped in interfaces.reap_orphans(|owner| is_alive(owner))? {
            let (interface, tag) = (reaped.name, reaped.tag);
            tracing::info!(interface, %tag, "left by a dead switch: taken away");
        }
        Ok(())
    }
}

impl<K: Kernel, A: Attach<K>> Platform for Xnu<K, A> {
    type Poller = Kqueue<K>;
    type Uplink = Uplink<K>;
    type Error = XnuError;

    fn poller(&mut self) -> Result<Kqueue<K>, XnuError> {
        Kqueue::new(self.kernel.clone()).map_err(XnuError::Poller)
    }

    fn trunk(&mut self, _: usize) -> Result<TrunkEnds, XnuError> {
        Err(XnuError::Threads)
    }

    fn attach(&mut self, attachment: Attachment, access: Access) -> Result<Attached, XnuError> {
        match attachment {
            Attachment::Tap(name) => Err(XnuError::Tap { name }),
            attachment => self.attach.attach(&self.kernel, attachment, access),
        }
    }

    fn listen_with(&mut self, events: Events) {
        self.repairs.tell_to(events);
    }

    fn tally(&self) -> Tally {
        self.repairs.tally()
    }

    fn uplink(
        &mut self,
        uplink: &UplinkSpec,
        addresses: Option<&[MacAddr]>,
    ) -> Result<Option<OpenUplink<Uplink<K>>>, XnuError> {
        if *uplink == UplinkSpec::None {
            return Ok(None);
        }
        let interfaces = Interfaces::open_on(self.kernel.clone())?;
        let addresses = addresses.map(<[MacAddr]>::to_vec);
        let opened = match uplink {
            UplinkSpec::None => return Ok(None),
            UplinkSpec::Interface { name, messages: _, wait } => {
                let told = (uplink.to_string(), *wait);
                uplink::on_interface(interfaces, name, told, addresses, self.repairs.clone())?
            }
            UplinkSpec::Bridge { bridge, create, member, messages: _, wait } => {
                // A bridge that is made here has no MTU yet: it takes over the pair's. What is no
                // bridge is refused for that below, whatever MTU it has.
                let found = interfaces.find(bridge).ok().filter(|of| of.kind == Kind::Bridge);
                let mtu = found.map_or(1500, |found| found.mtu);
                self.check_host(&interfaces, mtu)?;
                let plan = stand::Plan {
                    bridge: bridge.clone(),
                    create: *create,
                    member: member.clone(),
                    uplink: uplink.to_string(),
                    owner: self.identity.owner,
                    addresses,
                };
                uplink::on_bridge(interfaces, plan, *wait, self.repairs.clone())?
            }
        };
        Ok(Some(opened))
    }
}

impl<K: Kernel, A> std::fmt::Debug for Xnu<K, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Xnu").field("kernel", &self.kernel).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use xnu_sim::{MacOs, SimKernel};

    use super::*;

    struct Nothing;

    impl Attach<SimKernel> for Nothing {
        fn attach(
            &mut self,
            _: &SimKernel,
            attachment: Attachment,
            _: Access,
        ) -> Result<Attached, XnuError> {
            panic!("{attachment} is asked for")
        }
    }

    #[test]
    fn what_is_linuxs_is_refused_with_what_to_do_instead() {
        let owner = Owner { pid: 1, started: 1 };
        let identity = Identity { owner, is_alive: Arc::new(|_| true) };
        let kernel = SimKernel::boot(MacOs::ALL[0], 1);
        let mut platform = Xnu::new(kernel, Nothing, identity);
        let access = Access::from_options(None, None, None).unwrap();
        let threads = platform.trunk(1 << 20).unwrap_err().to_string();
        assert!(threads.contains("leave out --threads"), "{threads}");
        let refused = platform.attach(Attachment::Tap("tap0".to_owned()), access).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains("tap0") && refused.contains("no TAP interfaces"), "{refused}");
        assert!(refused.contains("unixgram:"), "{refused}");
    }
}
