//! Linux: veth pairs, packet sockets, unix sockets, TAPs, epoll.

use std::io;

use ifctl::{Interfaces, Reaped, Tag};
use vswitch::MacAddr;
use vswitch::poller::Epoll;
use vswitch::port::TrunkPort;
use vswitch::port::linux::{
    DatagramPort, PacketLink, PacketPortError, TapError, TapPort, UnixgramPort,
};
use vswitch::port::unix::{
    BufferShortage, Granted, Inherited, InheritedError, PathError, StreamConnectPort,
    StreamListener, VdeListener, given, granted_to_unix_sockets, inherit,
};

use crate::access::Access;
use crate::config::{Attachment, UplinkSpec};
use crate::events::Events;
use crate::platform::{Attached, OpenUplink, Platform, TrunkEnds};
use crate::repairs::{Repairs, Tally};
use crate::socket_path::absolute;

mod contests;
mod interface_stand;
mod keeper;
pub(crate) mod lent;
pub(crate) mod owner;
mod pair;
mod retry;
mod stand;
mod uplink;

pub use uplink::Uplink;

/// This machine.
#[derive(Debug, Default)]
pub struct Linux {
    told: Option<BufferShortage>,
    /// What dead switches left was taken away.
    is_reaped: bool,
    repairs: Repairs,
}

/// Takes away the interfaces that dead switches left behind, and only those: what one made says
/// whose it is ([`ifctl::Tag`]). A card that one lent to a bridge leaves that.
///
/// # Errors
/// [`ifctl::Error`], such as without CAP_NET_ADMIN; what was taken away before stays so.
pub fn reap() -> Result<Vec<(String, Tag)>, ifctl::Error> {
    let mut interfaces = Interfaces::open()?;
    let reaped = interfaces.reap_orphans(owner::is_alive)?;
    for Reaped { tag, .. } in &reaped {
        if let Some(lent) = lent::lent_in(tag)
            && lent::give_back(&mut interfaces, &lent)
        {
            let (interface, bridge) = (lent.member, lent.bridge);
            tracing::info!(interface, bridge, "lent by a dead switch: freed");
        }
    }
    Ok(reaped.into_iter().map(|Reaped { name, tag }| (name, tag)).collect())
}

/// What [`reap`] would take away.
///
/// # Errors
/// [`ifctl::Error`].
pub fn leftovers() -> Result<Vec<(String, Tag)>, ifctl::Error> {
    let mut tagged = Interfaces::open()?.tagged()?;
    tagged.retain(|(_, tag)| !owner::is_alive(tag.owner()));
    Ok(tagged)
}

/// Why something could not be had on Linux.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinuxError {
    /// No poller.
    #[error("epoll: {0}")]
    Poller(#[source] io::Error),
    /// No trunk between two loops.
    #[error("join two threads' loops: {0}")]
    Trunk(#[source] io::Error),
    /// No socket at all.
    #[error("open a socket: {0}")]
    Socket(#[source] io::Error),
    /// A socket's path.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An inherited descriptor.
    #[error(transparent)]
    Inherited(#[from] InheritedError),
    /// A given socket, for the second time.
    #[error("the socket that was given is closed: give another")]
    Taken,
    /// A TAP.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// An interface.
    #[error("{source}{}", advice(.source))]
    Interface {
        /// Why.
        #[from]
        source: ifctl::Error,
    },
    /// The uplink's packet socket.
    #[error(transparent)]
    Packet(#[from] PacketPortError),
    /// An uplink that guests' frames cannot go through.
    #[error("{name} carries no Ethernet frames, its kind is {kind} (choose a network card)")]
    NotEthernet {
        /// The interface.
        name: String,
        /// What it is.
        kind: ifctl::Kind,
    },
    /// No thread that keeps an uplink.
    #[error("start a thread that keeps the uplink: {0}")]
    Keeper(#[source] io::Error),
    /// An interface that comes and goes.
    #[error("{name} comes and goes")]
    Unsettled {
        /// Its name.
        name: String,
    },
    /// `create` for a bridge that is there.
    #[error("{bridge} exists already (leave out \"create\" to join it)")]
    BridgeExists {
        /// The bridge.
        bridge: String,
    },
    /// All names for a pair are taken.
    #[error(
        "all {tried} names for a pair of interfaces are taken (`vswitch if list` shows by what)"
    )]
    NoName {
        /// How many were tried.
        tried: u32,
    },
}

impl LinuxError {
    /// An interface is not there: an event tells when it is.
    fn is_missing(&self) -> bool {
        matches!(self, Self::Interface { source: ifctl::Error::NotFound { .. } })
    }
}

fn advice(error: &ifctl::Error) -> String {
    error.to_do().map(|to_do| format!(" ({to_do})")).unwrap_or_default()
}

impl Platform for Linux {
    type Poller = Epoll;
    type Uplink = Uplink;
    type Error = LinuxError;

    fn poller(&mut self) -> Result<Epoll, LinuxError> {
        Epoll::new().map_err(LinuxError::Poller)
    }

    fn trunk(&mut self, direction_bytes: usize) -> Result<TrunkEnds, LinuxError> {
        let (near, far) = TrunkPort::pair(direction_bytes).map_err(LinuxError::Trunk)?;
        Ok((Box::new(near), Box::new(far)))
    }

    fn attach(&mut self, attachment: Attachment, access: Access) -> Result<Attached, LinuxError> {
        let access = access.of_sockets();
        if !matches!(attachment, Attachment::Tap(_)) {
            self.tell_shortage(granted_to_unix_sockets().map_err(LinuxError::Socket)?);
        }
        Ok(match attachment {
            Attachment::Fd(number) => Attached::Port(match inherit(number)? {
                Inherited::Datagram(socket) => Box::new(DatagramPort::new(socket)),
                Inherited::Stream(stream) => Box::new(stream),
            }),
            Attachment::Given(socket) => {
                let socket = socket.take().ok_or(LinuxError::Taken)?;
                Attached::Port(match given(socket)? {
                    Inherited::Datagram(socket) => Box::new(DatagramPort::private(socket)),
                    Inherited::Stream(stream) => Box::new(stream),
                })
            }
            Attachment::Unixgram(path) => {
                Attached::Port(Box::new(UnixgramPort::bind(&absolute(path), access)?))
            }
            Attachment::Stream(path) => {
                Attached::Listener(Box::new(StreamListener::bind(&absolute(path), access)?))
            }
            Attachment::StreamConnect(path) => {
                Attached::Port(Box::new(StreamConnectPort::new(&absolute(path))?))
            }
            Attachment::Vde(path) => {
                Attached::Listener(Box::new(VdeListener::bind(&absolute(path), access)?))
            }
            Attachment::Tap(name) => Attached::Port(Box::new(self.tap(&name)?)),
        })
    }

    fn listen_with(&mut self, events: Events) {
        self.repairs.tell_to(events);
    }

    fn tally(&self) -> Tally {
        self.repairs.tally()
    }

    fn uplink(
        &mut self,
        uplink: &UplinkSpec,
        addresses: Option<&[MacAddr]>,
    ) -> Result<Option<OpenUplink<Uplink>>, LinuxError> {
        let (repairs, words) = (self.repairs.clone(), uplink.to_string());
        let opened = match uplink {
            UplinkSpec::None => return Ok(None),
            UplinkSpec::Interface { name, messages, wait } => {
                let link = match messages {
                    true => PacketLink::Messages,
                    false => PacketLink::Interface,
                };
                uplink::on_interface(name, link, (words, *wait), addresses, repairs)?
            }
            UplinkSpec::Bridge { bridge, create, member, messages, wait } => {
                self.reap_once();
                let plan = stand::Plan {
                    bridge: bridge.clone(),
                    create: *create,
                    member: member.clone(),
                    link: match messages {
                        true => PacketLink::Messages,
                        false => PacketLink::Pair,
                    },
                    wait: *wait,
                    uplink: words,
                };
                uplink::on_bridge(plan, addresses, repairs)?
            }
        };
        if let Some(granted) = opened.granted {
            self.tell_shortage(granted);
        }
        Ok(Some(opened.uplink))
    }
}

impl Linux {
    /// Before anything is made: a bridge that a dead switch made stands in the way of another, and
    /// its pair has the addresses that the next one's has.
    fn reap_once(&mut self) {
        if std::mem::replace(&mut self.is_reaped, true) {
            return;
        }
        match reap() {
            Ok(reaped) => {
                for (name, tag) in reaped {
                    tracing::info!(interface = name, %tag, "left by a dead switch: taken away");
                }
            }
            // What is to be made now says better what is wrong.
            Err(error) => tracing::debug!(%error, "what dead switches left is not taken away"),
        }
    }

    /// A TAP that did not exist is brought up, since it goes with the port: nobody else could.
    fn tap(&mut self, name: &str) -> Result<TapPort, LinuxError> {
        let mut interfaces = Interfaces::open()?;
        let existed = interfaces.find(name).is_ok();
        let port = TapPort::attach(name)?;
        if !existed {
            interfaces.set_up(name, true)?;
        }
        Ok(port)
    }

    /// Warns of small socket buffers, once for each limit that cuts them.
    fn tell_shortage(&mut self, granted: Granted) {
        let shortage = granted.shortage();
        if shortage.is_some() && self.told != shortage {
            self.told = shortage;
            if let Some(shortage) = shortage {
                tracing::warn!("{shortage}");
            }
        }
    }
}
