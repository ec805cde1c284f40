//! What an operating system does for the service: a poller, ports, uplinks.
//!
//! [`HostPlatform`](crate::host::HostPlatform) is the one of the system that this runs on. The
//! service itself knows none of them, so that it runs the same on a simulated kernel.

use std::fmt;

use vswitch::MacAddr;
use vswitch::poller::Poller;
use vswitch::port::{Listener, Port};

use crate::access::Access;
use crate::config::{Attachment, UplinkSpec};
use crate::events::Events;
use crate::repairs::Tally;
use crate::report::Standing;

/// One operating system's way to do it.
pub trait Platform {
    /// What waits.
    type Poller: Poller + Send;
    /// What was made for an uplink, taken away when it is dropped.
    type Uplink: fmt::Debug;
    /// Why something could not be had; says what to do where that is known.
    type Error: std::error::Error + Send + Sync + 'static;

    /// A poller.
    ///
    /// # Errors
    /// When the system has none left.
    fn poller(&mut self) -> Result<Self::Poller, Self::Error>;

    /// Two ports that join two loops of one service ([`TrunkPort`]), each direction with room for
    /// frames in `direction_bytes` of buffers.
    ///
    /// # Errors
    /// When the system has no descriptor left, or a service has one loop only here.
    ///
    /// [`TrunkPort`]: vswitch::port::TrunkPort
    fn trunk(&mut self, direction_bytes: usize) -> Result<TrunkEnds, Self::Error>;

    /// Opens what a port is attached to.
    ///
    /// # Errors
    /// When it cannot be had; nothing is left behind then.
    fn attach(&mut self, attachment: Attachment, access: Access) -> Result<Attached, Self::Error>;

    /// Tells there what is repaired of uplinks that are made from now on, and what is waited for.
    fn listen_with(&mut self, _events: Events) {}

    /// What was repaired so far; goes on counting.
    fn tally(&self) -> Tally {
        Tally::default()
    }

    /// Makes an uplink, which is kept in repair until what was made for it is dropped; `None` for
    /// [`UplinkSpec::None`].
    ///
    /// With `addresses`, the ports have no others, and the kernel need pass no frame that is
    /// neither for one of them nor for a group.
    ///
    /// # Errors
    /// When it cannot be had; nothing is left behind then. One that may wait (`,wait`) is had
    /// without what is missing.
    fn uplink(
        &mut self,
        uplink: &UplinkSpec,
        addresses: Option<&[MacAddr]>,
    ) -> Result<Option<OpenUplink<Self::Uplink>>, Self::Error>;
}

/// The two ends of a trunk, each for one loop.
pub type TrunkEnds = (Box<dyn Port>, Box<dyn Port>);

/// What an attachment has become.
#[derive(Debug)]
pub enum Attached {
    /// One port.
    Port(Box<dyn Port>),
    /// A maker of ports.
    Listener(Box<dyn Listener>),
}

/// An uplink that is there.
#[derive(Debug)]
pub struct OpenUplink<U> {
    /// The switch's end.
    pub port: Box<dyn Port>,
    /// What was made for it.
    pub made: U,
    /// How it stands, now and later.
    pub standing: Standing,
}
