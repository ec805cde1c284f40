//! Which interfaces there are.

use std::collections::{BTreeMap, HashMap};

use xnu_sys::address::{internet_of, link_address, prefix_len};
use xnu_sys::{Errno, InterfaceAddress, InterfaceName, Kernel, SyscallError};

use super::driver::Port;
use super::media::Media;
use super::{Interfaces, failure, flags, interface_name, kind};
use crate::{Address, Call, Error, Interface, Kind};

/// An interface with what `getifaddrs` tells of it.
#[derive(Debug, Default)]
struct Row {
    index: u32,
    mac: Option<[u8; 6]>,
    addresses: Vec<Address>,
}

/// What is asked of an interface itself.
#[derive(Debug)]
struct Details {
    kind: Kind,
    mtu: u32,
    flags: u32,
    media: Option<Media>,
    peer: Option<InterfaceName>,
    /// Names of the members, of a bridge.
    members: Vec<InterfaceName>,
}

impl<K: Kernel> Interfaces<K> {
    /// All interfaces, by index. They are asked one after the other: what changes in between may
    /// show in one and not in the other, and what goes in between is left out.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn list(&self) -> Result<Vec<Interface>, Error> {
        self.list_for(&Call::List)
    }

    /// The interface `name`.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn find(&self, name: &str) -> Result<Interface, Error> {
        let call = Call::Find { name: name.to_owned() };
        let found = interface_name(&call, name)?;
        // Its master is known to the bridges alone, and its peer's number to the list.
        let all = self.list_for(&call)?;
        let interface = all.into_iter().find(|interface| interface.name == name);
        interface.ok_or_else(|| failure::not_found(&call, found))
    }

    fn list_for(&self, call: &Call) -> Result<Vec<Interface>, Error> {
        let mut rows = rows(self.addresses_of_all(call)?);
        let mut asked = Vec::with_capacity(rows.len());
        for name in rows.keys() {
            if let Some(details) = unless_gone(self.details(*name)).map_err(failure::of(call))? {
                asked.push((*name, details));
            }
        }
        let masters: HashMap<InterfaceName, InterfaceName> = asked
            .iter()
            .flat_map(|(bridge, details)| details.members.iter().map(|member| (*member, *bridge)))
            .collect();
        let indices: HashMap<InterfaceName, u32> =
            rows.iter().map(|(name, row)| (*name, row.index)).collect();
        let interface = |(name, details): (InterfaceName, Details)| {
            let row = rows.remove(&name).unwrap_or_default();
            let peer_index = details.peer.and_then(|peer| indices.get(&peer).copied());
            interface(name, row, details, masters.get(&name).copied(), peer_index)
        };
        let mut interfaces: Vec<Interface> = asked.into_iter().map(interface).collect();
        interfaces.sort_by_key(|interface| interface.index);
        Ok(interfaces)
    }

    /// The numbers of all interfaces.
    pub(super) fn indices(&self, call: &Call) -> Result<HashMap<InterfaceName, u32>, Error> {
        let rows = rows(self.addresses_of_all(call)?);
        Ok(rows.into_iter().map(|(name, row)| (name, row.index)).collect())
    }

    fn addresses_of_all(&self, call: &Call) -> Result<Vec<InterfaceAddress>, Error> {
        let failed = |errno| failure::of(call)(SyscallError { call: "getifaddrs", errno });
        self.kernel().getifaddrs().map_err(failed)
    }

    fn details(&self, name: InterfaceName) -> Result<Details, SyscallError> {
        let kind = kind::kind_of(name, self.control.type_of(name)?);
        let members = match kind {
            Kind::Bridge => members(&self.control.bridge_ports(name)?),
            _ => Vec::new(),
        };
        let peer = match kind {
            Kind::Feth => match self.control.peer(name) {
                // One whose driver has let go of it already (`feth_get_drvspec`).
                Err(SyscallError { errno: Errno::EOPNOTSUPP, .. }) => None,
                asked => asked?,
            },
            _ => None,
        };
        Ok(Details {
            kind,
            mtu: self.control.mtu(name)?,
            flags: self.control.flags(name)?,
            // Interfaces without media say so each by an errno of its driver's.
            media: self.control.media(name).ok(),
            peer,
            members,
        })
    }
}

/// What was asked, or nothing if the interface went away meanwhile.
pub(super) fn unless_gone<T>(asked: Result<T, SyscallError>) -> Result<Option<T>, SyscallError> {
    match asked {
        Ok(found) => Ok(Some(found)),
        Err(SyscallError { errno: Errno::ENXIO, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn rows(addresses: Vec<InterfaceAddress>) -> BTreeMap<InterfaceName, Row> {
    let mut rows: BTreeMap<InterfaceName, Row> = BTreeMap::new();
    for one in addresses {
        let row = rows.entry(one.interface).or_default();
        if let Some(link) = link_address(&one.address) {
            row.index = u32::from(link.index);
            row.mac = link.mac();
        }
        row.addresses.extend(address(&one));
    }
    for row in rows.values_mut() {
        row.addresses.sort_by_key(|address| address.address.is_ipv6());
    }
    rows
}

fn address(row: &InterfaceAddress) -> Option<Address> {
    let address = internet_of(&row.address)?;
    let prefix_len = prefix_len(&row.netmask, address.is_ipv6());
    Some(Address { address, prefix_len: u8::try_from(prefix_len).ok()? })
}

fn members(ports: &[Port]) -> Vec<InterfaceName> {
    ports.iter().filter(|port| port.is_member()).map(|port| port.name).collect()
}

fn interface(
    name: InterfaceName,
    row: Row,
    details: Details,
    master: Option<InterfaceName>,
    peer_index: Option<u32>,
) -> Interface {
    let flags = flags::shared(details.flags);
    Interface {
        index: row.index,
        name: name.to_string(),
        kind: details.kind,
        mac: row.mac,
        addresses: row.addresses,
        mtu: details.mtu,
        flags,
        state: Media::state(details.media.as_ref(), flags),
        master: master.map(|master| master.to_string()),
        peer_index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_interface_become_one() {
        let row = |name: &str, address: &[u8], netmask: &[u8]| InterfaceAddress {
            interface: name.parse().unwrap(),
            flags: 1,
            address: address.to_vec(),
            netmask: netmask.to_vec(),
        };
        let mut link = vec![20, 18];
        link.extend(7_u16.to_ne_bytes());
        link.extend([6, 3, 6, 0, b'e', b'n', b'0', 1, 2, 3, 4, 5, 6]);
        let mut v6 = vec![28, 30, 0, 0, 0, 0, 0, 0, 0xfd];
        v6.resize(28, 0);
        let rows = rows(vec![
            row("en0", &link, &[]),
            row("en0", &v6, &[]),
            row("lo0", &[], &[]),
            row("en0", &[8, 2, 0, 0, 10, 0, 0, 1], &[5, 0, 0, 0, 255]),
        ]);
        assert_eq!(rows.len(), 2);
        let en0 = &rows[&"en0".parse().unwrap()];
        assert_eq!((en0.index, en0.mac), (7, Some([1, 2, 3, 4, 5, 6])));
        let addresses: Vec<String> = en0.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1/8", "fd00::/0"], "IPv4 first");
    }

    #[test]
    fn only_a_gone_interface_is_left_out() {
        let failed = |errno| SyscallError { call: "SIOCGIFMTU", errno };
        assert_eq!(unless_gone(Ok(5)), Ok(Some(5)));
        assert_eq!(unless_gone::<()>(Err(failed(Errno::ENXIO))), Ok(None));
        assert_eq!(unless_gone::<()>(Err(failed(Errno::EPERM))), Err(failed(Errno::EPERM)));
    }
}
