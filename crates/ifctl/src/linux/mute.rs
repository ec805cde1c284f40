//! An interface on which the host's own stack says nothing: no ARP, no IPv6.

use std::{fs, io};

use super::link::{self, Link};
use super::socket::RouteSocket;
use crate::{Call, Error, Flags};

/// Mutes `link`. Best done before it is up; the addresses that it has are lost then.
///
/// Three things, each for a reason. `IFF_NOARP`: by default an interface answers ARP for every
/// address of the host (net/ipv4/arp.c), so the end of a pair would answer for the bridge's.
/// No generated IPv6 addresses: there is no moment in which it has one. `disable_ipv6`: even
/// without an address, IPv6 reports multicast groups (net/ipv6/mcast.c) and solicits routers.
/// That last one can be set through /proc/sys only, and is read back through rtnetlink.
pub(super) fn mute(socket: &mut RouteSocket, call: &Call, link: Link) -> Result<(), Error> {
    let quiet = link::set_flag(link.index, Flags::NOARP, true);
    socket.change(quiet, 0).map_err(|failure| failure.of(call))?;
    if link.ipv6.is_none() {
        return Ok(()); // the kernel has no IPv6, or none for this interface
    }
    let none = link::set_no_ipv6_addresses(link.index);
    socket.change(none, 0).map_err(|failure| failure.of(call))?;
    if is_without_ipv6(socket, call, link.index)? {
        return Ok(());
    }
    // /proc/sys/net shows the namespace of the thread that looks. Elsewhere, the same name is
    // somebody else's interface.
    if !socket.is_in_this_thread() {
        return Err(Error::OtherNamespace { call: call.clone() });
    }
    // `all` and `default` are no interfaces there, and the kernel gives those that are named so no
    // IPv6 (net/core, `sysctl_dev_name_is_allowed`); they do not come here, but the price of
    // a mistake is the whole host's IPv6.
    let path = format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", link.name);
    let not_muted = |source| Error::NotMuted { call: call.clone(), path: path.clone(), source };
    if matches!(link.name.as_str(), "all" | "default") {
        return Err(not_muted(io::ErrorKind::InvalidFilename.into()));
    }
    fs::write(&path, "1").map_err(not_muted)?;
    if is_without_ipv6(socket, call, link.index)? {
        return Ok(());
    }
    Err(not_muted(io::Error::other("it was written, and changed nothing")))
}

fn is_without_ipv6(socket: &mut RouteSocket, call: &Call, index: u32) -> Result<bool, Error> {
    let link =
        socket.one(link::get_by_index(index), Link::read).map_err(|failure| failure.of(call))?;
    Ok(link.ipv6.is_none_or(|ipv6| ipv6.is_disabled))
}
