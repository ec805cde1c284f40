//! Single changes of what is up, as a client asks for them.

use vswitch::MacAddr;

use super::desk::Desk;
use super::error::ServiceError;
use super::network_up::NetworkUp;
use crate::config::{Attachment, Configuration, GivenSocket, Network, PortSpec, UplinkSpec, check};
use crate::events::Event;
use crate::loops::{Ended, Reach};
use crate::platform::Platform;

/// A socket that is to be a port.
#[derive(Clone, Debug)]
pub struct Plug {
    /// The network; may be left out where there is only one.
    pub network: Option<String>,
    /// The port's name; without it, it gets one.
    pub name: Option<String>,
    /// Its only address.
    pub mac: Option<MacAddr>,
    /// What it is on.
    pub socket: GivenSocket,
}

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
    ) -> Result<(), P> {
        let place = self.place(network)?;
        let mut wanted = self.as_it_is();
        wanted.networks[place].ports.push(spec.clone());
        check(&wanted.networks)?;
        let up = &mut self.networks[place];
        let access = up.access;
        // Before its first frame: what is for it is to come through.
        up.tell_stations(reach, Some(spec))?;
        let added = up.add_port(&mut self.platform, reach, spec, access);
        if added.is_err() {
            up.tell_stations(reach, None)?;
        }
        added?;
        self.events.tell(Event::PortAdded { network: network.to_owned(), port: spec.name.clone() });
        Ok(())
    }

    /// The same on a socket, by a name that is free if none is asked for; the network may be left
    /// out where there is only one. Gives the names of both.
    ///
    /// # Errors
    /// As there, and [`ServiceError::WhichNetwork`].
    pub(super) fn plug(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        plug: Plug,
    ) -> Result<(String, String), P> {
        let network = match (plug.network, &self.networks[..]) {
            (Some(network), _) => network,
            (None, [only]) => only.name.clone(),
            (None, all) => return Err(ServiceError::WhichNetwork { count: all.len() }),
        };
        let place = self.place(&network)?;
        let name = plug.name.unwrap_or_else(|| self.networks[place].free_name("given"));
        let attachment = Attachment::Given(plug.socket);
        let spec = PortSpec { name: name.clone(), attachment, mac: plug.mac };
        self.add_port(reach, &network, &spec)?;
        Ok((network, name))
    }

    /// Removes the port on a socket, if it is there still.
    ///
    /// # Errors
    /// [`Ended`].
    pub(super) fn unplug(
        &mut self,
        reach: &mut impl Reach<P::Poller>,
        socket: &GivenSocket,
    ) -> std::result::Result<(), Ended> {
        self.remove_given(reach, |up, _| Ok(up.place_of(socket))).map(drop)
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
        let now = self.networks[place].uplink();
        if *now != before {
            let (network, uplink) = (network.to_owned(), now.to_string());
            self.events.tell(Event::UplinkChanged { network, uplink });
        }
        added
    }

    /// Removes the given sockets' ports whose other end is gone: nobody can have it again. Whether
    /// there was one.
    pub(super) fn remove_ended<R: Reach<P::Poller>>(
        &mut self,
        reach: &mut R,
    ) -> std::result::Result<bool, Ended> {
        self.remove_given(reach, |up, reach| up.ended_given_port(reach))
    }

    fn remove_given<R: Reach<P::Poller>>(
        &mut self,
        reach: &mut R,
        next: impl Fn(&NetworkUp<P::Uplink>, &mut R) -> std::result::Result<Option<usize>, Ended>,
    ) -> std::result::Result<bool, Ended> {
        let mut was_one = false;
        for up in &mut self.networks {
            while let Some(at) = next(up, reach)? {
                let spec = up.remove_port(reach, at)?;
                up.tell_stations(reach, None)?;
                let (network, port) = (up.name.clone(), spec.name);
                self.events.tell(Event::PortRemoved { network, port });
                was_one = true;
            }
        }
        Ok(was_one)
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
