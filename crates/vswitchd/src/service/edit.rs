//! Single changes of what is up, as a client asks for them.

use super::desk::Desk;
use super::error::ServiceError;
use super::network_up::NetworkUp;
use crate::access::Access;
use crate::config::{Configuration, Network, PortSpec, UplinkSpec, check};
use crate::events::Event;
use crate::loops::{Ended, Reach};
use crate::platform::Platform;

type Result<T, P> = std::result::Result<T, ServiceError<<P as Platform>::Error>>;

impl<P: Platform> Desk<P> {
    /// Adds a port to a network that is up. It stays until it is removed, also when the
    /// configuration is read again, unless that has a port of its name.
    ///
    /// # Errors
    /// [`ServiceError`]; nothing is changed then.
    pub(super) fn add_port(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        network: &str,
        spec: &PortSpec,
        access: Option<Access>,
    ) -> Result<(), P> {
        let place = self.place(network)?;
        let mut wanted = self.as_it_is();
        wanted.networks[place].ports.push(spec.clone());
        check(&wanted.networks)?;
        let up = &mut self.networks[place];
        let access = access.unwrap_or(up.access);
        // Before its first frame: what is for it is to come through.
        up.tell_stations(reach, Some(spec))?;
        let added = up.add_port(&mut self.platform, reach, spec, access, true);
        if added.is_err() {
            up.tell_stations(reach, None)?;
        }
        added?;
        self.events.tell(Event::PortAdded { network: network.to_owned(), port: spec.name.clone() });
        Ok(())
    }

    /// Removes a port. One that the configuration has comes back when that is read again.
    ///
    /// # Errors
    /// [`ServiceError::NoNetwork`], [`ServiceError::NoPort`], [`ServiceError::Ended`].
    pub(super) fn remove_port(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        network: &str,
        port: &str,
    ) -> Result<(), P> {
        let place = self.place(network)?;
        let up = &mut self.networks[place];
        let at = up.port_place(port).ok_or_else(|| no_port(network, port))?;
        up.remove_port(reach, at)?;
        up.tell_stations(reach, None)?;
        self.events.tell(Event::PortRemoved { network: network.to_owned(), port: port.to_owned() });
        Ok(())
    }

    /// Takes a port's link down or up; of a network's uplink, too.
    ///
    /// # Errors
    /// As [`Self::remove_port`].
    pub(super) fn set_link(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        network: &str,
        port: &str,
        is_up: bool,
    ) -> Result<(), P> {
        let place = self.place(network)?;
        let seat = self.networks[place].seat(port).ok_or_else(|| no_port(network, port))?;
        if !reach.on(seat.at, move |switch| switch.set_link(seat.index, is_up))? {
            return Err(no_port(network, port));
        }
        self.events.tell(Event::LinkChanged {
            network: network.to_owned(),
            port: port.to_owned(),
            is_up,
        });
        Ok(())
    }

    /// Gives a network another uplink, until the configuration is read again. Nothing when it has
    /// that already.
    ///
    /// # Errors
    /// [`ServiceError`]; the uplink that was there is tried to be had again then.
    pub(super) fn set_uplink(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        network: &str,
        spec: &UplinkSpec,
    ) -> Result<(), P> {
        let place = self.place(network)?;
        let mut wanted = self.as_it_is();
        wanted.networks[place].uplink = spec.clone();
        check(&wanted.networks)?;
        let up = &mut self.networks[place];
        let before = up.uplink().clone();
        if before == *spec && !up.is_uplink_lost(reach)? {
            return Ok(());
        }
        up.remove_uplink(reach)?;
        let stations = up.stations();
        let added = up.add_uplink(&mut self.platform, reach, spec, stations.clone());
        if added.is_err()
            && let Err(error) = up.add_uplink(&mut self.platform, reach, &before, stations)
        {
            tracing::error!(network, %error, "the uplink that was there is lost");
        }
        self.events.tell(Event::UplinkChanged {
            network: network.to_owned(),
            uplink: self.networks[place].uplink().to_string(),
        });
        added
    }

    /// Removes the given sockets' ports whose other end is gone: nobody can have it again.
    pub(super) fn remove_ended(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
    ) -> std::result::Result<(), Ended> {
        for up in &mut self.networks {
            while let Some(at) = up.ended_given_port(reach)? {
                let spec = up.remove_port(reach, at)?;
                up.tell_stations(reach, None)?;
                let (network, port) = (up.name.clone(), spec.name);
                self.events.tell(Event::PortRemoved { network, port });
            }
        }
        Ok(())
    }

    /// What is wanted, with the ports that clients added and whose names it does not have.
    pub(super) fn with_hot(&self, wanted: &Configuration) -> Configuration {
        let mut merged = wanted.clone();
        for network in &mut merged.networks {
            if let Some(up) = self.networks.iter().find(|up| up.name == network.name) {
                for hot in up.hot_ports() {
                    if network.ports.iter().all(|port| port.name != hot.name) {
                        network.ports.push(hot.clone());
                    }
                }
            }
        }
        merged
    }

    /// What is up, as a configuration.
    fn as_it_is(&self) -> Configuration {
        self.networks.iter().map(NetworkUp::as_it_is).collect::<Vec<Network>>().into()
    }

    fn place(&self, network: &str) -> Result<usize, P> {
        let place = self.networks.iter().position(|up| up.name == network);
        place.ok_or_else(|| ServiceError::NoNetwork { network: network.to_owned() })
    }
}

fn no_port<E: std::error::Error + 'static>(network: &str, port: &str) -> ServiceError<E> {
    ServiceError::NoPort { network: network.to_owned(), port: port.to_owned() }
}
