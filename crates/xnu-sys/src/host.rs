//! The kernel that this program runs on.

#[cfg_attr(not(target_os = "macos"), path = "host/elsewhere.rs")]
#[cfg_attr(target_os = "macos", path = "host/macos.rs")]
mod sys;

pub use sys::Host;
