//! From whom a bridge takes frames on a member.

use std::net::Ipv4Addr;

use xnu_sys::Kernel;

use super::Interfaces;
use super::member::on_member;
use crate::Error;

/// The one host that may send on a member: the bridge drops frames from another link-layer address,
/// ARP that speaks for another link-layer or IPv4 address, all frames that are neither ARP, IPv4
/// nor IPv6, and of these all but TCP, UDP, ICMP and IGMP (`bridge_input_list`,
/// `bridge_host_filter_arp`, `bsd/net/if_bridge.c`).
///
/// The IPv4 address is looked at in ARP alone. A Wi-Fi member, which speaks for others, has no
/// filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostFilter {
    /// The host's link-layer address; `None` is any.
    pub mac: Option<[u8; 6]>,
    /// The host's IPv4 address; `None` is any.
    pub ipv4: Option<Ipv4Addr>,
}

impl<K: Kernel> Interfaces<K> {
    /// The filter of a member, if it has one (`BRDGGHOSTFILTER`).
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`].
    pub fn host_filter(&self, bridge: &str, member: &str) -> Result<Option<HostFilter>, Error> {
        let call = on_member("read the filter of", bridge, member);
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let read = self.control.host_filter(bridge, member);
        read.map_err(|source| self.of_member(&call, bridge, member, source))
    }

    /// Gives a member a filter, or takes it away (`BRDGSHOSTFILTER`).
    ///
    /// # Errors
    /// [`Error::NotABridge`], [`Error::NotAMember`]; [`Error::NotUnicast`] for a group's address;
    /// [`Error::Xnu`] with `EINVAL` for a Wi-Fi member.
    pub fn set_host_filter(
        &self,
        bridge: &str,
        member: &str,
        filter: Option<HostFilter>,
    ) -> Result<(), Error> {
        let call = on_member("set the filter of", bridge, member);
        if let Some(mac) = filter.and_then(|filter| filter.mac)
            && (mac[0] & 1 == 1 || mac == [0; 6])
        {
            return Err(Error::NotUnicast { call, mac });
        }
        let (bridge, member) = self.bridge_and_member(&call, bridge, member)?;
        let set = self.control.set_host_filter(bridge, member, filter);
        set.map_err(|source| self.of_member(&call, bridge, member, source))
    }
}
