//! From facts to findings. Pure functions: the same facts are the same findings.

mod bridge;
mod buffers;
mod leftovers;
mod privileges;
mod sockets;
#[cfg(test)]
mod tests;
mod uplinks;

pub use buffers::{buffer, descriptors, queue_length};
pub use leftovers::leftovers;
pub use privileges::privileges;
pub use sockets::{dead_sockets, socket_path};
pub use uplinks::{taps, uplinks, uplinks_of, uplinks_of_running};
