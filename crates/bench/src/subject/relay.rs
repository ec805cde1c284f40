//! The bare relays, each a process of this program.

use std::path::PathBuf;
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
            let [a, b] = pair_of_paths(&rig, "gram");
            let epoll = by == Kind::Epoll;
            let relay = Relay { batch, frame_bytes, pairs: ends / 2, epoll };
            rig.process = Some(ready(relay.command(&programs.own, &a, &b))?);
            let own = |end| rig.path().join(format!("end{end}"));
            let place = |end| Place::Datagram {
                path: path_of(&rig, end),
                own: own(end),
                connected,
                buffers,
            };
            rig.places = (0..ends).map(place).collect();
        }
        Wiring::Streams => {
            let sides = (format!("stream:{first}"), format!("stream:{second}"));
            rig.process = Some(ready(relay(sides.0, sides.1, 0))?);
            rig.places = vec![stream_at(&rig, 0), stream_at(&rig, 1)];
        }
        Wiring::Shared { ends, frame_bytes } => {
            let [a, b] = pair_of_paths(&rig, "shared");
            let relay = Relay { batch, frame_bytes, pairs: ends / 2, epoll: true };
            rig.process = Some(ready(relay.command(&programs.own, &a, &b))?);
            let place = |end| Place::Shared { path: path_of(&rig, end), frame_bytes };
            rig.places = (0..ends).map(place).collect();
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
            let kind = match by {
                Kind::Xdp => "xdp",
                Kind::Ring => "ring",
                _ => "packet",
            };
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

/// The two sides of a relay of many pairs; the `{}` of a path is the pair's number.
fn pair_of_paths(rig: &Rig, kind: &str) -> [String; 2] {
    ["a{}", "b{}"].map(|name| format!("{kind}:{}", rig.path().join(name).display()))
}

/// Where an end of such a relay is: ends 2n and 2n+1 are pair n.
fn path_of(rig: &Rig, end: usize) -> PathBuf {
    rig.path().join(format!("{}{}", ["a", "b"][end % 2], end / 2))
}
