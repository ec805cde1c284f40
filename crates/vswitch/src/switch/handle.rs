//! How other threads reach the switch.

use std::fmt;
use std::sync::mpsc;
use std::sync::{Arc, mpsc::Sender};

use super::{Report, Switch};
use crate::poller::{Poller, Wake};

/// Something to be done by the switch's own thread, between two rounds.
pub(super) type Command<P> = Box<dyn FnOnce(&mut Switch<P>) + Send>;

/// A handle to a running switch. Commands are carried out in order, a bounded number per step, so
/// that the data path never waits for them.
pub struct Handle<P: Poller> {
    commands: Sender<Command<P>>,
    waker: Arc<dyn Wake>,
}

impl<P: Poller> Handle<P> {
    pub(super) fn new(commands: Sender<Command<P>>, waker: Arc<dyn Wake>) -> Self {
        Self { commands, waker }
    }

    /// Has `command` carried out by the switch's thread. `false` when the switch has ended.
    pub fn send(&self, command: impl FnOnce(&mut Switch<P>) + Send + 'static) -> bool {
        let sent = self.commands.send(Box::new(command)).is_ok();
        self.wake();
        sent
    }

    /// Has `command` carried out and waits for what it answers; `None` when the switch has ended.
    pub fn call<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Switch<P>) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.send(move |switch| {
            // A caller that no longer waits is no concern of the switch.
            let _ = answer.send(command(switch));
        });
        answered.recv().ok()
    }

    /// Stops the switch after the step that runs now.
    pub fn stop(&self) {
        self.send(Switch::stop);
    }

    /// The counters of all ports, at one moment between two rounds; `None` when the switch has
    /// ended.
    #[must_use]
    pub fn report(&self) -> Option<Report> {
        self.call(Switch::report)
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }
}

impl<P: Poller> Clone for Handle<P> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), waker: Arc::clone(&self.waker) }
    }
}

impl<P: Poller> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("waker", &self.waker).finish_non_exhaustive()
    }
}
