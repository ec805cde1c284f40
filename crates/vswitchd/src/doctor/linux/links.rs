//! The interfaces of the calling thread's network namespace.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use ifctl::{Error, Flags, Interface, Interfaces, Kind, Tag};
use vswitch::offload::Offloads;
use vswitch::port::linux::kernel_offloads;

use super::settings;
use crate::doctor::facts::{Bridge, Link, Links, Maker, SpanningTree};
use crate::linux::lent::bridge_in;
use crate::linux::owner::is_alive;

/// Where the kernel tells of interfaces in files: those of the network namespace in which it was
/// mounted, which may be another one.
const SYSFS: &str = "/sys/class/net";

pub(super) fn gather() -> Result<Links, Error> {
    let mut interfaces = Interfaces::open()?;
    let all = interfaces.list()?;
    let tags: HashMap<String, Tag> = interfaces.tagged()?.into_iter().collect();
    let names: HashMap<u32, &str> = all.iter().map(|one| (one.index, one.name.as_str())).collect();
    let mut links = Vec::new();
    for one in &all {
        let mut link = link(one, &tags);
        link.peer = one.peer_index.and_then(|peer| names.get(&peer)).map(|&name| name.to_owned());
        links.push(link);
    }
    add_offloads(&mut interfaces, &mut links);
    let is_bridge = |one: &&Interface| one.kind == Kind::Bridge;
    let bridges = all.iter().filter(is_bridge);
    let bridges = bridges.filter_map(|one| bridge(&mut interfaces, &one.name)).collect();
    Ok(Links { all: links, bridges, translates_wireless: false })
}

fn link(one: &Interface, tags: &HashMap<String, Tag>) -> Link {
    let maker = |tag: &Tag| Maker {
        pid: tag.owner().pid,
        is_alive: is_alive(tag.owner()),
        label: bridge_in(tag).to_owned(),
    };
    Link {
        name: one.name.clone(),
        kind: one.kind.clone(),
        is_up: one.is_up(),
        has_carrier: one.flags.contains(Flags::LOWER_UP),
        mtu: one.mtu,
        master: one.master.clone(),
        peer: None,
        is_ethernet: one.mac.is_some() && one.kind != Kind::Loopback,
        has_addresses: Link::is_routed(&one.addresses),
        is_wireless: is_wireless(Path::new(SYSFS), &one.name, one.index),
        made_by: tags.get(&one.name).map(maker),
        unwanted_offloads: Vec::new(),
    }
}

/// Whether an interface is a wireless card, by the files that cfg80211 makes for one; nothing where
/// the files are another namespace's.
fn is_wireless(sysfs: &Path, name: &str, index: u32) -> Option<bool> {
    // A name holds no '/', and is neither "." nor "..": the kernel sees to it (dev_valid_name).
    let files = sysfs.join(name);
    let told: u32 = fs::read_to_string(files.join("ifindex")).ok()?.trim().parse().ok()?;
    (told == index).then(|| files.join("phy80211").exists() || files.join("wireless").exists())
}

/// Adds to the switches' own pairs which offloads are on that the switch turned off.
fn add_offloads(interfaces: &mut Interfaces, links: &mut [Link]) {
    let uso = kernel_offloads().contains(Offloads::USO);
    let made: Vec<String> = links
        .iter()
        .filter(|link| link.made_by.is_some() && link.kind == Kind::Veth)
        .flat_map(|link| [Some(link.name.clone()), link.peer.clone()])
        .flatten()
        .collect();
    for link in links.iter_mut().filter(|link| made.contains(&link.name)) {
        // One that went away meanwhile has none.
        let on = interfaces.offloads_beyond_virtio(&link.name, uso);
        link.unwanted_offloads = on.unwrap_or_default();
    }
}

/// More of a bridge; nothing when it went away meanwhile.
fn bridge(interfaces: &mut Interfaces, name: &str) -> Option<Bridge> {
    let settings = interfaces.bridge_settings(name).ok()?;
    let members = interfaces.members(name).ok()?;
    let for_all = ["net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables"];
    let for_all = for_all.map(settings::number);
    // Without the module there is no setting, and nothing is filtered.
    let is_loaded = for_all.iter().any(Option::is_some);
    let own = settings.calls_iptables || settings.calls_ip6tables;
    let is_filtered = is_loaded && (own || for_all.contains(&Some(1)));
    Some(Bridge {
        name: name.to_owned(),
        spanning_tree: match settings.spanning_tree {
            true => SpanningTree::On(settings.forward_delay),
            false => SpanningTree::Off,
        },
        is_filtered: Some(is_filtered),
        members: members.into_iter().map(|member| (member.name, member.state)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wireless_card_is_known_by_its_files_if_they_are_of_this_namespace() {
        let dir = testkit::scratch_dir();
        let card = |name: &str, index: &str, has: Option<&str>| {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("ifindex"), index).unwrap();
            if let Some(has) = has {
                fs::create_dir(dir.path().join(name).join(has)).unwrap();
            }
        };
        card("wlan0", "3\n", Some("phy80211"));
        card("wlan1", "4\n", Some("wireless"));
        card("eth0", "2\n", None);
        let is = |name, index| is_wireless(dir.path(), name, index);
        assert_eq!(is("wlan0", 3), Some(true));
        assert_eq!(is("wlan1", 4), Some(true));
        assert_eq!(is("eth0", 2), Some(false));
        assert_eq!(is("wlan0", 7), None, "another namespace's of the same name");
        assert_eq!(is("eth9", 9), None);
    }
}
