//! One network that is up: what is on it, and what was made for it.

use vswitch::MacAddr;
use vswitch::fabric::PortPolicy;
use vswitch::poller::Poller;
use vswitch::switch::{AddressPage, ListenerSettings, NetworkId, PortSettings, WhenGone};

use super::error::ServiceError;
use crate::access::Access;
use crate::config::{Attachment, GivenSocket, Network, PortSpec, UPLINK_NAME, UplinkSpec};
use crate::loops::{Ended, Reach, Seat, Wiring};
use crate::platform::{Attached, OpenUplink, Platform};
use crate::report::{ReadyNetwork, ReadyPort, Standing};

/// How many clients a listener (`stream:`, `vde:`) has at once.
const CLIENTS_MAX: usize = 256;

/// How many addresses may be learnt behind each of them.
const CLIENT_ADDRESSES_MAX: usize = 256;

/// How many addresses may be learnt behind an uplink: a whole LAN is there.
const UPLINK_ADDRESSES_MAX: usize = 65_536;

/// A network in the loops.
#[derive(Debug)]
pub(super) struct NetworkUp<U> {
    pub(super) name: String,
    /// Who may use the sockets of ports that are added to it.
    pub(super) access: Access,
    wiring: Wiring,
    uplink: Option<UplinkUp<U>>,
    pub(super) ports: Vec<PortUp>,
}

#[derive(Debug)]
struct UplinkUp<U> {
    spec: UplinkSpec,
    seat: Seat,
    /// What the uplink was told last of who is behind the ports.
    stations: Option<Vec<MacAddr>>,
    standing: Standing,
    /// Taken away when it is dropped.
    _made: U,
}

#[derive(Debug)]
pub(super) struct PortUp {
    pub(super) spec: PortSpec,
    access: Access,
    seat: Seat,
    /// A client added it: no configuration has it.
    is_hot: bool,
}

impl PortUp {
    /// Whether it is as `network` wants it; an inherited socket, which cannot be had again, if
    /// there is to be one of its name at all.
    pub(super) fn is_wanted(&self, network: &Network) -> bool {
        let PortSpec { name, attachment, .. } = &self.spec;
        match attachment {
            Attachment::Fd(_) => {
                let is_it = |of: &PortSpec| of.name == *name && of.attachment == *attachment;
                network.ports.iter().any(is_it)
            }
            // These have a path of their own, which belongs to somebody.
            Attachment::Unixgram(_) | Attachment::Stream(_) | Attachment::Vde(_) => {
                self.access == network.access && network.ports.contains(&self.spec)
            }
            Attachment::StreamConnect(_) | Attachment::Tap(_) | Attachment::Given(_) => {
                network.ports.contains(&self.spec)
            }
        }
    }
}

impl<U> NetworkUp<U> {
    /// A network without an uplink and without ports.
    pub(super) fn make<P: Platform<Uplink = U>>(
        platform: &mut P,
        reach: &mut impl Reach<P::Poller>,
        name: &str,
        access: Access,
    ) -> Result<Self, ServiceError<P::Error>> {
        let wiring = Wiring::make(platform, reach, name)?;
        Ok(Self { name: name.to_owned(), access, wiring, uplink: None, ports: Vec::new() })
    }

    /// The uplink, [`UplinkSpec::None`] while there is none.
    pub(super) fn uplink(&self) -> &UplinkSpec {
        self.uplink.as_ref().map_or(&UplinkSpec::None, |uplink| &uplink.spec)
    }

    /// Whether it has a port of this name: its own, the uplink's, or what a listener's client,
    /// which may not be there yet, would be called.
    pub(super) fn has_port(&self, name: &str) -> bool {
        let is_named = |of: &str| self.ports.iter().any(|port| port.spec.name == of);
        let is_listener = |of: &str| {
            let mut named = self.ports.iter().filter(|port| port.spec.name == of);
            named.any(|port| {
                matches!(port.spec.attachment, Attachment::Stream(_) | Attachment::Vde(_))
            })
        };
        name == UPLINK_NAME && self.uplink.is_some()
            || is_named(name)
            || name.rsplit_once('.').is_some_and(|(listener, _)| is_listener(listener))
    }

    /// Makes the uplink of a network that has none. `stations` as in [`Self::tell_stations`].
    pub(super) fn add_uplink<P: Platform<Uplink = U>>(
        &mut self,
        platform: &mut P,
        reach: &mut impl Reach<P::Poller>,
        spec: &UplinkSpec,
        stations: Option<Vec<MacAddr>>,
    ) -> Result<(), ServiceError<P::Error>> {
        let opened = platform
            .uplink(spec, stations.as_deref())
            .map_err(ServiceError::of(format!("uplink {spec}")))?;
        let Some(opened) = opened else { return Ok(()) };
        let policy = PortPolicy { addresses_max: UPLINK_ADDRESSES_MAX, ..PortPolicy::default() };
        let OpenUplink { port, made, standing } = opened;
        let seat = self.wiring.add(reach, None, move |switch, network| {
            let settings = port_settings(UPLINK_NAME.to_owned(), network, policy);
            switch.add_port(PortSettings { waits: false, ..settings }, port)
        })?;
        self.uplink = Some(UplinkUp { spec: spec.clone(), seat, stations, standing, _made: made });
        Ok(())
    }

    /// Takes the uplink away, its port first.
    pub(super) fn remove_uplink<P: Poller>(
        &mut self,
        reach: &mut impl Reach<P>,
    ) -> Result<(), Ended> {
        match self.uplink.take() {
            Some(uplink) => self.wiring.remove(reach, uplink.seat, None).map(drop),
            None => Ok(()),
        }
    }

    /// Says which ports a configuration has; clients added the others.
    pub(super) fn mark_hot(&mut self, configured: &[PortSpec]) {
        for port in &mut self.ports {
            port.is_hot = configured.iter().all(|of| of.name != port.spec.name);
        }
    }

    /// Adds a port, as a client does.
    pub(super) fn add_port<P: Platform<Uplink = U>>(
        &mut self,
        platform: &mut P,
        reach: &mut impl Reach<P::Poller>,
        spec: &PortSpec,
        access: Access,
    ) -> Result<(), ServiceError<P::Error>> {
        let object = format!("port {} ({})", spec.name, spec.attachment);
        let attached =
            platform.attach(spec.attachment.clone(), access).map_err(ServiceError::of(object))?;
        let (name, mac) = (spec.name.clone(), spec.mac);
        let policy = PortPolicy { mac, ..PortPolicy::default() };
        let seat = match attached {
            Attached::Port(port) => self.wiring.add(reach, mac, move |switch, network| {
                switch.add_port(port_settings(name, network, policy), port)
            }),
            Attached::Listener(listener) => {
                let policy = PortPolicy { addresses_max: CLIENT_ADDRESSES_MAX, ..policy };
                // One address can be behind one client only.
                let clients_max = if mac.is_some() { 1 } else { CLIENTS_MAX };
                self.wiring.add(reach, mac, move |switch, network| {
                    let settings = ListenerSettings { name, network, policy, clients_max };
                    switch.add_listener(settings, listener)
                })
            }
        }?;
        self.ports.push(PortUp { spec: spec.clone(), access, seat, is_hot: true });
        Ok(())
    }

    /// Removes the port number `place`.
    pub(super) fn remove_port<P: Poller>(
        &mut self,
        reach: &mut impl Reach<P>,
        place: usize,
    ) -> Result<PortSpec, Ended> {
        let port = self.ports.remove(place);
        if let Some(removed) = self.wiring.remove(reach, port.seat, port.spec.mac)? {
            let (ingress, egress) = (&removed.counters.ingress, &removed.counters.egress);
            tracing::info!(
                network = self.name,
                port = port.spec.name,
                received_frames = ingress.received_frames,
                sent_frames = egress.sent_frames,
                dropped_frames = ingress.dropped.total() + egress.dropped.total(),
                "port removed"
            );
        }
        Ok(port.spec)
    }

    /// Whether the other end of the port number `place` is gone for good, and can be had again.
    pub(super) fn is_port_lost<P: Poller>(
        &self,
        reach: &mut impl Reach<P>,
        place: usize,
    ) -> Result<bool, Ended> {
        let PortUp { spec, seat, .. } = &self.ports[place];
        let is_once = matches!(spec.attachment, Attachment::Fd(_) | Attachment::Given(_));
        Ok(!is_once && is_gone(reach, *seat)?)
    }

    /// The same of the uplink.
    pub(super) fn is_uplink_lost<P: Poller>(
        &self,
        reach: &mut impl Reach<P>,
    ) -> Result<bool, Ended> {
        self.uplink.as_ref().map_or(Ok(false), |uplink| is_gone(reach, uplink.seat))
    }

    /// Removes the network from the loops, and then what was made for its uplink.
    pub(super) fn remove<P: Poller>(self, reach: &mut impl Reach<P>) {
        self.wiring.undo(reach);
        drop(self.uplink);
    }

    /// The number of a port.
    pub(super) fn port_place(&self, name: &str) -> Option<usize> {
        self.ports.iter().position(|port| port.spec.name == name)
    }

    /// Where a port, or the uplink, is in the loops.
    pub(super) fn seat(&self, name: &str) -> Option<Seat> {
        if name == UPLINK_NAME {
            return self.uplink.as_ref().map(|uplink| uplink.seat);
        }
        self.port_place(name).map(|place| self.ports[place].seat)
    }

    /// The first port on a given socket whose other end is gone.
    pub(super) fn ended_given_port<P: Poller>(
        &self,
        reach: &mut impl Reach<P>,
    ) -> Result<Option<usize>, Ended> {
        for (place, port) in self.ports.iter().enumerate() {
            let is_given = matches!(port.spec.attachment, Attachment::Given(_));
            if is_given && is_gone(reach, port.seat)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The place of the port on a given socket.
    pub(super) fn place_of(&self, socket: &GivenSocket) -> Option<usize> {
        let is_it = |port: &PortUp| match &port.spec.attachment {
            Attachment::Given(of) => of == socket,
            _ => false,
        };
        self.ports.iter().position(is_it)
    }

    /// The first name that no port has, of `stem` and a number.
    pub(super) fn free_name(&self, stem: &str) -> String {
        // One more than there are ports: one of them is free.
        let mut names = (1..=self.ports.len() + 1).map(|number| format!("{stem}{number}"));
        names.find(|name| self.port_place(name).is_none()).unwrap_or_else(|| stem.to_owned())
    }

    /// The ports that clients added.
    pub(super) fn hot_ports(&self) -> impl Iterator<Item = &PortSpec> {
        self.ports.iter().filter(|port| port.is_hot).map(|port| &port.spec)
    }

    /// Some of the addresses that a network's part in one loop knows: from place `from` of its
    /// table on, looking at `most` places.
    pub(super) fn addresses<P: Poller>(
        &self,
        reach: &mut impl Reach<P>,
        at: usize,
        from: usize,
        most: usize,
    ) -> Result<AddressPage, Ended> {
        let Some(network) = self.wiring.network(at) else { return Ok(AddressPage::default()) };
        reach.on(at, move |switch| switch.addresses(network, from, most))
    }

    /// What is up, as it would be wanted.
    pub(super) fn as_it_is(&self) -> Network {
        Network {
            name: self.name.clone(),
            uplink: self.uplink().clone(),
            ports: self.ports.iter().map(|port| port.spec.clone()).collect(),
            access: self.access,
        }
    }

    /// Who is behind the ports.
    pub(super) fn stations(&self) -> Option<Vec<MacAddr>> {
        stations(self.ports.iter().map(|port| &port.spec))
    }

    /// Tells the uplink who is behind the ports, and behind one `to_come`, if that is not what it
    /// knows.
    pub(super) fn tell_stations<P: Poller>(
        &mut self,
        reach: &mut impl Reach<P>,
        to_come: Option<&PortSpec>,
    ) -> Result<(), Ended> {
        let now = stations(self.ports.iter().map(|port| &port.spec).chain(to_come));
        let Some(uplink) = self.uplink.as_mut().filter(|uplink| uplink.stations != now) else {
            return Ok(());
        };
        let (told, index) = (now.clone(), uplink.seat.index);
        let told =
            reach.on(uplink.seat.at, move |switch| switch.set_stations(index, told.as_deref()))?;
        match told {
            Ok(()) => uplink.stations = now,
            Err(error) => tracing::warn!(
                network = self.name,
                %error,
                "the uplink's filter stays as it was: frames for a new port may not come through"
            ),
        }
        Ok(())
    }

    /// Puts the ports into the order in which they are wanted.
    pub(super) fn sort(&mut self, wanted: &[PortSpec]) {
        let place = |port: &PortUp| wanted.iter().position(|of| of.name == port.spec.name);
        self.ports.sort_by_key(place);
    }

    /// What is up, for the line that says so.
    pub(super) fn ready(&self) -> ReadyNetwork {
        let port = |port: &PortUp| ReadyPort {
            name: port.spec.name.clone(),
            attachment: port.spec.attachment.to_string(),
            mac: port.spec.mac.map(|mac| mac.to_string()),
            is_hot: port.is_hot,
        };
        ReadyNetwork {
            network: self.name.clone(),
            uplink: self.uplink().to_string(),
            uplink_state: self.uplink.as_ref().map(|uplink| uplink.standing.state()),
            interfaces: self.uplink.iter().flat_map(|up| up.standing.interfaces()).collect(),
            ports: self.ports.iter().map(port).collect(),
        }
    }
}

fn is_gone<P: Poller>(reach: &mut impl Reach<P>, seat: Seat) -> Result<bool, Ended> {
    reach.on(seat.at, move |switch| switch.is_gone(seat.index))
}

/// Who is behind ports: `None` when one of them may have any address.
pub(super) fn stations<'a>(ports: impl IntoIterator<Item = &'a PortSpec>) -> Option<Vec<MacAddr>> {
    ports.into_iter().map(|port| port.mac).collect()
}

/// A port whose other end is gone stays, with its counters: a person named it.
fn port_settings(name: String, network: NetworkId, policy: PortPolicy) -> PortSettings {
    PortSettings { name, network, policy, when_gone: WhenGone::Keep, waits: true }
}
