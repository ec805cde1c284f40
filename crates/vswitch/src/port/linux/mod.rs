//! Linux's ports. Each file is one kind; `mmsg` and `sys` are the system calls under them, the only
//! files here with unsafe code.

mod datagram;
mod inherited;
mod listener;
mod mmsg;
mod packet;
mod peer_connect;
mod peer_record;
mod socket_buffers;
mod socket_path;
mod stream;
mod stream_connect;
mod sys;
mod tap;
mod unixgram;

pub use datagram::DatagramPort;
pub use inherited::{InheritedError, inherit};
pub use listener::StreamListener;
pub use packet::{FILTER_ADDRESSES_MAX, PacketPort, PacketPortError};
pub use socket_buffers::{BufferShortage, Granted, granted_to_unix_sockets};
pub use socket_path::{Access, PATH_MAX_BYTES, PathError};
pub use stream::StreamPort;
pub use stream_connect::StreamConnectPort;
pub use tap::{TapError, TapPort};
pub use unixgram::UnixgramPort;

/// How often a port looks whether its peer is still, or again, there.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(250);

/// The next time to look: all ports at the same moments, so that an idle switch wakes once for all.
fn next_look(now: crate::time::Nanos) -> crate::time::Nanos {
    let every = u64::try_from(LOOK_EVERY.as_nanos()).unwrap_or(u64::MAX);
    crate::time::Nanos((now.0 / every + 1).saturating_mul(every))
}
