//! What a guest can be asked to do. Each task is a state machine without IO or clock: a driver
//! ([`crate::Guest`], a thread of [`crate::GuestHandle`], or a simulation) polls the guest and
//! steps the task in turn.

use std::time::Duration;

use crate::core::GuestCore;
use crate::error::TaskError;

mod dhcp;
mod flow;
mod ping;
mod resolve;
mod transfer;

pub use dhcp::{Dhcp, Lease};
pub use flow::SendFlow;
pub use ping::{Ping, PingConfig, PingReply, PingReport};
pub use resolve::{Resolution, Resolve};
pub use transfer::{Transfer, TransferConfig};

/// A thing to do for a guest, bounded in time by itself.
///
/// ```
/// use std::time::Duration;
/// use probe::{GuestConfig, GuestCore, MacAddress, MemoryWire, Ping, PingConfig, Progress, Task};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Two guests on one cable, in virtual time.
/// let (mut left, mut right) = MemoryWire::pair(64);
/// let config = |seed, address: &str| {
///     Ok::<_, probe::CidrParseError>(
///         GuestConfig::new(MacAddress::local(seed)).with_address(address.parse()?),
///     )
/// };
/// let mut a = GuestCore::new(config(1, "192.0.2.1/24")?, Duration::ZERO)?;
/// let mut b = GuestCore::new(config(2, "192.0.2.2/24")?, Duration::ZERO)?;
/// let mut ping = Ping::new(PingConfig::new("192.0.2.2".parse()?));
/// let mut now = Duration::ZERO;
/// let report = loop {
///     while a.poll(now, &mut left) | b.poll(now, &mut right) {}
///     if let Progress::Done(report) = ping.step(&mut a, now) {
///         break report?;
///     }
///     now += Duration::from_millis(1);
/// };
/// assert_eq!((report.sent, report.lost()), (4, 0));
/// # Ok(())
/// # }
/// ```
pub trait Task {
    /// What comes of it.
    type Output;

    /// Moves on as far as possible at `now`. Call it after each poll of the guest.
    fn step(&mut self, guest: &mut GuestCore, now: Duration) -> Progress<Self::Output>;

    /// Gives back what the task holds of the guest. Call it when the task is done, or given up.
    fn stop(&mut self, guest: &mut GuestCore);
}

/// How far a [`Task`] is.
#[derive(Debug)]
pub enum Progress<T> {
    /// Something was queued: poll the guest at once, then step again.
    Moved,
    /// Nothing to do until something arrives, or until then.
    Waiting(Duration),
    /// It is over.
    Done(Result<T, TaskError>),
}
