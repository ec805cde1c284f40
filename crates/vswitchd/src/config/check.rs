//! What does not go together, though each part is well written.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Attachment, NAME_RULE, Network, UplinkSpec, is_name};

/// The uplink's name among the ports.
pub const UPLINK_NAME: &str = "uplink";

/// Two things of which there can be one only, or a thing that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Conflict {
    /// Where the second of them stands.
    pub place: Place,
    what: String,
}

/// A part of a configuration, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Place {
    Network(usize),
    Uplink(usize),
    Port(usize, usize),
    /// A port's address.
    Mac(usize, usize),
}

/// Looks at networks that are to be up at once.
///
/// # Errors
/// [`Conflict`], the first.
pub fn check(networks: &[Network]) -> Result<(), Conflict> {
    let mut seen = Seen::default();
    for (place, network) in networks.iter().enumerate() {
        seen.network(place, network)?;
        for (number, port) in network.ports.iter().enumerate() {
            let here = Place::Port(place, number);
            let at = format!("{}/{}", network.name, port.name);
            if !is_name(&port.name) {
                return conflict(here, format!("{:?} is no name ({NAME_RULE})", port.name));
            }
            if port.name == UPLINK_NAME {
                let what = "there are two ports named uplink: that is the uplink".to_owned();
                return conflict(here, what);
            }
            if first(&mut seen.ports, (place, port.name.clone()), "").is_some() {
                return conflict(here, format!("there are two ports named {}", port.name));
            }
            if let Some(mac) = port.mac
                && let Some(other) = first(&mut seen.macs, (place, mac), &at)
            {
                let here = Place::Mac(place, number);
                return conflict(here, format!("{mac} is the address of port {other} already"));
            }
            if let Some(object) = object(&port.attachment)
                && let Some(other) = first(&mut seen.objects, object.clone(), &at)
            {
                let what = format!("port {at} cannot have {object}: port {other} has it already");
                return conflict(here, what);
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    networks: HashMap<String, String>,
    uplinks: HashMap<String, String>,
    ports: HashMap<(usize, String), String>,
    macs: HashMap<(usize, vswitch::MacAddr), String>,
    objects: HashMap<String, String>,
}

impl Seen {
    fn network(&mut self, place: usize, network: &Network) -> Result<(), Conflict> {
        let name = &network.name;
        if !is_name(name) {
            return conflict(Place::Network(place), format!("{name:?} is no name ({NAME_RULE})"));
        }
        if first(&mut self.networks, name.clone(), "").is_some() {
            let what = format!("there are two networks named {name}");
            return conflict(Place::Network(place), what);
        }
        let interface = match &network.uplink {
            UplinkSpec::None => return Ok(()),
            UplinkSpec::Bridge { bridge, .. } => bridge,
            UplinkSpec::Interface { name, .. } => name,
        };
        match first(&mut self.uplinks, interface.clone(), name) {
            None => Ok(()),
            Some(other) => conflict(
                Place::Uplink(place),
                format!("{interface} is the uplink of network {other} already"),
            ),
        }
    }
}

/// Notes that `key` is `whose`; whose it was already, if it was.
fn first<K: Hash + Eq>(seen: &mut HashMap<K, String>, key: K, whose: &str) -> Option<String> {
    let before = seen.get(&key).cloned();
    seen.entry(key).or_insert_with(|| whose.to_owned());
    before
}

fn conflict<T>(place: Place, what: String) -> Result<T, Conflict> {
    Err(Conflict { place, what })
}

/// What only one port can be attached to: sockets at one path are one, whatever their kind.
fn object(attachment: &Attachment) -> Option<String> {
    match attachment {
        Attachment::Unixgram(at) | Attachment::Stream(at) | Attachment::Vde(at) => {
            Some(at.display().to_string())
        }
        Attachment::Fd(_) | Attachment::Tap(_) => Some(attachment.to_string()),
        // Somebody else's socket, which may take many.
        Attachment::StreamConnect(_) => None,
        Attachment::Given(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;

    fn network(name: &str, uplink: &str, ports: &[&str]) -> Network {
        Network {
            name: name.into(),
            uplink: uplink.parse().unwrap(),
            ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
            access: Access::from_options(None, None, None).unwrap(),
        }
    }

    fn found(networks: &[Network]) -> (Place, String) {
        let conflict = check(networks).unwrap_err();
        (conflict.place, conflict.to_string())
    }

    #[test]
    fn what_goes_together_is_no_conflict() {
        let a = network(
            "a",
            "bridge:br0",
            &["vm1=unixgram:/a", "vm2=stream-connect:/q,mac=02:00:00:00:00:01"],
        );
        let b = network("b", "none", &["vm1=unixgram:/b", "vm2=stream:/c,mac=02:00:00:00:00:01"]);
        assert_eq!(check(&[a, b]), Ok(()));
        assert_eq!(check(&[]), Ok(()));
    }

    #[test]
    fn the_second_of_two_is_told() {
        let mac = ",mac=02:00:00:00:00:01";
        let cases = [
            (network("a", "none", &[]), Place::Network(1), "two networks named a"),
            (network("b", "iface:br0", &[]), Place::Uplink(1), "br0 is the uplink of network a"),
            (
                network("b", "none", &["x=fd:3", "y=stream:/a"]),
                Place::Port(1, 1),
                "port b/y cannot have /a: port a/vm1 has it already",
            ),
            (
                network("b", "none", &["x=vde:/a"]),
                Place::Port(1, 0),
                "port b/x cannot have /a: port a/vm1 has it already",
            ),
            (network("b", "none", &["x=fd:4", "x=fd:5"]), Place::Port(1, 1), "two ports named x"),
            (network("b", "none", &["uplink=fd:4"]), Place::Port(1, 0), "that is the uplink"),
            (
                network("b", "none", &[&format!("x=fd:4{mac}"), &format!("y=fd:5{mac}")]),
                Place::Mac(1, 1),
                "02:00:00:00:00:01 is the address of port b/x already",
            ),
        ];
        for (second, place, what) in cases {
            let first = network("a", "bridge:br0", &["vm1=unixgram:/a"]);
            let (at, told) = found(&[first, second]);
            assert_eq!(at, place, "{told}");
            assert!(told.contains(what), "{told}");
        }
    }
}
