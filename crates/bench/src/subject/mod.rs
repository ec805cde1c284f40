//! What is measured: the switch, its yardsticks and its peers, each wired the same way.

mod bridge;
mod crowd;
mod direct;
mod guests;
mod ovs;
mod relay;
mod relay_process;
mod vde;
mod vswitch;
mod wiring;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::{Failure, Result};
use crate::load::Place;
use crate::system::namespace::Namespace;
use crate::system::process::Process;

pub(crate) use guests::{Card, Guests, Image};
pub(crate) use wiring::Wiring;

/// Something that joins ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The switch.
    Vswitch,
    /// The switch, spinning instead of sleeping (`--busy-poll`).
    VswitchBusy,
    /// The switch, with two hundred clients at its control socket.
    VswitchAsked,
    /// Another build of the switch.
    OtherVswitch,
    /// A bare relay with this many frames to a call.
    Relay {
        /// Frames to a call.
        batch: usize,
    },
    /// A bare relay, 32 frames to a call, that waits by epoll with one pair, too.
    EpollRelay,
    /// A bare relay between two stretches of memory that it shares with the ends.
    SharedRelay,
    /// A bare relay whose end at a bridge is `AF_XDP`.
    XdpRelay,
    /// A bare relay that receives from a bridge by a ring.
    RingRelay,
    /// A bare relay between TAPs that passes virtio-net headers and big segments through.
    VnetRelay,
    /// `vde_switch`.
    Vde,
    /// The kernel's own bridge.
    KernelBridge,
    /// Open vSwitch with its datapath in user space.
    Ovs,
    /// Nothing: the ends are joined to each other.
    Direct,
}

impl Subject {
    /// What the report calls it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Vswitch => "vswitch".to_owned(),
            Self::VswitchBusy => "vswitch --busy-poll".to_owned(),
            Self::VswitchAsked => "vswitch --control".to_owned(),
            Self::OtherVswitch => "other vswitch".to_owned(),
            Self::Relay { batch } => format!("relay {batch}"),
            Self::EpollRelay => "relay epoll".to_owned(),
            Self::SharedRelay => "relay shared memory".to_owned(),
            Self::XdpRelay => "relay AF_XDP".to_owned(),
            Self::RingRelay => "relay ring".to_owned(),
            Self::VnetRelay => "relay vnet".to_owned(),
            Self::Vde => "vde_switch".to_owned(),
            Self::KernelBridge => "kernel bridge".to_owned(),
            Self::Ovs => "Open vSwitch (netdev)".to_owned(),
            Self::Direct => "no switch".to_owned(),
        }
    }

    /// Why it cannot be measured here, if it cannot.
    pub(crate) fn missing(self) -> Option<&'static str> {
        use crate::system::program::find;
        match self {
            Self::Vde if find("vde_switch").is_none() => Some("no vde_switch (package vde2)"),
            Self::Ovs if find("ovs-vswitchd").is_none() => {
                Some("no ovs-vswitchd (package openvswitch-switch)")
            }
            _ => None,
        }
    }

    /// Starts it, wired so.
    pub(crate) fn start(self, wiring: &Wiring, programs: &Programs) -> Result<Rig> {
        match self {
            Self::Vswitch => vswitch::start(wiring, programs, &[]),
            Self::VswitchBusy => vswitch::start(wiring, programs, &["--busy-poll"]),
            Self::VswitchAsked => vswitch::start_with_crowd(wiring, programs),
            Self::OtherVswitch => vswitch::start(wiring, &programs.with_other_vswitch()?, &[]),
            Self::Relay { batch } => relay::start(wiring, programs, batch, relay::Kind::Plain),
            Self::EpollRelay => relay::start(wiring, programs, 32, relay::Kind::Epoll),
            Self::SharedRelay => relay::start(wiring, programs, 32, relay::Kind::Plain),
            Self::XdpRelay => relay::start(wiring, programs, 32, relay::Kind::Xdp),
            Self::RingRelay => relay::start(wiring, programs, 32, relay::Kind::Ring),
            Self::VnetRelay => relay::start(wiring, programs, 32, relay::Kind::Vnet),
            Self::Vde => vde::start(wiring),
            Self::KernelBridge => bridge::start(wiring),
            Self::Ovs => ovs::start(wiring),
            Self::Direct => direct::start(wiring, programs),
        }
    }
}

/// The programs that are started.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The switch.
    pub(crate) vswitch: PathBuf,
    /// Another build of it, if one is to be compared with.
    pub(crate) other_vswitch: Option<PathBuf>,
    /// This program, as a relay.
    pub(crate) own: PathBuf,
    /// What QEMU's guests boot, if it is there.
    pub(crate) guest: Option<Image>,
}

impl Programs {
    /// The same with the other build in the switch's place.
    fn with_other_vswitch(&self) -> Result<Self> {
        let other = self.other_vswitch.clone();
        let vswitch = other.ok_or_else(|| Failure::new("start another build", "none is given"))?;
        Ok(Self { vswitch, ..self.clone() })
    }
}

/// Something wired and running. All of it goes when this is dropped, from the first to the last.
#[derive(Debug)]
pub(crate) struct Rig {
    /// Who asks the switch while it is measured, and is to be gone before it.
    crowd: Option<crowd::Crowd>,
    /// The process that is measured; a kernel's bridge has none.
    pub(crate) process: Option<Process>,
    /// Other processes, such as what plugs a namespace into a socket.
    pub(crate) others: Vec<Process>,
    /// Where the ends of a load of frames are.
    pub(crate) places: Vec<Place>,
    /// The two hosts of a TCP connection: which talks to which address.
    pub(crate) hosts: Option<Hosts>,
    /// Two guests that can reach each other.
    pub(crate) guests: Option<Guests>,
    /// Namespaces that nobody else holds.
    keep: Vec<Arc<Namespace>>,
    directory: tempfile::TempDir,
}

/// Two network stacks that can reach each other.
#[derive(Clone, Debug)]
pub(crate) struct Hosts {
    pub(crate) client: Arc<Namespace>,
    pub(crate) server: Arc<Namespace>,
    pub(crate) server_address: &'static str,
}

impl Rig {
    /// A rig with nothing but a directory for sockets.
    fn empty() -> Result<Self> {
        use crate::failure::Trying as _;
        let directory = tempfile::Builder::new().prefix("vswb").tempdir();
        let directory = directory.trying("make a directory for sockets")?;
        Ok(Self {
            process: None,
            others: Vec::new(),
            places: Vec::new(),
            hosts: None,
            guests: None,
            keep: Vec::new(),
            crowd: None,
            directory,
        })
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The process that is measured.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}
