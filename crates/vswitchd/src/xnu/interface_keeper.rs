//! Keeps the descriptors on an interface that is used as it is: a card may be pulled out and come
//! back.

use std::time::Duration;

use ifctl::xnu::{Change, Events, Interfaces};
use vswitch::port::xnu::{Link, LinkKeeper, LinkOptions, Tended};
use vswitch::{MacAddr, Nanos};
use xnu_sys::Kernel;

use crate::events::Event;
use crate::repairs::{Mended, Repairs};
use crate::report::{InterfaceReport, Standing, UplinkState};

/// How often an interface that is gone is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps a [`Link`] on an interface of the host's, of which nothing is ever changed.
#[derive(Debug)]
pub(super) struct InterfaceKeeper<K: Kernel> {
    kernel: K,
    name: String,
    /// The uplink as it was asked for, in words.
    uplink: String,
    options: LinkOptions,
    events: Option<Events<K>>,
    look_at: Nanos,
    repairs: Repairs,
    standing: Standing,
}

impl<K: Kernel> InterfaceKeeper<K> {
    pub(super) fn new(
        kernel: K,
        (name, uplink): (&str, String),
        options: LinkOptions,
        repairs: Repairs,
        standing: Standing,
    ) -> Self {
        let events = Events::open_on(kernel.clone())
            .inspect_err(|error| tracing::warn!(%error, "changes of interfaces are seen late"))
            .ok();
        let name = name.to_owned();
        Self { kernel, name, uplink, options, events, look_at: Nanos(0), repairs, standing }
    }

    /// The interface is missing.
    fn note_missing(&self) {
        if self.standing.state() == UplinkState::Up {
            self.standing.set_state(UplinkState::Waiting);
            let uplink = self.uplink.clone();
            let why = format!("{} is gone", self.name);
            self.repairs.tell(Event::UplinkWaiting { uplink, why });
        }
    }

    fn note_there(&self) {
        let mtu = Interfaces::open_on(self.kernel.clone())
            .and_then(|interfaces| interfaces.find(&self.name))
            .map_or(0, |found| found.mtu);
        self.standing.set(UplinkState::Up, vec![InterfaceReport::used(&self.name, mtu)]);
        self.repairs.note(Mended::Link, &self.name, "the uplink is there again");
        self.repairs.tell(Event::UplinkThere { uplink: self.uplink.clone() });
    }

    fn is_going(&mut self) -> bool {
        let mut is_going = false;
        let Some(events) = &self.events else { return false };
        while let Ok(Some(event)) = events.next_event() {
            if event.name() == self.name {
                is_going |= matches!(event.change, Change::Detaching | Change::Detached);
            }
        }
        is_going
    }
}

impl<K: Kernel> LinkKeeper<K> for InterfaceKeeper<K> {
    fn tend(&mut self, has_link: bool, now: Nanos) -> Tended<K> {
        if self.is_going() && has_link {
            self.note_missing();
            return Tended::Lost;
        }
        if has_link {
            return Tended::Kept;
        }
        self.note_missing();
        if now < self.look_at {
            return Tended::Kept;
        }
        self.look_at = now + LOOK_EVERY;
        match Link::open(self.kernel.clone(), &self.name, &self.options) {
            Ok(link) => {
                self.note_there();
                Tended::Built(Box::new(link))
            }
            Err(error) => {
                tracing::debug!(interface = self.name, %error, "not there yet");
                Tended::Kept
            }
        }
    }

    fn set_addresses(&mut self, addresses: Option<&[MacAddr]>) {
        self.options.addresses = addresses.map(<[MacAddr]>::to_vec);
    }
}
