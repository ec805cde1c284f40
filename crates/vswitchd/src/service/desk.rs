//! What is up, and how it becomes what is wanted.

use std::net::SocketAddr;
use std::time::SystemTime;

use super::error::ServiceError;
use super::network_up::{NetworkUp, stations};
use crate::capture::{CaptureError, CaptureRequest};
use crate::config::{Configuration, ControlSettings, Network, UPLINK_NAME, UplinkSpec, check};
use crate::events::{Event, Events};
use crate::loops::{Ended, Reach};
use crate::metrics::{Changes, ServiceFacts};
use crate::platform::Platform;
use crate::report::{Applied, ReadyNetwork};

/// The networks that are up, and the platform that made them.
#[derive(Debug)]
pub(super) struct Desk<P: Platform> {
    pub(super) platform: P,
    pub(super) networks: Vec<NetworkUp<P::Uplink>>,
    pub(super) events: Events,
    /// What is had at the start only, as it was wanted then.
    fixed: Fixed,
    started_at: SystemTime,
    pub(super) changes: Changes,
}

/// What a change of the configuration cannot change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fixed {
    control: Option<ControlSettings>,
    metrics: Option<SocketAddr>,
}

impl From<&Configuration> for Fixed {
    fn from(wanted: &Configuration) -> Self {
        Self { control: wanted.control.clone(), metrics: wanted.metrics }
    }
}

type Result<T, P> = std::result::Result<T, ServiceError<<P as Platform>::Error>>;

impl<P: Platform> Desk<P> {
    /// The desk of a service that has nothing yet.
    pub(super) fn new(platform: P, events: Events) -> Self {
        Self {
            platform,
            networks: Vec::new(),
            events,
            fixed: Fixed::default(),
            started_at: SystemTime::now(),
            changes: Changes::default(),
        }
    }

    /// What is up, for the line that says so.
    pub(super) fn ready(&self) -> Vec<ReadyNetwork> {
        self.networks.iter().map(NetworkUp::ready).collect()
    }

    /// What a report of the loops does not know.
    pub(super) fn facts(&self) -> ServiceFacts {
        ServiceFacts {
            started_at: self.started_at,
            networks: self.ready(),
            changes: self.changes,
            repairs: self.platform.tally().counts(),
            ..ServiceFacts::default()
        }
    }

    /// Brings up the networks of a service that has none, each with its uplink first, so that
    /// nothing is announced that has none, then its ports in their order.
    ///
    /// # Errors
    /// The first; what came up before stays.
    pub(super) fn bring_up(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        wanted: &Configuration,
    ) -> Result<(), P> {
        check(&wanted.networks)?;
        self.fixed = wanted.into();
        for network in &wanted.networks {
            let (name, access) = (&network.name, network.access);
            let made = NetworkUp::make(&mut self.platform, reach, name, access)?;
            // At once, so that its ports are closed before what was made for them, whatever fails.
            self.networks.push(made);
            let Some(up) = self.networks.last_mut() else { continue };
            let stations = stations(&network.ports);
            up.add_uplink(&mut self.platform, reach, &network.uplink, stations)?;
            for port in &network.ports {
                up.add_port(&mut self.platform, reach, port, network.access)?;
            }
            up.mark_hot(&network.ports);
        }
        Ok(())
    }

    /// Makes of what is up what is wanted. What is as it is wanted is not touched, nor are the
    /// ports that clients added; what cannot be had is told and left out, to be tried again the
    /// next time.
    ///
    /// # Errors
    /// [`ServiceError::Conflict`], and nothing is changed then; [`ServiceError::Ended`].
    pub(super) fn apply(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        wanted: &Configuration,
    ) -> Result<Applied, P> {
        let applied = self.change(reach, wanted);
        match &applied {
            Ok(applied) if applied.failed.is_empty() => self.changes.applied += 1,
            Ok(_) => self.changes.incomplete += 1,
            Err(ServiceError::Ended(_)) => {}
            Err(_) => self.changes.refused += 1,
        }
        applied
    }

    fn change(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        wanted: &Configuration,
    ) -> Result<Applied, P> {
        let is_fixed = self.fixed == Fixed::from(wanted);
        let configured = wanted;
        let wanted = &self.with_hot(configured);
        check(&wanted.networks)?;
        let mut applied = Applied::default();
        if !is_fixed {
            let what = "control and metrics are as they were: restart the switch to change them";
            applied.failed.push(what.to_owned());
        }
        // All that goes goes first: its paths, addresses and interfaces may be others' now.
        self.remove_unwanted(reach, wanted, &mut applied)?;
        for network in &wanted.networks {
            self.add_missing(reach, network, &mut applied)?;
        }
        let place = |up: &NetworkUp<P::Uplink>| {
            wanted.networks.iter().position(|network| network.name == up.name)
        };
        self.networks.sort_by_key(place);
        for network in &configured.networks {
            if let Some(up) = self.networks.iter_mut().find(|up| up.name == network.name) {
                up.mark_hot(&network.ports);
            }
        }
        applied.find_changed();
        self.events.tell(Event::Reloaded { applied: applied.clone() });
        Ok(applied)
    }

    /// Whether there is what is to be captured.
    ///
    /// # Errors
    /// [`CaptureError::NoNetwork`] and [`CaptureError::NoPort`].
    pub(super) fn check_capture(
        &self,
        request: &CaptureRequest,
    ) -> std::result::Result<(), CaptureError> {
        let is_asked_for =
            |up: &&NetworkUp<_>| request.network.as_ref().is_none_or(|network| *network == up.name);
        let mut networks = self.networks.iter().filter(is_asked_for).peekable();
        match (&request.network, &request.port) {
            (Some(network), _) if networks.peek().is_none() => {
                Err(CaptureError::NoNetwork(network.clone()))
            }
            (_, Some(port)) if !networks.any(|up| up.has_port(port)) => {
                Err(CaptureError::NoPort(port.clone()))
            }
            _ => Ok(()),
        }
    }

    fn remove_unwanted(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        wanted: &Configuration,
        applied: &mut Applied,
    ) -> std::result::Result<(), Ended> {
        let is_wanted =
            |up: &NetworkUp<_>| wanted.networks.iter().any(|network| network.name == up.name);
        while let Some(place) = self.networks.iter().position(|up| !is_wanted(up)) {
            let up = self.networks.remove(place);
            applied.removed.push(up.name.clone());
            up.remove(reach);
        }
        for up in &mut self.networks {
            let Some(network) = wanted.networks.iter().find(|network| network.name == up.name)
            else {
                continue;
            };
            let mut place = 0;
            while let Some(port) = up.ports.get(place) {
                if port.is_wanted(network) && !up.is_port_lost(reach, place)? {
                    place += 1;
                } else {
                    let removed = up.remove_port(reach, place)?;
                    applied.removed.push(format!("{}/{}", up.name, removed.name));
                }
            }
            let is_other = *up.uplink() != network.uplink || up.is_uplink_lost(reach)?;
            if *up.uplink() != UplinkSpec::None && is_other {
                up.remove_uplink(reach)?;
                applied.removed.push(format!("{}/{UPLINK_NAME}", up.name));
            }
        }
        Ok(())
    }

    fn add_missing(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        network: &Network,
        applied: &mut Applied,
    ) -> Result<(), P> {
        let Self { platform, networks, .. } = self;
        let known = networks.iter().position(|up| up.name == network.name);
        let place = match known {
            Some(place) => place,
            None => {
                let made = NetworkUp::make(platform, reach, &network.name, network.access);
                match applied.note(network.name.clone(), made)? {
                    Some(made) => networks.push(made),
                    None => return Ok(()),
                }
                networks.len() - 1
            }
        };
        let up = &mut networks[place];
        up.access = network.access;
        if *up.uplink() != network.uplink {
            let stations = stations(&network.ports);
            let made = up.add_uplink(platform, reach, &network.uplink, stations);
            applied.note(format!("{}/{UPLINK_NAME}", network.name), made)?;
        }
        for port in &network.ports {
            let there = up.ports.iter().find(|there| there.spec.name == port.name);
            if let Some(there) = there {
                if there.spec != *port {
                    applied.failed.push(format!(
                        "{}/{}: an inherited socket cannot be had again: restart the switch",
                        network.name, port.name
                    ));
                }
            } else {
                let added = up.add_port(platform, reach, port, network.access);
                applied.note(format!("{}/{}", network.name, port.name), added)?;
            }
        }
        up.sort(&network.ports);
        up.tell_stations(reach, None)?;
        Ok(())
    }
}

impl Applied {
    /// Counts what was added, or why not; passes on only that all is over.
    fn note<T, E: std::error::Error + 'static>(
        &mut self,
        object: String,
        done: std::result::Result<T, ServiceError<E>>,
    ) -> std::result::Result<Option<T>, ServiceError<E>> {
        match done {
            Ok(made) => {
                self.added.push(object);
                Ok(Some(made))
            }
            Err(error @ ServiceError::Ended(_)) => Err(error),
            Err(error) => {
                self.failed.push(format!("{object}: {error}"));
                Ok(None)
            }
        }
    }

    /// What was removed and added again was changed.
    fn find_changed(&mut self) {
        self.changed = self.removed.iter().filter(|of| self.added.contains(of)).cloned().collect();
        self.removed.retain(|of| !self.changed.contains(of));
        self.added.retain(|of| !self.changed.contains(of));
    }
}
