//! Linux's ports. Each file is one kind; `mmsg` and `sys` are the system calls under them, the only
//! files here with unsafe code.

mod datagram;
mod kernel;
mod mmsg;
mod packet;
pub(in crate::port) mod peer_connect;
mod room;
mod sys;
mod tap;
mod unixgram;
mod uplink;

pub use datagram::DatagramPort;
pub use kernel::kernel_offloads;
pub use packet::{FILTER_ADDRESSES_MAX, PacketLink, PacketPort, PacketPortError};
pub(in crate::port) use room::Room;
pub use tap::{TapError, TapPort};
pub use unixgram::UnixgramPort;
pub use uplink::{LinkSlot, UplinkPort};
