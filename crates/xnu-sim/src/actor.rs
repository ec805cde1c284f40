//! What lives on the machine besides the process under test.

/// A guest, a host of the LAN, an operator: something that acts by itself in virtual time, by calls
/// of its own [`SimKernel`](crate::SimKernel) process or by its end of a wire.
///
/// Actors are polled, in the order in which they were added, whenever a process waits (`kevent64`,
/// `sleep`), and once with each `kevent64` that does not wait.
pub trait Actor: Send {
    /// Does what there is to do at `now_ns` (a bounded amount), and says how it went.
    fn poll(&mut self, now_ns: u64) -> Polled;
}

/// How an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polled {
    /// It did something: what others wait for may have come about.
    pub has_acted: bool,
    /// When to poll it again although nothing happens; `None`: never.
    pub next_ns: Option<u64>,
}
