//! A running service, from other threads.

use std::sync::{Arc, Mutex};

use vswitch::switch::{AddressPage, Report};

use super::desk::Desk;
use super::edit::Plug;
use super::error::ServiceError;
use crate::capture::{Capture, CaptureError, CaptureRequest};
use crate::config::{Configuration, GivenSocket, PortSpec, UplinkSpec};
use crate::events::Events;
use crate::loops::{Handles, Reach as _};
use crate::metrics::ServiceFacts;
use crate::platform::Platform;
use crate::repairs::Tally;
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

    /// Adds a port to a network. It stays until it is removed, also when the configuration is read
    /// again, unless that has a port of its name.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is changed then.
    pub fn add_port(&self, network: &str, spec: &PortSpec) -> Result<(), ServiceError<P::Error>> {
        super::lock(&self.desk).add_port(&mut self.handles.clone(), network, spec)
    }

    /// Removes a port. One that the configuration has comes back when that is read again.
    ///
    /// # Errors
    /// [`ServiceError::NoNetwork`], [`ServiceError::NoPort`], [`ServiceError::Ended`].
    pub fn remove_port(&self, network: &str, port: &str) -> Result<(), ServiceError<P::Error>> {
        super::lock(&self.desk).remove_port(&mut self.handles.clone(), network, port)
    }

    /// Takes the link of a port, or of the uplink, down or up, as if its cable were pulled.
    ///
    /// # Errors
    /// As [`Self::remove_port`].
    pub fn set_link(
        &self,
        network: &str,
        port: &str,
        is_up: bool,
    ) -> Result<(), ServiceError<P::Error>> {
        super::lock(&self.desk).set_link(&mut self.handles.clone(), network, port, is_up)
    }

    /// Gives a network another uplink, until the configuration is read again.
    ///
    /// # Errors
    /// [`ServiceError`]; the uplink that was there is tried to be had again then.
    pub fn set_uplink(
        &self,
        network: &str,
        uplink: &UplinkSpec,
    ) -> Result<(), ServiceError<P::Error>> {
        super::lock(&self.desk).set_uplink(&mut self.handles.clone(), network, uplink)
    }

    /// Adds a port on a socket, and gives the names of its network and itself.
    ///
    /// # Errors
    /// As [`Self::add_port`], and [`ServiceError::WhichNetwork`].
    pub fn plug(&self, plug: Plug) -> Result<(String, String), ServiceError<P::Error>> {
        super::lock(&self.desk).plug(&mut self.handles.clone(), plug)
    }

    /// Removes the port on a socket, if it is there still.
    ///
    /// # Errors
    /// [`ServiceError::Ended`].
    pub fn unplug(&self, socket: &GivenSocket) -> Result<(), ServiceError<P::Error>> {
        Ok(super::lock(&self.desk).unplug(&mut self.handles.clone(), socket)?)
    }

    /// Removes the ports on given sockets whose other end is gone; whether there was one.
    ///
    /// # Errors
    /// [`ServiceError::Ended`].
    pub fn remove_ended(&self) -> Result<bool, ServiceError<P::Error>> {
        Ok(super::lock(&self.desk).remove_ended(&mut self.handles.clone())?)
    }

    /// Some of the addresses that a network's part in loop number `at` knows: those in `most`
    /// places of its table, from number `from` on. `None` when there is no such loop.
    ///
    /// # Errors
    /// [`ServiceError::NoNetwork`], [`ServiceError::Ended`].
    pub fn addresses(
        &self,
        network: &str,
        at: usize,
        from: usize,
        most: usize,
    ) -> Result<Option<AddressPage>, ServiceError<P::Error>> {
        if at >= self.handles.count() {
            return Ok(None);
        }
        let desk = super::lock(&self.desk);
        let up = desk.networks.iter().find(|up| up.name == network);
        let up = up.ok_or_else(|| ServiceError::NoNetwork { network: network.to_owned() })?;
        Ok(Some(up.addresses(&mut self.handles.clone(), at, from, most)?))
    }

    /// What happens is told there.
    #[must_use]
    pub fn events(&self) -> Events {
        super::lock(&self.desk).events.clone()
    }

    /// What was repaired so far; goes on counting.
    #[must_use]
    pub fn tally(&self) -> Tally {
        super::lock(&self.desk).platform.tally()
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

    /// What the report does not tell, for [`metrics::render`](crate::metrics::render).
    #[must_use]
    pub fn facts(&self) -> ServiceFacts {
        super::lock(&self.desk).facts()
    }

    /// Counts a change that came to nothing before it could be asked for: its file cannot be read,
    /// say.
    pub fn note_refused(&self) {
        super::lock(&self.desk).changes.refused += 1;
    }

    /// Captures what is carried from now on. Up to
    /// [`TAPS_MAX`](vswitch::capture::TAPS_MAX) captures run at once.
    ///
    /// # Errors
    /// [`CaptureError`]; nothing is captured then.
    pub fn capture(&self, request: &CaptureRequest) -> Result<Capture, CaptureError> {
        super::lock(&self.desk).check_capture(request)?;
        Capture::start(&self.handles, &mut self.handles.clone(), request)
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
