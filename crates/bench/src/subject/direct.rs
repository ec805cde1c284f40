//! No switch: what the ends could do at most.

use super::wiring::Wiring;
use super::{Card, Guests, Programs, Rig};
use crate::failure::{Failure, Result};
use crate::load::Place;

pub(super) fn start(wiring: &Wiring, programs: &Programs) -> Result<Rig> {
    if let Wiring::Guests(card) = *wiring {
        return start_guests(card, programs);
    }
    let Wiring::Datagrams { ends: 2, buffers, idle: 0, .. } = *wiring else {
        return Err(Failure::new("join two ends directly", "only two datagram ends can be"));
    };
    let mut rig = Rig::empty()?;
    let own = |end: usize| rig.path().join(format!("end{end}"));
    // Neither can connect before the other is bound: they send to each other's paths.
    rig.places = [(0, 1), (1, 0)]
        .map(|(end, other)| Place::Datagram {
            path: own(other),
            own: own(end),
            connected: false,
            buffers,
        })
        .into();
    Ok(rig)
}

/// Two guests whose QEMUs have each other's socket.
fn start_guests(card: Card, programs: &Programs) -> Result<Rig> {
    let mut rig = Rig::empty()?;
    let [sender, receiver] = [0, 1].map(|end| rig.path().join(format!("end{end}")));
    let receivers = match card {
        Card::Stream => Card::listening(&receiver),
        Card::Datagrams => card.to(&receiver, &sender),
    };
    let cards = [card.to(&sender, &receiver), receivers];
    rig.guests = Some(Guests::boot(programs.guest.as_ref(), cards)?);
    Ok(rig)
}
