//! How a listener's clients become ports.

use super::{Notice, PortSettings, Switch, WhenGone};
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
        self.make_room(index);
        let Some(state) = self.listener_mut(index) else { return };
        let most = state.settings.clients_max;
        if state.clients >= most {
            return self.turn_away(index, &format!("there are {most} already, as many as may be"));
        }
        let is_link_up = !state.is_link_down;
        let settings = PortSettings {
            name: format!("{}.{}", state.settings.name, state.accepted + 1),
            network: state.settings.network,
            policy: state.settings.policy.clone(),
            when_gone: WhenGone::Remove,
            waits: true,
        };
        let (name, network) = (settings.name.clone(), usize::from(settings.network.0));
        match self.add_port_of(Some(index), settings, client) {
            Ok(client) => {
                if let Some(state) = self.listener_mut(index) {
                    state.accepted += 1;
                }
                self.set_link(client, is_link_up);
                if self.throttle.allows(self.now) {
                    tracing::info!(port = name, "connected");
                }
                let network = &self.networks[network].name;
                self.observer.tell(&Notice::ClientJoined { network, port: &name });
            }
            Err(error) => self.turn_away(index, &error.to_string()),
        }
    }

    fn turn_away(&mut self, index: PortIndex, why: &str) {
        let now = self.now;
        let Some(state) = self.listener_mut(index) else { return };
        state.turned_away += 1;
        let (listener, network) = (state.settings.name.clone(), state.settings.network);
        if self.throttle.allows(now) {
            tracing::warn!(port = listener, why, "client turned away");
        }
        let network = &self.networks[usize::from(network.0)].name;
        self.observer.tell(&Notice::ClientTurnedAway { network, listener: &listener, why });
    }

    /// Has the clients of a listener that has as many as may be looked after before their time: one
    /// may have gone by what no event tells, and the next may be the same machine, started again.
    fn make_room(&mut self, index: PortIndex) {
        let now = self.now;
        let Some(state) = self.listener_mut(index) else { return };
        if state.clients < state.settings.clients_max || now < state.ask_clients_at {
            return;
        }
        state.ask_clients_at = now + ASK_CLIENTS_EVERY;
        for client in self.clients_of(index) {
            self.look_after(client);
        }
    }
}

/// How often at most the clients of a full listener are looked after out of turn: as many calls as
/// there are clients.
const ASK_CLIENTS_EVERY: std::time::Duration = std::time::Duration::from_millis(10);

/// How many clients one turn of a listener takes.
const ACCEPTS_PER_TURN: usize = 16;

/// How long a listener rests when a client cannot be taken, no descriptor being left, say.
const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);
