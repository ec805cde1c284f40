//! What made an interface, by its type, its family and its name.

use xnu_sys::if_types::{IFT_BRIDGE, IFT_ETHER, IFT_IEEE8023ADLAG, IFT_L2VLAN, IFT_LOOP};
use xnu_sys::net_if_private::{IFRTYPE_FAMILY_TUN, IFRTYPE_FAMILY_UTUN};
use xnu_sys::{InterfaceName, Kernel};

use super::control::InterfaceType;
use super::units::{FETH, unit_of};
use super::{Interfaces, failure};
use crate::{Call, Error, Kind};

/// The kind of an interface. A bridge says so by its type alone: the link-layer address that it
/// shows is of type Ethernet (`ifnet_set_lladdr_and_type` in `bridge_clone_create`), and its
/// functional type is "wired". A feth is of type Ethernet, and known by its cloner's name.
pub(super) fn kind_of(name: InterfaceName, it: InterfaceType) -> Kind {
    match it.kind {
        IFT_BRIDGE => return Kind::Bridge,
        IFT_LOOP => return Kind::Loopback,
        IFT_L2VLAN => return Kind::Vlan,
        _ => {}
    }
    match it.family {
        IFRTYPE_FAMILY_UTUN | IFRTYPE_FAMILY_TUN => return Kind::Tun,
        _ => {}
    }
    let name = name.as_str();
    if it.kind == IFT_ETHER {
        return if unit_of(name, FETH).is_some() { Kind::Feth } else { Kind::Ethernet };
    }
    Kind::Other(name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned())
}

/// Whether a bridge takes an interface of this type for a member (`bridge_ioctl_add`).
pub(super) fn is_bridgeable(it: InterfaceType) -> bool {
    matches!(it.kind, IFT_ETHER | IFT_L2VLAN | IFT_IEEE8023ADLAG)
}

impl<K: Kernel> Interfaces<K> {
    pub(super) fn kind(&self, call: &Call, name: InterfaceName) -> Result<Kind, Error> {
        let it = self.control.type_of(name).map_err(failure::of_interface(call, name))?;
        Ok(kind_of(name, it))
    }

    /// Checks that `name` is a bridge. Commands to other drivers have the same numbers: a bridge's
    /// "remove" is a feth's "set peer", and only their lengths tell them apart.
    pub(super) fn must_be_bridge(&self, call: &Call, name: InterfaceName) -> Result<(), Error> {
        match self.kind(call, name)? {
            Kind::Bridge => Ok(()),
            kind => Err(Error::NotABridge { call: call.clone(), name: name.to_string(), kind }),
        }
    }

    /// Checks that `name` is a feth.
    pub(super) fn must_be_feth(&self, call: &Call, name: InterfaceName) -> Result<(), Error> {
        match self.kind(call, name)? {
            Kind::Feth => Ok(()),
            kind => Err(Error::NotAFeth { call: call.clone(), name: name.to_string(), kind }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_type_then_family_then_name() {
        for (name, kind, family, expected) in [
            ("bridge100", IFT_BRIDGE, 2, Kind::Bridge),
            ("feth20000", IFT_ETHER, 2, Kind::Feth),
            // Only the cloner's own names are feths.
            ("fethx", IFT_ETHER, 2, Kind::Ethernet),
            ("en0", IFT_ETHER, 2, Kind::Ethernet),
            ("lo0", IFT_LOOP, 1, Kind::Loopback),
            ("vlan3", IFT_L2VLAN, 5, Kind::Vlan),
            ("bond0", IFT_IEEE8023ADLAG, 14, Kind::Other("bond".into())),
            ("utun4", 1, 17, Kind::Tun),
            ("gif0", 0x37, 3, Kind::Other("gif".into())),
        ] {
            let it = InterfaceType { kind, family };
            assert_eq!(kind_of(name.parse().unwrap(), it), expected, "{name}");
        }
    }

    #[test]
    fn a_bridge_takes_ethernet_vlans_and_bonds() {
        let of = |kind| is_bridgeable(InterfaceType { kind, family: 2 });
        assert!([IFT_ETHER, IFT_L2VLAN, IFT_IEEE8023ADLAG].into_iter().all(of));
        assert!(![IFT_BRIDGE, IFT_LOOP, 1].into_iter().any(of));
    }
}
