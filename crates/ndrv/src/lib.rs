//! `PF_NDRV` raw sockets of XNU: whole Ethernet frames out by an interface.
//!
//! [`Socket`] is bound to one interface and sends frames as they are, source address included, many
//! by one call where the kernel has `sendmsg_x`.
//!
//! ```no_run
//! let mut socket = ndrv::Socket::open("feth20001")?;
//! let frame = [0xff; 60];
//! let (taken, then) = socket.send_batch(&[&frame, &frame]);
//! assert!(taken == 2 || then.is_some());
//! # Ok::<(), ndrv::Error>(())
//! ```
//!
//! What XNU does and does not do (`bsd/net/ndrv.c`, `bsd/kern/uipc_socket.c`, `bsd/net/dlil.c`):
//!
//! - It needs root when the socket is made, and never again.
//! - It looks at no frame: neither for an Ethernet header nor for what the MTU allows.
//!   A frame without a header is a danger to the kernel, so [`Socket`] refuses what is shorter than
//!   [`FRAME_MIN_BYTES`] or longer than MTU + [`FRAME_LEEWAY_BYTES`].
//! - It never waits and is never full: its descriptor is always writable. An interface whose queue
//!   is full drops the oldest frame of it and tells nobody
//!   (`bsd/net/classq/classq_fq_codel.c`); only now and then is the new one refused
//!   ([`Error::Lost`]).
//! - An interface that goes away is told to nobody; the next frame is [`Error::InterfaceGone`]. A
//!   new interface of the same name is then served by the same socket, without the protocol being
//!   attached to it: open another socket.
//! - A `bind` that fails spoils the socket, since the address is kept. [`Socket::open`] makes a new
//!   one each time.
//! - It receives nothing unless protocols are registered with `NDRV_SETDMXSPEC`, and then not those
//!   of the host's own stack. This crate does not: to receive, use BPF.
#![forbid(unsafe_code)]

mod error;
mod socket;

pub use error::Error;
pub use socket::{FRAME_LEEWAY_BYTES, FRAME_MIN_BYTES, Options, Socket};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
