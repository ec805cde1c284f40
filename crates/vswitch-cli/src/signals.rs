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

/// Signals that are caught, and wait until somebody takes them.
#[derive(Debug)]
pub(crate) struct Caught(Signals);

/// Catches what asks the process to end. To be called before anything is made that has to be taken
/// away again: from here on the process ends only by itself.
pub(crate) fn catch() -> Result<Caught, Failure> {
    let signals = Signals::new([SIGINT, SIGTERM, SIGHUP]);
    signals.map(Caught).map_err(|error| Failure::new("watch for signals", error))
}

/// Calls `stop` when the process is asked to end.
pub(crate) fn on_termination(stop: impl Fn() + Send + 'static) -> Result<Watch, Failure> {
    catch()?.on_termination(stop)
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// SIGINT, SIGTERM.
    End,
    /// SIGHUP: whoever has a configuration reads it again, everybody else ends.
    HangUp,
}

impl From<i32> for Told {
    fn from(signal: i32) -> Self {
        if signal == SIGHUP { Self::HangUp } else { Self::End }
    }
}

impl Caught {
    /// Calls `stop` when the process is asked to end, also when it has been asked already.
    pub(crate) fn on_termination(self, stop: impl Fn() + Send + 'static) -> Result<Watch, Failure> {
        self.spawn(move |_| stop())
    }

    /// Calls `told` for each signal, those that came already included, on a thread of its own.
    pub(crate) fn spawn(self, told: impl Fn(Told) + Send + 'static) -> Result<Watch, Failure> {
        let mut signals = self.0;
        let handle = signals.handle();
        let thread = std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || signals.forever().for_each(|signal| told(Told::from(signal))))
            .map_err(|error| Failure::new("start a thread for signals", error))?;
        Ok(Watch { handle, thread })
    }
}
