//! The XNU ABI as Rust types, and the one face through which XNU is called.
//!
//! - One module for each header of XNU ([`net_if`], [`bpf`], [`if_bridgevar`], …): `repr(C)` types
//!   of fixed width and numbers under their C names, which are kept here and only here. Each size,
//!   offset and number is said a second time in `pinned.txt` and compared while the crate is
//!   compiled, on every host; and all are in one list ([`abi`]) that `cargo xtask abi` prints and
//!   that a C compiler compares with the macOS headers.
//! - [`Kernel`]: the list of system calls that this project makes of XNU. [`Host`] is the real
//!   kernel, and the only code that calls it; off macOS each of its calls is `ENOSYS`. A simulated
//!   XNU is another.
//! - [`Descriptor`]: an open descriptor, of a kernel and of a kind, with the requests (ioctls) that
//!   this kind takes as safe methods; [`Messages`]: many datagrams by one call.
//! - [`address`]: socket addresses as bytes, and back.
//!
//! Pointers within structures are `u64`, as they are on the two 64-bit Macs. What safe code can
//! pass never has the kernel write behind one: a [`Request`] or [`DriverCommand`] is public only
//! when its argument holds none that the kernel follows, and for the others methods of
//! [`Descriptor`] make the argument.
//!
//! # Errors
//!
//! [`SyscallError`]: which call (`open`, `BIOCSETIF`, `BRDGADD`) and which [`Errno`]. What each
//! error of a request means is said at the request.
//!
//! # Examples
//!
//! ```
//! use xnu_sys::net_if::{IFF_RUNNING, IFF_UP, ifreq};
//! use xnu_sys::sys_sockio::SIOCSIFFLAGS;
//! use xnu_sys::{Control, Descriptor, InterfaceName, Kernel, SyscallError};
//!
//! /// Sets an interface up, on any kernel.
//! fn set_up<K: Kernel>(
//!     control: &Descriptor<K, Control>,
//!     interface: InterfaceName,
//! ) -> Result<(), SyscallError> {
//!     control.request(SIOCSIFFLAGS, &mut ifreq::new(interface).with_flags(IFF_UP))
//! }
//!
//! assert_eq!(SIOCSIFFLAGS.number(), 0x8020_6910);
//! assert_eq!(IFF_UP | IFF_RUNNING, 0x41);
//! let error = Descriptor::control(xnu_sys::Host).err();
//! assert_eq!(error.is_none(), cfg!(target_os = "macos"));
//! ```

#![recursion_limit = "512"]

#[macro_use]
mod header;

pub mod abi;
pub mod address;
mod descriptor;
mod errno;
mod host;
mod kernel;
mod messages;
mod name;
mod pinned;
mod request;

pub mod bpf;
pub mod bpf_private;
pub mod if_bridgevar;
pub mod if_dl;
pub mod if_fake_var;
pub mod if_media;
pub mod if_types;
pub mod ndrv;
pub mod net_if;
pub mod net_if_private;
pub mod net_if_var;
pub mod net_kev;
pub mod netinet_in;
pub mod sys_domain;
pub mod sys_event;
pub mod sys_event_private;
pub mod sys_fcntl;
pub mod sys_filio;
pub mod sys_ioccom;
pub mod sys_kern_event;
pub mod sys_socket;
pub mod sys_socket_private;
pub mod sys_sockio;
pub mod sys_sockio_private;
pub mod sys_time;
pub mod sys_un;

pub use descriptor::{
    BpfDevice, Control, Descriptor, KernelEvents, Kind, Kqueue, Ndrv, UnixSocket,
};
pub use errno::{Errno, SyscallError};
pub use host::Host;
pub use kernel::{InterfaceAddress, Kernel, SocketAddress};
pub use messages::{MESSAGES_MAX, Messages};
pub use name::{InterfaceName, NameError};
pub use request::{DriverCommand, Plain, Request};

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
