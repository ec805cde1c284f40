//! The host's side of the network: a bridge with addresses that is this run's alone.
//!
//! A system supplies a `Host` with
//! - `prepare() -> Result<Option<Host>>`: makes the bridge; none, once it has said why, where this
//!   process may not. Called before the process has a second thread.
//! - `bridge(&self) -> &str` and `bridge_index(&self) -> Result<u32>`: its name and number.
//! - `wait_for_addresses(&self) -> Result<()>`: until they can be used.
//! - `interfaces(&self) -> Result<Vec<String>>`: those that there are, to see that none is left.
//! - `take_away(self) -> Result<()>`: undoes it all, as dropping it does without a word.

#[cfg(any(target_os = "macos", test))]
mod ifconfig;
#[cfg_attr(target_os = "linux", path = "host/linux.rs")]
#[cfg_attr(target_os = "macos", path = "host/macos.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "macos")), path = "host/elsewhere.rs")]
mod sys;

pub(super) use sys::Host;

/// An interface's line in a list of them.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn line(interface: &ifctl::Interface) -> String {
    format!("{} ({})", interface.name, interface.kind)
}
