//! What happens to ports by itself, told as it happens.

use std::fmt;

use super::Switch;
use crate::poller::Poller;
use crate::port::Gone;

/// Something that nobody asked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A port's other end is gone for good.
    PortEnded {
        /// The port's network.
        network: &'a str,
        /// The port.
        port: &'a str,
        /// It was a listener's client.
        is_client: bool,
        /// Why.
        why: &'a Gone,
    },
    /// A listener has a client more.
    ClientJoined {
        /// The listener's network.
        network: &'a str,
        /// The client's port, named after the listener.
        port: &'a str,
    },
    /// A listener did not take a client.
    ClientTurnedAway {
        /// The listener's network.
        network: &'a str,
        /// The listener.
        listener: &'a str,
        /// Why, in words.
        why: &'a str,
    },
}

/// Who is told.
#[derive(Default)]
pub(super) struct Observer(Option<Box<Tell>>);

type Tell = dyn FnMut(&Notice<'_>) + Send;

impl Observer {
    pub(super) fn tell(&mut self, notice: &Notice<'_>) {
        if let Some(tell) = &mut self.0 {
            tell(notice);
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Observer").field(&self.0.is_some()).finish()
    }
}

impl<P: Poller> Switch<P> {
    /// Has `tell` called on the switch's own thread when something happens to a port: it must not
    /// wait for anybody. Clients cause notices as often as they like to connect.
    pub fn set_observer(&mut self, tell: impl FnMut(&Notice<'_>) + Send + 'static) {
        self.observer = Observer(Some(Box::new(tell)));
    }
}
