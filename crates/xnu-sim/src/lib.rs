//! A simulated XNU, behind the face of `xnu-sys`.
//!
//! [`SimKernel`] is one process's view of a [machine](SimKernel::boot) with virtual time:
//! interfaces, `feth`, bridges, BPF devices, NDRV, unix datagram sockets, kqueues and kernel
//! events, as a macOS [version](MacOs) has them, traps left in. Everything random follows from one
//! seed.
//!
//! It decodes what callers hand in as raw bytes, by offset, with numbers of its own, so that it is
//! a second opinion on `xnu-sys` and not a mirror of it.
//!
//! Time moves only within calls: a little with each, and in [`Kernel::kevent64`] and
//! [`Kernel::sleep`](xnu_sys::Kernel::sleep) to whatever is next. What else lives on the machine
//! (guests, hosts of the LAN) are [`Actor`]s, polled while a process waits.
//!
//! [`Kernel::kevent64`]: xnu_sys::Kernel::kevent64

mod actor;
mod bpf;
mod calls;
mod copyio;
mod counters;
mod errno;
mod event_socket;
mod fault;
mod kqueue;
mod machine;
mod ndrv;
mod net;
mod object;
mod process;
mod raw_output;
mod rng;
mod sim_kernel;
mod sysctl;
mod trace;
mod unix;
mod version;
mod wait;

pub use actor::{Actor, Polled};
pub use bpf::{BpfCounters, filter};
pub use counters::Counters;
pub use fault::{Fault, FaultAction};
pub use machine::BootOptions;
pub use net::{EthernetOptions, Wire};
pub use rng::Rng;
pub use sim_kernel::{SimFd, SimKernel};
pub use version::{Capabilities, MacOs, UnknownVersion};

/// The README's example compiles, and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
