//! How a network reaches the host's: a pair into a bridge, or an interface as it is; kept in repair
//! by a thread of its own.
//!
//! Whatever was made is taken away when the switch ends, however it is asked to end. SIGKILL asks
//! nothing: then the pair stays, and so do a bridge of its own and a card that was lent to one. The
//! pair and the bridge have tags that say whose they were, and what was lent: the next switch, or
//! `vswitch clean`, takes them away and frees the card.

use ifctl::Events;
use vswitch::MacAddr;
use vswitch::port::linux::{LinkSlot, PacketLink, UplinkPort};
use vswitch::port::unix::Granted;

use super::LinuxError;
use super::interface_stand::InterfaceStand;
use super::keeper::{Keeper, Kept};
use super::stand::{Plan, Stand};
use crate::platform::OpenUplink;
use crate::repairs::Repairs;
use crate::report::{Standing, UplinkState};

/// What was made for an uplink, and the thread that keeps it. Dropped, it is taken away.
#[derive(Debug)]
pub struct Uplink {
    _keeper: Keeper,
}

/// An uplink, and what its socket was granted, if it has one.
pub(super) struct Opened {
    pub(super) uplink: OpenUplink<Uplink>,
    pub(super) granted: Option<Granted>,
}

/// An interface used as it is. Nothing of it is changed; while the socket is open it is
/// promiscuous.
pub(super) fn on_interface(
    name: &str,
    link: PacketLink,
    (uplink, wait): (String, bool),
    addresses: Option<&[MacAddr]>,
    repairs: Repairs,
) -> Result<Opened, LinuxError> {
    let opening = Opening::new(addresses)?;
    let (slot, standing) = (opening.slot.clone(), opening.standing.clone());
    let mut stand = InterfaceStand::new((name, uplink), link, slot, repairs, standing)?;
    stand.make(wait)?;
    opening.opened(name, stand.granted(), Box::new(stand))
}

/// A pair, one end a member of the bridge, the other the switch's.
pub(super) fn on_bridge(
    plan: Plan,
    addresses: Option<&[MacAddr]>,
    repairs: Repairs,
) -> Result<Opened, LinuxError> {
    let opening = Opening::new(addresses)?;
    let (slot, standing) = (opening.slot.clone(), opening.standing.clone());
    let bridge = plan.bridge.clone();
    let mut stand = Stand::new(plan, slot, repairs, standing)?;
    stand.make()?;
    opening.opened(&bridge, stand.granted(), Box::new(stand))
}

/// What is had before the first look at the interfaces, so that nothing is missed.
struct Opening {
    events: Events,
    port: UplinkPort,
    slot: LinkSlot,
    standing: Standing,
}

impl Opening {
    fn new(addresses: Option<&[MacAddr]>) -> Result<Self, LinuxError> {
        let events = Events::open()?;
        let (port, slot) = UplinkPort::waiting(addresses);
        let standing = Standing::new(UplinkState::Waiting, Vec::new());
        Ok(Self { events, port, slot, standing })
    }

    fn opened(
        self,
        name: &str,
        granted: Option<Granted>,
        kept: Box<dyn Kept>,
    ) -> Result<Opened, LinuxError> {
        let keeper = Keeper::start(name, kept, self.events).map_err(LinuxError::Keeper)?;
        let (port, standing) = (Box::new(self.port), self.standing);
        let uplink = OpenUplink { port, made: Uplink { _keeper: keeper }, standing };
        Ok(Opened { uplink, granted })
    }
}
