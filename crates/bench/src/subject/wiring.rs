//! How ends are joined: what is between them is the subject's, the rest is the same for all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Card, Hosts, Rig};
use crate::failure::Result;
use crate::load::Place;
use crate::system::namespace::Namespace;
use crate::system::socket::Buffers;

/// Who is joined to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wiring {
    /// Unix datagram ends, in pairs; connected as vfkit's, or not as QEMU's. Some ports more have
    /// nobody plugged in.
    Datagrams { ends: usize, connected: bool, buffers: Buffers, idle: usize, frame_bytes: usize },
    /// Two stream ends.
    Streams,
    /// Ends in pairs that share memory with what is between them.
    Shared { ends: usize, frame_bytes: usize },
    /// End 0 is a stream, end 1 unix datagrams.
    StreamToDatagram { frame_bytes: usize },
    /// End 0 is unix datagrams, end 1 an interface on a bridge that the subject joins.
    DatagramToBridge { frame_bytes: usize },
    /// Two namespaces with a TAP each, and TCP between them.
    Taps { mtu: u32, offload: bool },
    /// A namespace with a TAP, another on a bridge that the subject joins, and TCP between them.
    TapToBridge { mtu: u32 },
    /// A namespace behind unix datagrams, the host's own stack on a bridge; `inwards` if the host
    /// sends.
    HostAndGuest { inwards: bool },
    /// Two guests under QEMU, with such cards.
    Guests(Card),
}

/// The address of each host, in the order in which they are made.
pub(super) const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// The MTU that lets frames of this length through.
pub(super) fn mtu_of(frame_bytes: usize) -> u32 {
    u32::try_from(frame_bytes.saturating_sub(14)).unwrap_or(1500).max(1500)
}

/// How a switch's datagram ends are attached to the sockets `place{}` of a directory.
pub(super) fn datagram_place(
    directory: &Path,
    number: usize,
    connected: bool,
    buffers: Buffers,
) -> Place {
    let own = directory.join(format!("end{number}"));
    Place::Datagram { path: socket_path(directory, number), own, connected, buffers }
}

/// Where a switch's socket for end `number` is.
pub(super) fn socket_path(directory: &Path, number: usize) -> PathBuf {
    directory.join(format!("port{number}"))
}

/// A namespace that stands for the host, with a bridge `br0` that is up; with an address, if it is
/// to be reached there.
pub(super) fn host_with_bridge(mtu: u32, address: Option<&str>) -> Result<Arc<Namespace>> {
    let host = Namespace::new()?;
    let mut lines =
        vec!["ip link add br0 type bridge".to_owned(), format!("ip link set br0 mtu {mtu} up")];
    lines.extend(address.map(|address| format!("ip address add {address}/24 dev br0")));
    host.run(&lines)?;
    Ok(Arc::new(host))
}

/// A pair of veths in the host, one end in the bridge; the other's name.
pub(super) fn join_bridge(host: &Namespace, name: &str, mtu: u32) -> Result<String> {
    let (member, free) = (format!("{name}m"), format!("{name}x"));
    host.run(&[
        format!("ip link add {free} type veth peer name {member}"),
        format!("ip link set {member} mtu {mtu} master br0 up"),
        format!("ip link set {free} mtu {mtu} up"),
    ])?;
    Ok(free)
}

/// A namespace for one end of a TCP connection, to which `interface` of `host` is moved.
pub(super) fn move_to_a_host(
    host: &Namespace,
    interface: &str,
    address: &str,
    mtu: u32,
) -> Result<Arc<Namespace>> {
    let guest = Arc::new(Namespace::new()?);
    guest.take_from(host, interface)?;
    guest.run(&[
        format!("ip link set {interface} mtu {mtu} up"),
        format!("ip address add {address}/24 dev {interface}"),
    ])?;
    Ok(guest)
}

/// Moves the TAPs `t0` and `t1`, between which something stands, to a host each.
pub(super) fn move_taps(rig: &mut Rig, from: &Namespace, mtu: u32, offload: bool) -> Result<()> {
    let client = move_to_a_host(from, "t0", ADDRESSES[0], mtu)?;
    let server = move_to_a_host(from, "t1", ADDRESSES[1], mtu)?;
    if !offload {
        without_offload(&client, "t0")?;
        without_offload(&server, "t1")?;
    }
    rig.hosts = Some(Hosts { client, server, server_address: ADDRESSES[1] });
    Ok(())
}

/// Switches an interface's segmentation and checksum offloads off.
pub(super) fn without_offload(namespace: &Namespace, interface: &str) -> Result<()> {
    namespace.run(&[format!("ethtool -K {interface} tx off tso off gso off gro off")])
}
