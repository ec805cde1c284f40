//! XNU's ports, over any [`Kernel`](xnu_sys::Kernel): the real one of a Mac, or a simulated one.

pub(in crate::port) mod backoff;
#[cfg(target_os = "macos")]
mod bound_path;
mod datagram;
mod datagrams;
mod link;
#[cfg(test)]
mod tests;
mod unixgram;
mod uplink;

#[cfg(target_os = "macos")]
pub use bound_path::BindError;
pub use datagram::DatagramPort;
pub use datagrams::{BUFFERS, Buffers, set_buffers};
pub use link::{FILTER_ADDRESSES_MAX, Link, LinkError, LinkOptions};
pub use unixgram::{Place, UnixgramPort, Unreached};
pub use uplink::{LinkKeeper, Tended, UplinkPort};

use super::upkeep::next_look;
