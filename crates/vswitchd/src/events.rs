//! What happens, told to whoever listens, as it happens.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast};
use utoipa::ToSchema;
use vswitch::switch::Notice;

use crate::report::Applied;

/// How many events wait for a listener that is slow; then it loses the oldest, and is told how many
/// those were.
pub const EVENTS_KEPT: usize = 1024;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names say it")]
pub enum Event {
    /// The first that a listener is told: from here on it misses nothing, but what it is told of.
    Listening {
        version: String,
    },
    /// The switch ends: nothing more is told.
    Ending,
    /// The listener was slow: so many events were not told.
    Lost {
        events: u64,
    },
    PortAdded {
        network: String,
        port: String,
    },
    PortRemoved {
        network: String,
        port: String,
    },
    /// The port's other end is gone for good.
    PortEnded {
        network: String,
        port: String,
        why: String,
    },
    /// A port's link was taken down or up.
    LinkChanged {
        network: String,
        port: String,
        is_up: bool,
    },
    /// A network has another uplink, `none` included.
    UplinkChanged {
        network: String,
        uplink: String,
    },
    /// A listener has a client more.
    ClientJoined {
        network: String,
        port: String,
    },
    /// A listener did not take a client.
    ClientTurnedAway {
        network: String,
        port: String,
        why: String,
    },
    /// Something that was lost outside was had again: a bridge, a membership, a pair.
    Repaired {
        object: String,
        what: String,
    },
    /// Something of an uplink's is undone again and again: it is repaired less often from now on.
    Contested {
        object: String,
        what: String,
    },
    /// An uplink stands on something that is missing, and waits for it.
    UplinkWaiting {
        uplink: String,
        why: String,
    },
    /// All that an uplink waited for is there.
    UplinkThere {
        uplink: String,
    },
    /// The configuration was read again.
    Reloaded {
        #[serde(flatten)]
        applied: Applied,
    },
}

/// An event, and when it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct EventRecord {
    /// Milliseconds since 1970, UTC.
    pub unix_ms: u64,
    #[serde(flatten)]
    pub event: Event,
}

impl EventRecord {
    /// Happened now.
    #[must_use]
    pub fn now(event: Event) -> Self {
        Self { unix_ms: unix_ms(), event }
    }
}

/// Milliseconds since 1970, UTC.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Tells events to all that listen. Telling waits for nobody.
#[derive(Clone, Debug)]
pub struct Events {
    told: broadcast::Sender<EventRecord>,
    /// A port that is no listener's client has ended.
    port_ended: Arc<Notify>,
}

impl Default for Events {
    fn default() -> Self {
        Self { told: broadcast::Sender::new(EVENTS_KEPT), port_ended: Arc::default() }
    }
}

impl Events {
    /// Tells all that listen now.
    pub fn tell(&self, event: Event) {
        // Nobody listening is no failure.
        let _ = self.told.send(EventRecord::now(event));
    }

    /// What is told from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<EventRecord> {
        self.told.subscribe()
    }

    /// Waits until a port that is no listener's client has ended since this was waited for last.
    pub(crate) async fn port_ended(&self) {
        self.port_ended.notified().await;
    }

    /// Tells what a loop notices.
    pub(crate) fn notice(&self, notice: &Notice<'_>) {
        if let Notice::PortEnded { is_client: false, .. } = notice {
            self.port_ended.notify_one();
        }
        // Most of the time nobody listens, and clients come as often as they like.
        if self.told.receiver_count() == 0 {
            return;
        }
        self.tell(match *notice {
            Notice::PortEnded { network, port, why, .. } => Event::PortEnded {
                network: network.to_owned(),
                port: port.to_owned(),
                why: why.to_string(),
            },
            Notice::ClientJoined { network, port } => {
                Event::ClientJoined { network: network.to_owned(), port: port.to_owned() }
            }
            Notice::ClientTurnedAway { network, listener, why } => Event::ClientTurnedAway {
                network: network.to_owned(),
                port: listener.to_owned(),
                why: why.to_owned(),
            },
            _ => return,
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    fn added(number: usize) -> Event {
        Event::PortAdded { network: "lan".to_owned(), port: format!("vm{number}") }
    }

    #[test]
    fn a_slow_listener_loses_the_oldest_and_is_told_how_many() {
        let events = Events::default();
        events.tell(added(0));
        let mut listener = events.listen();
        for number in 1..=EVENTS_KEPT + 7 {
            events.tell(added(number));
        }
        assert_eq!(listener.try_recv(), Err(TryRecvError::Lagged(7)));
        assert_eq!(listener.try_recv().map(|told| told.event), Ok(added(8)));
    }

    #[test]
    fn an_event_is_one_flat_object() {
        let applied = Applied { added: vec!["lan/vm1".to_owned()], ..Applied::default() };
        let record = EventRecord { unix_ms: 7, event: Event::Reloaded { applied } };
        assert_eq!(
            serde_json::to_value(&record).unwrap(),
            serde_json::json!({
                "unix_ms": 7, "event": "reloaded",
                "added": ["lan/vm1"], "removed": [], "changed": [], "failed": [],
            })
        );
    }
}
