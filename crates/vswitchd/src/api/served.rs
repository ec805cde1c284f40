//! The service as the server sees it: without the platform, and with errors that have a kind.

use vswitch::switch::{AddressPage, Report};

use super::Reload;
use crate::capture::{Capture, CaptureError, CaptureRequest};
use crate::config::{GivenSocket, PortSpec, UplinkSpec};
use crate::metrics::ServiceFacts;
use crate::platform::Platform;
use crate::report::{Applied, Ready};
use crate::service::{Control, Plug, ServiceError};

/// What a client asked for and does not get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// What kind of thing stands in the way.
    pub kind: RefusalKind,
    /// What it is, in words, and what to do.
    pub what: String,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalKind {
    /// It is not written as it should be.
    Malformed,
    /// Who asks may not.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// It does not go together with what is there.
    Conflict,
    /// The system did not give it.
    Failed,
    /// The switch has ended.
    Ended,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}

impl<E: std::error::Error + 'static> From<ServiceError<E>> for Refusal {
    fn from(error: ServiceError<E>) -> Self {
        let kind = match &error {
            ServiceError::Platform { .. } => RefusalKind::Failed,
            ServiceError::WhichNetwork { .. } => RefusalKind::Malformed,
            ServiceError::Add(_) | ServiceError::Conflict(_) => RefusalKind::Conflict,
            ServiceError::NoNetwork { .. } | ServiceError::NoPort { .. } => RefusalKind::NotFound,
            ServiceError::Ended(_) => RefusalKind::Ended,
        };
        Self::new(kind, error.to_string())
    }
}

/// What the server asks of a service. Each call may wait for a loop or for the system.
#[allow(missing_docs, reason = "as the functions of Control")]
pub(super) trait Served: Send + Sync {
    fn ready(&self) -> Ready;
    fn report(&self) -> Result<Report, Refusal>;
    fn addresses(
        &self,
        network: &str,
        at: usize,
        from: usize,
        most: usize,
    ) -> Result<Option<AddressPage>, Refusal>;
    fn add_port(&self, network: &str, spec: &PortSpec) -> Result<(), Refusal>;
    fn remove_port(&self, network: &str, port: &str) -> Result<(), Refusal>;
    fn set_link(&self, network: &str, port: &str, is_up: bool) -> Result<(), Refusal>;
    fn set_uplink(&self, network: &str, uplink: &UplinkSpec) -> Result<(), Refusal>;
    fn plug(&self, plug: Plug) -> Result<(String, String), Refusal>;
    fn unplug(&self, socket: &GivenSocket) -> Result<(), Refusal>;
    fn remove_ended(&self) -> Result<bool, Refusal>;
    fn reload(&self) -> Result<Applied, Refusal>;
    fn facts(&self) -> ServiceFacts;
    fn capture(&self, request: &CaptureRequest) -> Result<Capture, Refusal>;
}

/// A service, and how its configuration is read again.
pub(super) struct Of<P: Platform> {
    pub(super) control: Control<P>,
    pub(super) reload: Option<Reload>,
}

impl<P> Served for Of<P>
where
    P: Platform + Send + 'static,
    P::Uplink: Send,
{
    fn ready(&self) -> Ready {
        self.control.ready()
    }

    fn report(&self) -> Result<Report, Refusal> {
        let mut report = self.control.report()?;
        self.control.ready().sort(&mut report);
        Ok(report)
    }

    fn addresses(
        &self,
        network: &str,
        at: usize,
        from: usize,
        most: usize,
    ) -> Result<Option<AddressPage>, Refusal> {
        Ok(self.control.addresses(network, at, from, most)?)
    }

    fn add_port(&self, network: &str, spec: &PortSpec) -> Result<(), Refusal> {
        Ok(self.control.add_port(network, spec)?)
    }

    fn remove_port(&self, network: &str, port: &str) -> Result<(), Refusal> {
        Ok(self.control.remove_port(network, port)?)
    }

    fn set_link(&self, network: &str, port: &str, is_up: bool) -> Result<(), Refusal> {
        Ok(self.control.set_link(network, port, is_up)?)
    }

    fn set_uplink(&self, network: &str, uplink: &UplinkSpec) -> Result<(), Refusal> {
        Ok(self.control.set_uplink(network, uplink)?)
    }

    fn plug(&self, plug: Plug) -> Result<(String, String), Refusal> {
        Ok(self.control.plug(plug)?)
    }

    fn unplug(&self, socket: &GivenSocket) -> Result<(), Refusal> {
        Ok(self.control.unplug(socket)?)
    }

    fn remove_ended(&self) -> Result<bool, Refusal> {
        Ok(self.control.remove_ended()?)
    }

    fn facts(&self) -> ServiceFacts {
        self.control.facts()
    }

    fn capture(&self, request: &CaptureRequest) -> Result<Capture, Refusal> {
        let kind = |error: &CaptureError| match error {
            CaptureError::NoNetwork(_) | CaptureError::NoPort(_) => RefusalKind::NotFound,
            CaptureError::Ring(_) => RefusalKind::Malformed,
            CaptureError::Ended(_) => RefusalKind::Ended,
            _ => RefusalKind::Conflict,
        };
        self.control.capture(request).map_err(|error| Refusal::new(kind(&error), error.to_string()))
    }

    fn reload(&self) -> Result<Applied, Refusal> {
        match &self.reload {
            Some(reload) => reload(),
            None => Err(Refusal::new(
                RefusalKind::Conflict,
                "there is no configuration file to read again (start the switch with --config)",
            )),
        }
    }
}
