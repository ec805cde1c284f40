//! The interfaces of an XNU.

use std::collections::HashMap;

use ifctl::xnu::{Interfaces, Owner};
use ifctl::{Error, Interface, Kind, OperState, Tag};
use xnu_sys::Kernel;

use crate::doctor::facts::{Bridge, Link, Links, Maker, SpanningTree};

pub(super) fn gather<K: Kernel>(
    interfaces: &Interfaces<K>,
    is_alive: &dyn Fn(Owner) -> bool,
) -> Result<Links, Error> {
    let all = interfaces.list()?;
    let tags: HashMap<String, Tag> = interfaces.tagged()?.into_iter().collect();
    let names: HashMap<u32, &str> = all.iter().map(|one| (one.index, one.name.as_str())).collect();
    let links = all.iter().map(|one| {
        let maker = |tag: &Tag| Maker {
            pid: tag.owner().pid,
            is_alive: is_alive(tag.owner()),
            label: tag.label().to_owned(),
        };
        let peer = one.peer_index.and_then(|peer| names.get(&peer)).map(|&name| name.to_owned());
        Link {
            made_by: tags.get(&one.name).map(maker),
            is_wireless: interfaces.is_wireless(&one.name).ok(),
            peer,
            ..link(one)
        }
    });
    let is_bridge = |one: &&Interface| one.kind == Kind::Bridge;
    let bridges = all.iter().filter(is_bridge);
    let bridges = bridges.filter_map(|one| bridge(interfaces, &one.name)).collect();
    Ok(Links { all: links.collect(), bridges, translates_wireless: true })
}

fn link(one: &Interface) -> Link {
    Link {
        name: one.name.clone(),
        kind: one.kind.clone(),
        is_up: one.is_up(),
        has_carrier: matches!(one.state, OperState::Up | OperState::Unknown),
        mtu: one.mtu,
        master: one.master.clone(),
        peer: None,
        is_ethernet: one.mac.is_some() && one.kind != Kind::Loopback,
        has_addresses: Link::is_routed(&one.addresses),
        is_wireless: None,
        made_by: None,
        unwanted_offloads: Vec::new(),
    }
}

/// More of a bridge; nothing when it went away meanwhile.
fn bridge<K: Kernel>(interfaces: &Interfaces<K>, name: &str) -> Option<Bridge> {
    let members = interfaces.members(name).ok()?;
    Some(Bridge {
        name: name.to_owned(),
        spanning_tree: SpanningTree::Unknown,
        is_filtered: None,
        members: members.into_iter().map(|member| (member.name, member.state)).collect(),
    })
}
