//! `vde:DIR`: a switch as VDE's programs know one, by whose library QEMU's `-netdev vde` plugs in,
//! and user-mode Linux, VirtualBox, `vde_plug`.
//!
//! The protocol is that of vde2 (src/vde_switch/datasock.c, and libvdeplug, which is the other
//! side). In the directory `DIR` the switch listens on a stream, `ctl`. A client binds a datagram
//! socket of its own, in `DIR` as a rule, connects to `ctl` and [says where that is](request). The
//! switch connects a datagram socket to it, binds that in `DIR` too, and answers where: the client
//! connects it, and takes its own path away. From then on one datagram is one frame. The
//! connection to `ctl` stays open; when it is closed, the port ends.
//!
//! What a client says is not believed:
//!
//! - A switch that runs as root may send to any socket of the machine. It sends to one that belongs
//!   to the client's own user, as the kernel tells that of the connection, and that lies where
//!   libvdeplug puts it: no other path is even looked at, since a look may wait for whoever serves
//!   a file system.
//! - A client that does not ask within five seconds, asks for what is not there, or says more than
//!   a request has, is gone.
//! - `DIR` has the sticky bit: clients may make sockets in it, and take away none but their own.

mod directory;
mod listener;
mod port;
pub mod request;

pub use listener::VdeListener;
pub use port::VdePort;
