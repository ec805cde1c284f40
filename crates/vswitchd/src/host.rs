//! The system that this program runs on, chosen here and nowhere else.

#[cfg_attr(target_os = "linux", path = "host/linux.rs")]
#[cfg_attr(target_os = "macos", path = "host/macos.rs")]
mod system;

pub use ifctl::Tag;
pub(crate) use system::take_on_groups;
pub use system::{HostPlatform, card_pair, examine, leftovers, reap};
