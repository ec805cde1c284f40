//! The kernel's bridge, with veths or TAPs in it.

use std::sync::Arc;

use super::wiring::{self, ADDRESSES, Wiring};
use super::{Hosts, Rig};
use crate::failure::{Failure, Result};
use crate::load::Place;

pub(super) fn start(wiring: &Wiring) -> Result<Rig> {
    let mut rig = Rig::empty()?;
    match *wiring {
        Wiring::Taps { mtu, offload } => tcp(&mut rig, mtu, offload)?,
        Wiring::TapToBridge { mtu } => tcp(&mut rig, mtu, true)?,
        Wiring::DatagramToBridge { frame_bytes } => {
            let mtu = wiring::mtu_of(frame_bytes);
            let host = wiring::host_with_bridge(mtu, None)?;
            for name in ["one", "two"] {
                let name = wiring::join_bridge(&host, name, mtu)?;
                rig.places.push(Place::Interface { name, namespace: Arc::clone(&host) });
            }
        }
        _ => return Err(Failure::new("wire the kernel's bridge", "it has no sockets")),
    }
    Ok(rig)
}

fn tcp(rig: &mut Rig, mtu: u32, offload: bool) -> Result<()> {
    let host = wiring::host_with_bridge(mtu, None)?;
    let mut ends = Vec::new();
    for (name, address) in ["one", "two"].into_iter().zip(ADDRESSES) {
        let free = wiring::join_bridge(&host, name, mtu)?;
        let end = wiring::move_to_a_host(&host, &free, address, mtu)?;
        if !offload {
            wiring::without_offload(&end, &free)?;
            wiring::without_offload(&host, &format!("{name}m"))?;
        }
        ends.push(end);
    }
    // The bridge is the host's: it is there as long as a veth in it is.
    if let [client, server] = &ends[..] {
        let (client, server) = (Arc::clone(client), Arc::clone(server));
        rig.hosts = Some(Hosts { client, server, server_address: ADDRESSES[1] });
    }
    rig.keep.push(host);
    Ok(())
}
