//! The macOS half: XNU's interfaces by ioctls on one socket, and its events by another.
//!
//! All of it is generic over [`Kernel`], so that it runs on any host against a simulated XNU;
//! [`Host`], the default, is the real one. Methods have the names of the Linux half where they mean
//! the same.
//!
//! - [`Interfaces`]: list, create, change, destroy; feth pairs; bridges with their members and
//!   address tables.
//! - [`OwnedInterface`]: what goes when its owner does.
//! - [`Tag`]: how a feth says whose it is, and how those of a dead owner are found.
//! - [`Events`]: the kernel tells when an interface comes, goes or changes.
//!
//! The facts are XNU's own sources': `bsd/net/if.c`, `if_bridge.c`, `if_fake.c`, `dlil.c` and
//! `bsd/kern/kern_event.c`. What is privileged needs root; reading needs nothing.

mod bridge;
mod cloners;
mod control;
mod description;
mod driver;
mod events;
mod failure;
mod feth;
mod flags;
mod host_filter;
mod kind;
mod list;
mod media;
mod member;
mod mtu;
mod orphans;
mod owned;
mod settings;
mod table;
mod units;

use xnu_sys::{Host, InterfaceName, Kernel};

use self::control::Control;
pub use self::events::{Change, Events, InterfaceEvent};
pub use self::feth::{FethOptions, FethPair};
pub use self::host_filter::HostFilter;
pub use self::media::Media;
pub use self::member::{MemberDetails, MemberFlags};
pub use self::owned::OwnedInterface;
pub use self::settings::{Finding, Severity};
pub use self::table::{AddressKind, AddressTable, TableEntry};
pub use self::units::FethUnits;
pub use crate::tag::{Owner, Reaped, TAG_LABEL_MAX, Tag};
use crate::{Call, Error};

/// A handle to the interfaces of an XNU: of this Mac, or of a simulated one.
///
/// It is one `AF_LOCAL` socket, and may be used from several threads. Reading needs no privilege;
/// changing needs root, and else fails with [`Error::Xnu`] whose errno is `EPERM`. Every method may
/// fail with [`Error::InvalidName`] and [`Error::NotFound`] for the names it is given, and with
/// [`Error::Xnu`] for the kernel's other reasons, so that below only further errors are named.
///
/// ```no_run
/// use ifctl::xnu::{FethOptions, Interfaces};
///
/// # fn main() -> Result<(), ifctl::Error> {
/// let interfaces = Interfaces::open()?;
/// let mtu = interfaces.find("bridge100")?.mtu;
/// let options = FethOptions { mtu: Some(mtu), up: true, ..FethOptions::default() };
/// let pair = interfaces.create_feth_pair(&options)?;
/// interfaces.ensure_member("bridge100", &pair.bridge_end)?;
/// // … frames by BPF and NDRV on pair.switch_end …
/// interfaces.destroy(&pair.switch_end)?; // both ends
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Interfaces<K: Kernel = Host> {
    control: Control<K>,
}

impl Interfaces<Host> {
    /// Opens a handle to this Mac's interfaces.
    ///
    /// # Errors
    /// The process or the system has no descriptor left; this is no Mac.
    pub fn open() -> Result<Self, Error> {
        Self::open_on(Host)
    }
}

impl<K: Kernel> Interfaces<K> {
    /// Opens a handle to the interfaces of `kernel`.
    ///
    /// # Errors
    /// The process or the system has no descriptor left.
    pub fn open_on(kernel: K) -> Result<Self, Error> {
        let failed = |source| Error::Xnu { call: Call::Open, source };
        Ok(Self { control: Control::open(kernel).map_err(failed)? })
    }

    /// The kernel that it is a handle to.
    #[must_use]
    pub fn kernel(&self) -> &K {
        self.control.kernel()
    }
}

/// `name`, if an interface of XNU can have it.
fn interface_name(call: &Call, name: &str) -> Result<InterfaceName, Error> {
    let invalid = |fault| Error::InvalidName { call: call.clone(), name: name.to_owned(), fault };
    crate::check_name(name).map_err(invalid)?;
    name.parse().map_err(|_| {
        // What is left to be wrong: XNU's names are ASCII (`InterfaceName`).
        let character = name.chars().find(|c| !c.is_ascii_graphic()).unwrap_or_default();
        invalid(crate::NameFault::Character { character })
    })
}

/// `name`, if an interface made by the cloner `prefix` can have it: the prefix and a number.
fn cloned_name(call: &Call, name: &str, prefix: &'static str) -> Result<InterfaceName, Error> {
    let parsed = interface_name(call, name)?;
    let Some(_) = units::unit_of(name, prefix) else {
        let fault = crate::NameFault::NotOfKind { prefix };
        return Err(Error::InvalidName { call: call.clone(), name: name.to_owned(), fault });
    };
    Ok(parsed)
}
