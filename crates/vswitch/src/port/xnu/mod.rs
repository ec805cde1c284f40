//! XNU's ports, over any [`Kernel`](xnu_sys::Kernel): the real one of a Mac, or a simulated one.

mod backoff;
#[cfg(target_os = "macos")]
mod bound_path;
mod datagram;
mod datagrams;
mod link;
mod unixgram;
mod uplink;

#[cfg(target_os = "macos")]
pub use bound_path::BindError;
pub use datagram::DatagramPort;
pub use datagrams::{BUFFERS, Buffers, set_buffers};
pub use link::{FILTER_ADDRESSES_MAX, Link, LinkError, LinkOptions};
pub use unixgram::{Place, UnixgramPort, Unreached};
pub use uplink::{LinkKeeper, Tended, UplinkPort};

/// How often a port looks whether what it is on is still, or again, there: XNU tells of neither a
/// dead peer nor an interface that went.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// The next time to look: all ports at the same moments, so that an idle switch wakes once for all.
fn next_look(now: crate::time::Nanos) -> crate::time::Nanos {
    let every = u64::try_from(LOOK_EVERY.as_nanos()).unwrap_or(u64::MAX);
    crate::time::Nanos((now.0 / every + 1).saturating_mul(every))
}
