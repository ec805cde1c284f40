//! What is POSIX in the ports, the same on Linux and macOS: streams, paths at which sockets are
//! bound, descriptors that were passed on.
//!
//! What the systems do differently is in one file for each, `platform`, behind one face: how a
//! stream is made and told never to block or to raise `SIGPIPE`, how large a socket's buffers may
//! be, how long a path may be, how a path is bound so that nobody gets in before its owner and mode
//! are set, and how a client's own socket is reached.

#[cfg(any(target_os = "macos", test))]
mod bind_privately;
#[cfg(any(target_os = "macos", test))]
mod connect_privately;
#[cfg(any(target_os = "macos", test))]
mod datagram_place;
mod descriptor;
mod inherited;
mod listener;
pub(in crate::port) mod peer_record;
#[cfg_attr(target_os = "linux", path = "platform/linux.rs")]
#[cfg_attr(target_os = "macos", path = "platform/macos.rs")]
mod platform;
#[cfg(any(target_os = "macos", test))]
mod private_directory;
pub(in crate::port) mod socket_buffers;
pub(in crate::port) mod socket_path;
mod stream;
mod stream_connect;
pub(in crate::port) mod trap;
pub mod vde;

#[cfg(any(target_os = "macos", test))]
pub use datagram_place::DatagramPlace;
pub use inherited::{Inherited, InheritedError, given, inherit};
pub use listener::{StreamListener, listen_at};
pub use platform::PATH_MAX_BYTES;
pub use socket_buffers::{BufferShortage, Granted, SOCKET_BUFFER_BYTES, granted_to_unix_sockets};
pub use socket_path::{Access, PathError, SocketPath};
pub use stream::StreamPort;
pub use stream_connect::StreamConnectPort;
pub use vde::VdeListener;
