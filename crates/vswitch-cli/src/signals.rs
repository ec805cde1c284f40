//! SIGINT and SIGTERM, SIGHUP too: a clean end.

use std::thread::JoinHandle;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::failure::Failure;

/// A thread that waits for signals.
#[derive(Debug)]
pub(crate) struct Watch {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Ends the thread.
    pub(crate) fn end(self) {
        self.handle.close();
        // It only calls a closure; if that panicked, the panic was printed.
        let _ = self.thread.join();
    }
}

/// Calls `stop` when the process is asked to end.
pub(crate) fn on_termination(stop: impl Fn() + Send + 'static) -> Result<Watch, Failure> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::new("watch for signals", error))?;
    let handle = signals.handle();
    let thread = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || signals.forever().for_each(|_| stop()))
        .map_err(|error| Failure::new("start a thread for signals", error))?;
    Ok(Watch { handle, thread })
}
