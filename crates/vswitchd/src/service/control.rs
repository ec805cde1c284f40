//! A running service, from other threads.

use std::sync::{Arc, Mutex};

use vswitch::switch::Report;

use super::desk::Desk;
use super::error::ServiceError;
use crate::config::Configuration;
use crate::loops::{Handles, Reach as _};
use crate::platform::Platform;
use crate::report::{Applied, Ready};

/// Changes and asks a running service. Whatever the platform is asked for is had on the thread that
/// asks; the loops only take a port in or give one up, between two of their rounds.
pub struct Control<P: Platform> {
    pub(super) handles: Handles<P::Poller>,
    pub(super) desk: Arc<Mutex<Desk<P>>>,
}

impl<P: Platform> Control<P> {
    /// Makes of what is up what is wanted. What is as it is wanted is not touched; what cannot be
    /// had is told and left out, to be tried again the next time. Waits for the loops: for the
    /// thread that is to run them, before it does, there is
    /// [`Service::apply`](super::Service::apply).
    ///
    /// # Errors
    /// [`ServiceError::Conflict`], and nothing is changed then; [`ServiceError::Ended`].
    pub fn apply(&self, wanted: &Configuration) -> Result<Applied, ServiceError<P::Error>> {
        super::lock(&self.desk).apply(&mut self.handles.clone(), wanted)
    }

    /// What is up now.
    #[must_use]
    pub fn ready(&self) -> Ready {
        super::ready(&super::lock(&self.desk), self.handles.count())
    }

    /// The counters now; each loop's are of one moment.
    ///
    /// # Errors
    /// [`ServiceError::Ended`].
    pub fn report(&self) -> Result<Report, ServiceError<P::Error>> {
        Ok(self.handles.report()?)
    }

    /// Ends the service: [`Service::run`](super::Service::run) comes back.
    pub fn stop(&self) {
        self.handles.stop();
    }
}

impl<P: Platform> Clone for Control<P> {
    fn clone(&self) -> Self {
        Self { handles: self.handles.clone(), desk: Arc::clone(&self.desk) }
    }
}

impl<P: Platform> std::fmt::Debug for Control<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
