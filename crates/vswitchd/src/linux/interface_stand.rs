//! Keeps the socket on an interface that is used as it is: a card may be pulled out and come back.

use std::time::Instant;

use ifctl::{InterfaceEvent, Interfaces, Kind};
use vswitch::port::linux::{LinkSlot, PacketLink, PacketPort};
use vswitch::port::unix::Granted;

use super::LinuxError;
use super::contests::{Contests, Permit};
use super::keeper::Kept;
use super::retry::Retry;
use super::stand::Seen;
use crate::events::Event;
use crate::repairs::{Mended, Repairs};
use crate::report::{InterfaceReport, Standing, UplinkState};

/// A socket on an interface of the host's, of which nothing is ever changed.
#[derive(Debug)]
pub(super) struct InterfaceStand {
    name: String,
    /// The uplink as it was asked for, in words.
    uplink: String,
    link: PacketLink,
    interfaces: Interfaces,
    slot: LinkSlot,
    /// The number of the interface that the port's socket is on.
    linked: Option<u32>,
    granted: Option<Granted>,
    /// It was there once: what happens from then on is a repair.
    has_stood: bool,
    contests: Contests,
    retry: Retry,
    told: Option<String>,
    repairs: Repairs,
    standing: Standing,
}

impl InterfaceStand {
    /// No socket yet.
    pub(super) fn new(
        (name, uplink): (&str, String),
        link: PacketLink,
        slot: LinkSlot,
        repairs: Repairs,
        standing: Standing,
    ) -> Result<Self, LinuxError> {
        Ok(Self {
            name: name.to_owned(),
            uplink,
            link,
            interfaces: Interfaces::open()?,
            slot,
            linked: None,
            granted: None,
            has_stood: false,
            contests: Contests::default(),
            retry: Retry::default(),
            told: None,
            repairs,
            standing,
        })
    }

    /// Opens the socket; with `wait`, not if the interface is missing.
    ///
    /// # Errors
    /// [`LinuxError`].
    pub(super) fn make(&mut self, wait: bool) -> Result<(), LinuxError> {
        let made = self.link(Instant::now());
        match made {
            Err(LinuxError::Interface { source: error @ ifctl::Error::NotFound { .. } })
                if wait =>
            {
                tracing::warn!("the uplink {} waits: {error}", self.uplink);
                self.told = Some(error.to_string());
                Ok(())
            }
            made => made.map(|_| ()),
        }
    }

    /// What the last socket's buffers were granted.
    pub(super) fn granted(&self) -> Option<Granted> {
        self.granted
    }

    /// Sees to it that the socket is on the interface. When that may not be done before some time,
    /// that time.
    fn link(&mut self, now: Instant) -> Result<Option<Instant>, LinuxError> {
        let seen = Seen(self.interfaces.list()?);
        let Some(found) = seen.named(&self.name) else {
            // By another name, it still is the way out, until there is one of the wanted name.
            let renamed = self.linked.and_then(|index| seen.numbered(index));
            return match renamed.filter(|_| !self.slot.is_empty()) {
                Some(_) => Ok(None),
                None => Err(self.missing()),
            };
        };
        if found.kind == Kind::Loopback || found.mac.is_none() {
            let (name, kind) = (found.name.clone(), found.kind.clone());
            return Err(LinuxError::NotEthernet { name, kind });
        }
        if self.linked == Some(found.index) && !self.slot.is_empty() {
            return Ok(None);
        }
        let key = found.index.to_string();
        if let Permit::NotBefore(then) = self.contests.ask(Mended::Link, &key, now) {
            return Ok(Some(then));
        }
        if !found.is_up() {
            let name = &found.name;
            tracing::warn!(
                interface = name,
                "the uplink is down: set it up (`vswitch if up {name}`)"
            );
        }
        // Its offloads are its owner's: each frame says what is left to do to it.
        let port = PacketPort::open(&self.name, self.slot.addresses().as_deref(), self.link)?;
        self.granted = Some(port.granted());
        self.linked = Some(port.interface_index());
        self.slot.offer(port);
        let report = InterfaceReport::used(&self.name, found.mtu);
        self.standing.set(UplinkState::Up, vec![report]);
        if std::mem::replace(&mut self.has_stood, true) {
            self.repairs.note(Mended::Link, &self.name, "the uplink is there again");
            if self.contests.count(Mended::Link, &key, now) {
                self.repairs.contested(Mended::Link, &self.name);
            }
        }
        Ok(None)
    }

    /// That there is no such interface, in the words of whoever looks for it.
    fn missing(&mut self) -> LinuxError {
        match self.interfaces.find(&self.name) {
            Err(error) => error.into(),
            Ok(_) => LinuxError::Unsettled { name: self.name.clone() },
        }
    }

    /// Tells what is missing, once.
    fn tell(&mut self, missing: Option<String>) {
        if self.told == missing {
            return;
        }
        let uplink = self.uplink.clone();
        match &missing {
            Some(why) => {
                tracing::warn!("the uplink {uplink} waits: {why}");
                self.standing.set_state(UplinkState::Waiting);
                self.repairs.tell(Event::UplinkWaiting { uplink, why: why.clone() });
            }
            None => {
                self.standing.set_state(UplinkState::Up);
                self.repairs.tell(Event::UplinkThere { uplink });
            }
        }
        self.told = missing;
    }
}

impl Kept for InterfaceStand {
    fn is_touched_by(&self, event: &InterfaceEvent) -> bool {
        event.name == self.name || self.linked == Some(event.index)
    }

    fn tend(&mut self, now: Instant) -> Option<Instant> {
        self.slot.close_retired();
        match self.link(now) {
            Ok(None) => {
                self.retry.reset();
                self.tell(None);
                None
            }
            // There is none until then.
            Ok(again_at) => {
                self.tell(Some("it goes and comes again and again".to_owned()));
                again_at
            }
            Err(error) => {
                self.tell(Some(error.to_string()));
                (!error.is_missing()).then(|| self.retry.failed(now))
            }
        }
    }
}
