//! Keeps the descriptors on an interface that is used as it is: a card may be pulled out and come
//! back.

use std::time::Duration;

use ifctl::xnu::{Change, Events};
use vswitch::port::xnu::{Link, LinkKeeper, LinkOptions, Tended};
use vswitch::{MacAddr, Nanos};
use xnu_sys::Kernel;

use super::tally::{Mended, Tally};

/// How often an interface that is gone is looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps a [`Link`] on an interface of the host's, of which nothing is ever changed.
#[derive(Debug)]
pub(super) struct InterfaceKeeper<K: Kernel> {
    kernel: K,
    name: String,
    options: LinkOptions,
    events: Option<Events<K>>,
    look_at: Nanos,
    tally: Tally,
}

impl<K: Kernel> InterfaceKeeper<K> {
    pub(super) fn new(kernel: K, name: &str, options: LinkOptions, tally: Tally) -> Self {
        let events = Events::open_on(kernel.clone())
            .inspect_err(|error| tracing::warn!(%error, "changes of interfaces are seen late"))
            .ok();
        Self { kernel, name: name.to_owned(), options, events, look_at: Nanos(0), tally }
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
            return Tended::Lost;
        }
        if has_link || now < self.look_at {
            return Tended::Kept;
        }
        self.look_at = now + LOOK_EVERY;
        match Link::open(self.kernel.clone(), &self.name, &self.options) {
            Ok(link) => {
                tracing::info!(interface = self.name, "the uplink is there again");
                self.tally.count(Mended::Link);
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
