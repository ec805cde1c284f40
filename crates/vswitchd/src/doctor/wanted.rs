//! What a configuration asks of the machine.

use std::path::PathBuf;

use crate::config::{Attachment, Configuration, UplinkSpec, descriptor_socket};
use crate::socket_path::absolute;

/// What a configuration asks of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Interfaces are made or changed: there is an uplink into a bridge.
    pub interfaces: bool,
    /// Whole frames are read and sent on interfaces: there is an uplink.
    pub packets: bool,
    /// The TAPs.
    pub taps: Vec<String>,
    /// There are ports at `unixgram:` paths.
    pub unixgram: bool,
    /// There are ports on sockets of any kind.
    pub sockets: bool,
    /// How many descriptors the switch has open, a client at each listener counted in.
    pub descriptors: u64,
    /// How many it has when all come that it lets in.
    pub descriptors_max: u64,
}

/// A switch without networks: its standard streams, logs, pollers, timers, control; rounded up.
const DESCRIPTORS_ALONE: u64 = 32;
/// A network's uplink, with what looks after it.
const DESCRIPTORS_PER_UPLINK: u64 = 8;
/// A port, with what is open for a moment while it is made.
const DESCRIPTORS_PER_PORT: u64 = 3;
/// The clients that a `stream:` listener has at most (`service::network_up`).
const CLIENTS_MAX: u64 = 256;
/// The clients that the control socket has at most, and the descriptors on their way
/// (`api::connections`).
const CONTROL_CLIENTS_MAX: u64 = 256 + 256 + 1024;

impl Needs {
    /// What `wanted` needs.
    #[must_use]
    pub fn of(wanted: &Configuration) -> Self {
        let mut needs = Self { descriptors: DESCRIPTORS_ALONE, ..Self::default() };
        let mut clients_max = if wanted.control.is_some() { CONTROL_CLIENTS_MAX } else { 0 };
        for network in &wanted.networks {
            if network.uplink != UplinkSpec::None {
                needs.packets = true;
                needs.descriptors += DESCRIPTORS_PER_UPLINK;
            }
            needs.interfaces |= matches!(network.uplink, UplinkSpec::Bridge { .. });
            for port in &network.ports {
                needs.descriptors += DESCRIPTORS_PER_PORT;
                match &port.attachment {
                    Attachment::Tap(name) => needs.taps.push(name.clone()),
                    Attachment::Unixgram(_) => needs.unixgram = true,
                    Attachment::Stream(_) => clients_max += CLIENTS_MAX,
                    // Each has a data socket, too.
                    Attachment::Vde(_) => clients_max += 2 * CLIENTS_MAX,
                    _ => {}
                }
                needs.sockets |= !matches!(port.attachment, Attachment::Tap(_));
            }
        }
        needs.descriptors_max = needs.descriptors + clients_max;
        needs
    }
}

/// The paths of a configuration's sockets: of each the port, as `NETWORK/PORT`, or that it is the
/// control socket, the path from the
/// root on, and whether the switch makes the socket (else somebody else listens there).
#[must_use]
pub fn sockets_of(wanted: &Configuration) -> Vec<(String, PathBuf, bool)> {
    let mut sockets = Vec::new();
    if let Some(control) = &wanted.control {
        let beside = descriptor_socket(&control.socket);
        sockets.push(("control".to_owned(), absolute(control.socket.clone()), true));
        sockets.push(("control, for descriptors".to_owned(), absolute(beside), true));
    }
    for network in &wanted.networks {
        for port in &network.ports {
            let name = format!("{}/{}", network.name, port.name);
            match &port.attachment {
                Attachment::Unixgram(path) | Attachment::Stream(path) => {
                    sockets.push((name, absolute(path.clone()), true));
                }
                Attachment::StreamConnect(path) => {
                    sockets.push((name, absolute(path.clone()), false));
                }
                // A vde: port's directory is made with what is in it; the start says what is wrong.
                Attachment::Vde(_)
                | Attachment::Fd(_)
                | Attachment::Given(_)
                | Attachment::Tap(_) => {}
            }
        }
    }
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Access;
    use crate::config::Network;

    fn wanted(uplink: &str, ports: &[&str]) -> Configuration {
        let network = Network {
            name: "lan".into(),
            uplink: uplink.parse().unwrap(),
            ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
            access: Access { owner: None, group: None, mode: 0o660 },
        };
        network.into()
    }

    #[test]
    fn what_each_part_asks_for() {
        let needs = Needs::of(&wanted("none", &["a=unixgram:/a"]));
        assert!(!needs.interfaces && !needs.packets && needs.unixgram && needs.sockets);
        assert_eq!((needs.descriptors, needs.descriptors_max), (35, 35));
        let needs = Needs::of(&wanted("iface:eth0", &["a=stream:/a", "b=stream-connect:/b"]));
        assert!(!needs.interfaces && needs.packets && !needs.unixgram && needs.sockets);
        assert_eq!(needs.descriptors, 32 + 8 + 2 * 3);
        assert_eq!(needs.descriptors_max, needs.descriptors + 256);
        let needs = Needs::of(&wanted("bridge:br0", &["a=tap:tap0"]));
        assert!(needs.interfaces && needs.packets && !needs.sockets);
        assert_eq!(needs.taps, ["tap0"]);
    }

    #[test]
    fn sockets_have_their_whole_path() {
        let wanted =
            wanted("none", &["a=unixgram:a", "b=stream-connect:/b", "c=fd:3", "d=tap:tap0"]);
        let sockets = sockets_of(&wanted);
        assert_eq!(sockets.len(), 2);
        assert!(sockets[0].1.is_absolute() && sockets[0].1.ends_with("a") && sockets[0].2);
        assert_eq!(sockets[1], ("lan/b".into(), "/b".into(), false));
    }
}
