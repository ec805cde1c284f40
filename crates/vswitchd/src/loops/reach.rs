//! How the loops are reached, by whoever changes what is on them.

use vswitch::poller::Poller;
use vswitch::switch::{Handle, Report, Switch};

use super::Loops;

/// The loops, held or from afar.
pub(crate) trait Reach<P: Poller> {
    /// How many there are.
    fn count(&self) -> usize;

    /// Has something done by the loop number `at`, between two of its rounds, and tells what came
    /// of it.
    ///
    /// # Errors
    /// [`Ended`].
    fn on<T: Send + 'static>(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Switch<P>) -> T + Send + 'static,
    ) -> Result<T, Ended>;
}

/// The loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the switch has ended")]
pub struct Ended;

/// Who holds the loops changes them while none of them runs.
impl<P: Poller> Reach<P> for Loops<P> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn on<T: Send + 'static>(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Switch<P>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.0.get_mut(at).map(what).ok_or(Ended)
    }
}

/// The loops of another thread, or of several.
pub(crate) struct Handles<P: Poller>(pub(super) Vec<Handle<P>>);

impl<P: Poller> Handles<P> {
    /// The first loop, with whose end all end.
    pub(crate) fn first(&self) -> Handle<P> {
        self.0[0].clone()
    }

    /// All of them, in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Handle<P>> {
        self.0.iter()
    }

    /// Ends all of them.
    pub(crate) fn stop(&self) {
        self.0.iter().for_each(Handle::stop);
    }

    /// The counters of all loops' ports; each loop's are of one moment.
    ///
    /// # Errors
    /// [`Ended`].
    pub(crate) fn report(&self) -> Result<Report, Ended> {
        let mut all = Report::default();
        for handle in &self.0 {
            all.extend(handle.report().ok_or(Ended)?);
        }
        Ok(all)
    }
}

impl<P: Poller> Clone for Handles<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: Poller> Reach<P> for Handles<P> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn on<T: Send + 'static>(
        &mut self,
        at: usize,
        what: impl FnOnce(&mut Switch<P>) -> T + Send + 'static,
    ) -> Result<T, Ended> {
        self.0.get(at).and_then(|handle| handle.call(what)).ok_or(Ended)
    }
}
