//! Linux AF_PACKET sockets: batched receive and send of raw Ethernet frames, with VLAN tags
//! restored and offloads told.
//!
//! [`PacketSocket`] is bound to one interface and speaks whole Ethernet frames:
//!
//! - [`receive`](PacketSocket::receive) takes many frames into the caller's buffers: by one
//!   `recvmmsg` call, or from a ring that the kernel shares, by none. A VLAN tag that the kernel
//!   took out is put back, a frame that did not fit is said to be truncated and never passed as
//!   whole, and what the kernel left unfinished (checksum, segmentation) is told beside the bytes.
//! - [`send`](PacketSocket::send) gives many frames by one `sendmmsg` call, and says how many were
//!   taken and why the next one was not.
//! - The filter is a classic BPF program as plain words ([`FilterWord`]), attached before the
//!   socket sees its first frame.
//!
//! Frames that this host sends out through the same interface, by this socket or by its own
//! stack, are never received (`PACKET_IGNORE_OUTGOING`).
//!
//! # Messages and rings
//! A ring to receive by ([`Options::receive_ring_slots`], `TPACKET_V2`) has each frame copied by
//! whoever brings it, not by who asks for it: measured behind a bridge's veth, a reader that is the
//! bottleneck takes more frames for a quarter to a third less of its processor, and loses less of a
//! flood (3 and 11 % instead of 19 and 38, at 64 and 1514 bytes). It keeps virtio-net headers,
//! checksums and tags. `TPACKET_V3` hands its blocks over on a timer, which adds 1 ms to every
//! quiet exchange; a TX ring and `PACKET_QDISC_BYPASS` gain nothing over `sendmmsg`. Sending by
//! `AF_XDP`'s rings does (a fifth of the processor, on a veth), for frames that need nothing of the
//! kernel: see [`Options::xdp_send`].
//!
//! # Example
//! ```no_run
//! # #[cfg(target_os = "linux")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use afpacket::{Options, Outgoing, PacketSocket, ReceiveError, Slot};
//!
//! let options = Options { promiscuous: true, ..Options::default() };
//! let mut socket = PacketSocket::open("eth0", &[], &options)?;
//! let mut buffers = vec![[0; 2048]; 32];
//! let mut slots: Vec<Slot<'_>> = buffers.iter_mut().map(|buffer| Slot::new(buffer)).collect();
//! match socket.receive(&mut slots) {
//!     Ok(count) => {
//!         for slot in slots[..count].iter().filter(|slot| !slot.is_truncated()) {
//!             println!("{} bytes: {:02x?}", slot.frame_len(), slot.head());
//!         }
//!     }
//!     Err(ReceiveError::WouldBlock) => {} // poll its descriptor, then try again
//!     Err(error) => return Err(error.into()),
//! }
//! let frame = [0xff; 60];
//! let (taken, why_not) = socket.send(&[Outgoing::new(&frame)]);
//! assert!(taken == 1 || why_not.is_some());
//! # Ok(())
//! # }
//! # #[cfg(not(target_os = "linux"))]
//! # fn main() {}
//! ```
//!
//! Off Linux only the pure part ([`vnet`]) is there.

pub mod vnet;

#[cfg(target_os = "linux")]
mod auxdata;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod mapping;
#[cfg(target_os = "linux")]
mod outgoing;
#[cfg(target_os = "linux")]
mod rx_ring;
#[cfg(target_os = "linux")]
mod slot;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod sys;
#[cfg(target_os = "linux")]
mod xdp;

#[cfg(target_os = "linux")]
pub use error::{Error, NotByRing, NotByXdp, ReceiveError, SendError};
#[cfg(target_os = "linux")]
pub use outgoing::Outgoing;
#[cfg(target_os = "linux")]
pub use slot::{Checksum, HEADROOM, SLOT_BUFFER_MIN, Slot};
#[cfg(target_os = "linux")]
pub use socket::{BATCH_MAX, Buffers, FilterWord, Options, PacketSocket, State, Statistics};
pub use vnet::{Gso, VnetHdr};
