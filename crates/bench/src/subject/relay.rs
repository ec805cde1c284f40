//! The bare relays, each a process of this program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::relay_process::{Relay, plug_a_guest, ready};
use super::wiring::{self, ADDRESSES, Wiring, datagram_place, socket_path};
use super::{Programs, Rig};
use crate::failure::{Failure, Result};
use crate::load::Place;
use crate::system::namespace::Namespace;
use crate::system::socket::Buffers;

/// Room for a TAP's largest frame with its header.
const TAP_FRAME_BYTES: usize = 65_600;

/// By what it reaches interfaces, and how it waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Packet sockets, and TAPs without a header.
    Plain,
    /// The same, waiting by epoll where the others do by poll: with one pair.
    Epoll,
    /// TAPs with virtio-net headers.
    Vnet,
    /// `AF_XDP`.
    Xdp,
    /// A packet socket that receives by a ring.
    Ring,
}

impl Kind {
    /// The kind of side by which such a relay reaches an interface.
    const fn side_at_an_interface(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Ring => "ring",
            Self::Plain | Self::Epoll | Self::Vnet => "packet",
        }
    }
}

pub(super) fn start(wiring: &Wiring, programs: &Programs, batch: usize, by: Kind) -> Result<Rig> {
    let mut rig = Rig::empty()?;
    let socket = |number| socket_path(rig.path(), number).display().to_string();
    let (first, second) = (socket(0), socket(1));
    let relay = |a: String, b: String, frame_bytes| {
        let relay = Relay { batch, frame_bytes, pairs: 1, epoll: by == Kind::Epoll };
        relay.command(&programs.own, &a, &b)
    };
    let stream_at = |rig: &Rig, end| Place::Stream { path: socket_path(rig.path(), end) };
    let datagram_at = |rig: &Rig, end| datagram_place(rig.path(), end, true, Buffers::Large);
    match *wiring {
        Wiring::Datagrams { ends, connected, buffers, idle: 0, frame_bytes } => {
            let relay = Relay { batch, frame_bytes, pairs: ends / 2, epoll: by == Kind::Epoll };
            start_pairs(&mut rig, programs, "gram", &relay, |directory, end, path| {
                let own = directory.join(format!("end{end}"));
                Place::Datagram { path, own, connected, buffers }
            })?;
        }
        Wiring::Streams => {
            let sides = (format!("stream:{first}"), format!("stream:{second}"));
            rig.process = Some(ready(relay(sides.0, sides.1, 0))?);
            rig.places = vec![stream_at(&rig, 0), stream_at(&rig, 1)];
        }
        Wiring::Shared { ends, frame_bytes } => {
            let relay = Relay { batch, frame_bytes, pairs: ends / 2, epoll: false };
            let place = |_: &Path, _, path| Place::Shared { path, frame_bytes };
            start_pairs(&mut rig, programs, "shared", &relay, place)?;
        }
        Wiring::StreamToDatagram { frame_bytes } => {
            let sides = (format!("stream:{first}"), format!("gram:{second}"));
            rig.process = Some(ready(relay(sides.0, sides.1, frame_bytes))?);
            rig.places = vec![stream_at(&rig, 0), datagram_at(&rig, 1)];
        }
        Wiring::DatagramToBridge { frame_bytes } => {
            let mtu = wiring::mtu_of(frame_bytes);
            let host = wiring::host_with_bridge(mtu, None)?;
            let name = wiring::join_bridge(&host, "lan", mtu)?;
            let card = wiring::join_bridge(&host, "own", mtu)?;
            wiring::without_offload(&host, &card)?;
            let kind = by.side_at_an_interface();
            let command = relay(format!("gram:{first}"), format!("{kind}:{card}"), frame_bytes);
            rig.process = Some(host.inside(move || ready(command))?);
            rig.places = vec![datagram_at(&rig, 0), Place::Interface { name, namespace: host }];
        }
        Wiring::Taps { mtu, offload } => {
            let kind = if by == Kind::Vnet { "vnet-tap" } else { "tap" };
            let command = relay(format!("{kind}:t0"), format!("{kind}:t1"), TAP_FRAME_BYTES);
            let host = Arc::new(Namespace::new()?);
            rig.process = Some(host.inside(move || ready(command))?);
            wiring::move_taps(&mut rig, &host, mtu, offload)?;
        }
        Wiring::HostAndGuest { inwards } => {
            let host = wiring::host_with_bridge(1500, Some(ADDRESSES[0]))?;
            let card = wiring::join_bridge(&host, "own", 1500)?;
            // Both ends: what the host's stack sends is to come in frames of the MTU.
            wiring::without_offload(&host, "ownm")?;
            wiring::without_offload(&host, &card)?;
            let command = relay(format!("gram:{first}"), format!("packet:{card}"), 2048);
            rig.process = Some(host.inside(move || ready(command))?);
            plug_a_guest(&mut rig, programs, host, inwards)?;
        }
        Wiring::Datagrams { .. } | Wiring::TapToBridge { .. } | Wiring::Guests(_) => {
            return Err(Failure::new("wire a relay", "it has two ends and no ports beside them"));
        }
    }
    Ok(rig)
}

/// Ends 2n and 2n+1 are a pair; the `{}` of a relay's path is the pair's number. `place` says from
/// the rig's directory, an end's number and the relay's path for it how the end is attached.
fn start_pairs(
    rig: &mut Rig,
    programs: &Programs,
    kind: &str,
    relay: &Relay,
    place: impl Fn(&Path, usize, PathBuf) -> Place,
) -> Result<()> {
    let directory = rig.path();
    let [a, b] = ["a{}", "b{}"].map(|name| format!("{kind}:{}", directory.join(name).display()));
    let process = ready(relay.command(&programs.own, &a, &b))?;
    let path = |end| directory.join(format!("{}{}", ["a", "b"][end % 2], end / 2));
    rig.places = (0..2 * relay.pairs).map(|end| place(directory, end, path(end))).collect();
    rig.process = Some(process);
    Ok(())
}
