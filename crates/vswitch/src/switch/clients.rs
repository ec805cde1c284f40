//! How a listener's clients become ports.

use super::{PortSettings, Switch, WhenGone};
use crate::fabric::PortIndex;
use crate::poller::{Interest, Poller};
use crate::port::Port;

impl<P: Poller> Switch<P> {
    pub(super) fn accept(&mut self, index: PortIndex) {
        for _ in 0..ACCEPTS_PER_TURN {
            let again_at = self.now + ACCEPT_PAUSE;
            let Some(state) = self.listener_mut(index) else { return };
            match state.listener.accept() {
                Ok(Some(client)) => self.welcome(index, client),
                Ok(None) => return,
                Err(error) => {
                    let name = state.settings.name.clone();
                    state.accept_again_at = again_at;
                    let source = state.listener.source();
                    let token = self.token(index);
                    // Level-triggered: without this the loop would spin on a client it cannot take.
                    let paused = self.poller.modify(source, token, Interest::default());
                    self.due_at(again_at);
                    if self.throttle.allows(self.now) {
                        tracing::warn!(port = name, %error, ?paused, "cannot take a client");
                    }
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, index: PortIndex, client: Box<dyn Port>) {
        let Some(state) = self.listener_mut(index) else { return };
        if state.clients >= state.settings.clients_max {
            state.turned_away += 1;
            let (name, most) = (state.settings.name.clone(), state.settings.clients_max);
            if self.throttle.allows(self.now) {
                tracing::warn!(
                    port = name,
                    most,
                    "client turned away: there are as many as may be"
                );
            }
            return;
        }
        state.accepted += 1;
        let settings = PortSettings {
            name: format!("{}.{}", state.settings.name, state.accepted),
            network: state.settings.network,
            policy: state.settings.policy.clone(),
            when_gone: WhenGone::Remove,
            waits: true,
        };
        let name = settings.name.clone();
        match self.add_port_of(Some(index), settings, client) {
            Ok(_) if self.throttle.allows(self.now) => tracing::info!(port = name, "connected"),
            Ok(_) => {}
            Err(error) => {
                if let Some(state) = self.listener_mut(index) {
                    state.turned_away += 1;
                }
                if self.throttle.allows(self.now) {
                    tracing::warn!(port = name, %error, "client turned away");
                }
            }
        }
    }
}

/// How many clients one turn of a listener takes.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a listener rests when a client cannot be taken, no descriptor being left, say.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
