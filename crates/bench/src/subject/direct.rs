//! No switch: what the ends could do at most.

use super::Rig;
use super::wiring::Wiring;
use crate::failure::{Failure, Result};
use crate::load::Place;

pub(super) fn start(wiring: &Wiring) -> Result<Rig> {
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
