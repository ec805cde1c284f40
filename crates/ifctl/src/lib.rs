//! Network interfaces of this machine: list them, make and destroy pairs and bridges, change them,
//! join them.
//!
//! [`Interfaces`] is a handle to the kernel; on Linux it is one rtnetlink socket. It works in the
//! network namespace of the thread that opened it, wherever it is used afterwards. What is asked
//! for is done when a method returns; a method that fails says which call it was, on which object,
//! why, and what can be done about it ([`Error::to_do`]).
//!
//! On macOS, `Interfaces` is [`xnu::Interfaces`], by ioctls; it has the same methods where the
//! meaning is the same, and its own for feth and for what XNU's bridges know. That half is compiled
//! on every host, since it also runs on a simulated XNU.
//!
//! Interfaces that a program makes for itself are best held by [`OwnedInterface`], which takes
//! them away again when it is dropped.
//!
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), ifctl::Error> {
//! use ifctl::{Interfaces, OwnedInterface, PairOptions};
//!
//! let mut interfaces = Interfaces::open()?;
//! let mtu = interfaces.find("br0")?.mtu;
//! // Made with the bridge's MTU: a bridge's own MTU follows its smallest member.
//! let options = PairOptions { mtu: Some(mtu), ..PairOptions::default() };
//! let pair = OwnedInterface::pair("vsw0", "vsw0p", options)?;
//! interfaces.mute("vsw0p")?;
//! interfaces.disable_offloads("vsw0")?;
//! interfaces.add_member("br0", "vsw0")?;
//! interfaces.set_up("vsw0", true)?;
//! interfaces.set_up("vsw0p", true)?;
//! // … frames …
//! pair.destroy()?; // both ends; dropping it does the same, but can only log a failure
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! A platform is one folder: `linux` behind the face in `interfaces.rs`, `xnu` with a face that is
//! generic over the kernel. On other systems only the types and `xnu` remain.

#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
mod interfaces;
#[cfg(target_os = "linux")]
mod linux;

mod bridge_settings;
mod call;
mod error;
mod interface;
mod member;
mod name;
mod tag;
pub mod xnu;

pub use bridge_settings::BridgeSettings;
pub use call::Call;
pub use error::Error;
#[cfg(target_os = "linux")]
pub use guard::OwnedInterface;
pub use interface::{Address, Flags, Interface, Kind, OperState};
#[cfg(target_os = "linux")]
pub use interfaces::Interfaces;
#[cfg(target_os = "linux")]
pub use linux::{Change, Events, InterfaceEvent};
pub use member::{Member, Membership, PortState};
pub use name::{NAME_LEN_MAX, NameFault, check_name};
pub use tag::{NotATag, Owner, Reaped, TAG_LABEL_MAX, Tag};
#[cfg(target_os = "macos")]
pub use xnu::{Interfaces, OwnedInterface};

/// How a pair is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PairOptions {
    /// Largest packet in bytes, without the Ethernet header, of both ends; `None` leaves the
    /// kernel's default of 1500. It holds from the moment the pair exists.
    pub mtu: Option<u32>,
    /// The link-layer addresses of the two ends; `None` chooses random ones that no bridge takes
    /// for its own while it has a card's to take.
    pub macs: Option<[[u8; 6]; 2]>,
}

/// The example in the README compiles.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../README.md")]
struct Readme;
