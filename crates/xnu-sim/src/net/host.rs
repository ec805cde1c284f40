//! The host's own stack, as far as its interfaces can be told: what reaches it is kept for tests,
//! and tests send in its place. Addresses are those of `getifaddrs`.

use xnu_sys::{InterfaceAddress, InterfaceName};

use super::interface::{Address, Driver, Frame, Interface, NewInterface, flags};
use super::{IfId, Net};
use crate::copyio::RawMut;
use crate::machine::Machine;

/// Frames kept of each interface; the oldest go.
const KEPT_FRAMES_MAX: usize = 4096;

/// `IFT_LOOP` and `IFNET_FAMILY_LOOPBACK`.
const IFT_LOOP: u8 = 24;
const FAMILY_LOOPBACK: u32 = 1;

/// `PF_INET` and `PF_INET6`.
const PF_INET: u32 = 2;
const PF_INET6: u32 = 30;

const AF_LINK: u8 = 18;

/// `lo0`, with its addresses, index 1.
pub(super) fn add_loopback(net: &mut Net) {
    let id = net.object("lo0");
    let new = NewInterface {
        driver_name: "lo".to_owned(),
        unit: 0,
        driver: Driver::Loopback,
        kind: IFT_LOOP,
        family: FAMILY_LOOPBACK,
        subfamily: 0,
        mac: None,
        flags: flags::UP | flags::LOOPBACK | flags::RUNNING | flags::MULTICAST,
        mtu: 16_384,
        eflags: 0,
        capabilities: 0,
    };
    net[id].begin(new);
    net.listed.push(id);
    net[id].protocols.extend([PF_INET, PF_INET6]);
    let mut loopback = [0; 16];
    loopback[15] = 1;
    let mut link_local = [0; 16];
    link_local[..4].copy_from_slice(&[0xfe, 0x80, 0, 1]);
    link_local[15] = 1;
    net[id].addresses = vec![
        inet_address([127, 0, 0, 1], [255, 0, 0, 0]),
        inet6_address(loopback, 128),
        inet6_address(link_local, 64),
    ];
}

/// `sockaddr_in`s.
pub(super) fn inet_address(address: [u8; 4], netmask: [u8; 4]) -> Address {
    let socket_address = |family: u8, address: [u8; 4]| {
        let mut bytes = vec![0; 16];
        bytes.put(0, &[16, family]);
        bytes.put(4, &address);
        bytes
    };
    let family = u8::try_from(PF_INET).unwrap_or(0);
    Address { address: socket_address(family, address), netmask: socket_address(family, netmask) }
}

/// `sockaddr_in6`s.
fn inet6_address(address: [u8; 16], prefix_bits: u32) -> Address {
    let family = u8::try_from(PF_INET6).unwrap_or(0);
    let socket_address = |address: u128| {
        let mut bytes = vec![0; 28];
        bytes.put(0, &[28, family]);
        bytes.put(8, &address.to_be_bytes());
        bytes
    };
    let netmask = u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(u128::MAX);
    Address {
        address: socket_address(u128::from_be_bytes(address)),
        netmask: socket_address(netmask),
    }
}

impl Machine {
    /// A frame reaches the stack from an interface.
    pub(super) fn host_receive(&mut self, id: IfId, frame: &Frame) {
        let interface = &mut self.net[id];
        interface.host_received_count += 1;
        if interface.host_received.len() == KEPT_FRAMES_MAX {
            interface.host_received.pop_front();
        }
        interface.host_received.push_back(frame.for_tap().into_owned());
    }

    /// Gives an interface an IPv4 address, as `SIOCAIFADDR` on an inet socket does: it comes up,
    /// IP is attached to it, and a bridge is marked as having an address (C3).
    pub(super) fn add_inet_address(&mut self, id: IfId, address: [u8; 4], netmask: [u8; 4]) {
        self.attach_protocol(id, PF_INET);
        self.net[id].addresses.push(inet_address(address, netmask));
        self.set_flags(id, flags::UP, flags::UP);
        if let Some(bridge) = self.net[id].bridge_mut() {
            bridge.has_address = true;
        }
        self.driver_flags_changed(id);
    }

    /// The rows of `getifaddrs`: of each interface its link, then its addresses.
    pub(crate) fn interface_addresses(&self) -> Vec<InterfaceAddress> {
        let of = |id: &IfId| rows(&self.net[*id]);
        self.net.listed.iter().flat_map(of).collect()
    }
}

fn rows(interface: &Interface) -> Vec<InterfaceAddress> {
    let Ok(name) = interface.name.parse::<InterfaceName>() else { return Vec::new() };
    let row = |address: Vec<u8>, netmask: Vec<u8>| InterfaceAddress {
        interface: name,
        flags: u32::from(interface.flags),
        address,
        netmask,
    };
    let link = row(link_address(interface), Vec::new());
    let addresses = interface.addresses.iter();
    let rest = addresses.map(|of| row(of.address.clone(), of.netmask.clone()));
    std::iter::once(link).chain(rest).collect()
}

/// `sockaddr_dl`: at least 20 bytes, more for a longer name (contract §2).
fn link_address(interface: &Interface) -> Vec<u8> {
    const DATA_AT: usize = 8;
    let name = interface.name.as_bytes();
    let mac: &[u8] = interface.mac.as_ref().map_or(&[], |mac| mac);
    let len = (DATA_AT + name.len() + mac.len()).max(20).next_multiple_of(4);
    let byte = |value: usize| u8::try_from(value).unwrap_or(0);
    let mut address = vec![0; len];
    address.put(0, &[byte(len), AF_LINK]);
    address.put_u16(2, interface.index);
    address.put(4, &[interface.link_kind, byte(name.len()), byte(mac.len())]);
    address.put(DATA_AT, name);
    address.put(DATA_AT + name.len(), mac);
    address
}
