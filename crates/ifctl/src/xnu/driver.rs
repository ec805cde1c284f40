//! Commands to the drivers of feth and of bridges, one method for each.

use std::net::Ipv4Addr;

use xnu_sys::if_bridgevar::{
    BRDGADD, BRDGDADDR, BRDGDEL, BRDGFLUSH, BRDGGCACHE, BRDGGHOSTFILTER, BRDGGIFFLGS, BRDGGRTE,
    BRDGGTO, BRDGSADDR, BRDGSCACHE, BRDGSHOSTFILTER, BRDGSIFAMAX, BRDGSIFFLGS, BRDGSTO,
    IFBAF_DYNAMIC, IFBAF_STATIC, IFBAF_TYPEMASK, IFBF_FLUSHALL, IFBF_FLUSHDYN, IFBRHF_ENABLED,
    IFBRHF_HWSRC, IFBRHF_IPSRC, ifbareq, ifbreq, ifbrhostfilter, ifbrparam,
};
use xnu_sys::if_fake_var::{IF_FAKE_G_CMD_GET_PEER, IF_FAKE_S_CMD_SET_PEER, if_fake_request};
use xnu_sys::{DriverCommand, InterfaceName, Kernel, SyscallError};

use super::control::Control;
use super::host_filter::HostFilter;
use super::member::MemberFlags;
use super::table::{AddressKind, TableEntry};

type Result<T> = std::result::Result<T, SyscallError>;

/// What a bridge says of one of its ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: InterfaceName,
    pub(super) flags: MemberFlags,
    /// `BSTP_IFSTATE_*`.
    pub(super) state: u8,
    pub(super) port_no: u8,
    pub(super) priority: u8,
    pub(super) path_cost: u32,
    pub(super) address_count: u32,
    pub(super) address_limit: u32,
    pub(super) address_refused: u32,
}

impl Port {
    /// Not a span port, which only gets copies.
    pub(super) fn is_member(&self) -> bool {
        !self.flags.contains(MemberFlags::SPAN)
    }

    fn of(name: InterfaceName, read: &ifbreq) -> Self {
        Self {
            name,
            flags: MemberFlags::from_bits_retain(read.ifbr_ifsflags),
            state: read.ifbr_state,
            port_no: read.ifbr_portno,
            priority: read.ifbr_priority,
            path_cost: read.ifbr_path_cost,
            address_count: read.ifbr_addrcnt,
            address_limit: read.ifbr_addrmax,
            address_refused: read.ifbr_addrexceeded,
        }
    }
}

/// Feth's.
impl<K: Kernel> Control<K> {
    pub(super) fn peer(&self, name: InterfaceName) -> Result<Option<InterfaceName>> {
        let mut argument = if_fake_request::default();
        self.socket.driver_command(name, IF_FAKE_G_CMD_GET_PEER, &mut argument)?;
        Ok(argument.peer())
    }

    /// Without a peer, parts it from the one that it has.
    pub(super) fn set_peer(&self, name: InterfaceName, peer: Option<InterfaceName>) -> Result<()> {
        let mut argument = if_fake_request::default().with_peer(peer);
        self.socket.driver_command(name, IF_FAKE_S_CMD_SET_PEER, &mut argument)
    }
}

/// A bridge's, about its members.
impl<K: Kernel> Control<K> {
    /// Members, in the order in which they joined, and span ports.
    pub(super) fn bridge_ports(&self, bridge: InterfaceName) -> Result<Vec<Port>> {
        let mut read = Vec::new();
        self.socket.bridge_members(bridge, &mut read)?;
        // What has no name that an interface can have is none.
        let named = |read: &ifbreq| InterfaceName::from_bytes(&read.ifbr_ifsname).ok();
        Ok(read.iter().filter_map(|read| Some(Port::of(named(read)?, read))).collect())
    }

    pub(super) fn add_member(&self, bridge: InterfaceName, member: InterfaceName) -> Result<()> {
        self.socket.driver_command(bridge, BRDGADD, &mut ifbreq::new(member))
    }

    pub(super) fn remove_member(&self, bridge: InterfaceName, member: InterfaceName) -> Result<()> {
        self.socket.driver_command(bridge, BRDGDEL, &mut ifbreq::new(member))
    }

    pub(super) fn member(&self, bridge: InterfaceName, member: InterfaceName) -> Result<Port> {
        let mut argument = ifbreq::new(member);
        self.socket.driver_command(bridge, BRDGGIFFLGS, &mut argument)?;
        Ok(Port::of(member, &argument))
    }

    /// Sets all flags of a member.
    pub(super) fn set_member_flags(
        &self,
        bridge: InterfaceName,
        member: InterfaceName,
        flags: MemberFlags,
    ) -> Result<()> {
        let mut argument = ifbreq { ifbr_ifsflags: flags.bits(), ..ifbreq::new(member) };
        self.socket.driver_command(bridge, BRDGSIFFLGS, &mut argument)
    }

    pub(super) fn set_address_limit(
        &self,
        bridge: InterfaceName,
        member: InterfaceName,
        limit: u32,
    ) -> Result<()> {
        let mut argument = ifbreq { ifbr_addrmax: limit, ..ifbreq::new(member) };
        self.socket.driver_command(bridge, BRDGSIFAMAX, &mut argument)
    }

    pub(super) fn host_filter(
        &self,
        bridge: InterfaceName,
        member: InterfaceName,
    ) -> Result<Option<HostFilter>> {
        let mut argument =
            ifbrhostfilter { ifbrhf_ifsname: member.bytes(), ..ifbrhostfilter::default() };
        self.socket.driver_command(bridge, BRDGGHOSTFILTER, &mut argument)?;
        if argument.ifbrhf_flags & IFBRHF_ENABLED == 0 {
            return Ok(None);
        }
        // Which of the two is looked at is not told; one that is not, is zero.
        let ipv4 = Ipv4Addr::from(argument.ifbrhf_ipsrc.to_ne_bytes());
        Ok(Some(HostFilter {
            mac: Some(argument.ifbrhf_hwsrca).filter(|mac| *mac != [0; 6]),
            ipv4: Some(ipv4).filter(|ipv4| !ipv4.is_unspecified()),
        }))
    }

    pub(super) fn set_host_filter(
        &self,
        bridge: InterfaceName,
        member: InterfaceName,
        filter: Option<HostFilter>,
    ) -> Result<()> {
        let mut argument =
            ifbrhostfilter { ifbrhf_ifsname: member.bytes(), ..ifbrhostfilter::default() };
        if let Some(HostFilter { mac, ipv4 }) = filter {
            // Both are set, with zeros for "any": what an earlier filter had would stay otherwise.
            argument.ifbrhf_flags = IFBRHF_ENABLED | IFBRHF_HWSRC | IFBRHF_IPSRC;
            argument.ifbrhf_hwsrca = mac.unwrap_or_default();
            let ipv4 = ipv4.unwrap_or(Ipv4Addr::UNSPECIFIED);
            argument.ifbrhf_ipsrc = u32::from_ne_bytes(ipv4.octets());
        }
        self.socket.driver_command(bridge, BRDGSHOSTFILTER, &mut argument)
    }
}

/// A bridge's, about addresses.
impl<K: Kernel> Control<K> {
    pub(super) fn bridge_addresses(&self, bridge: InterfaceName) -> Result<Vec<TableEntry>> {
        let mut read = Vec::new();
        self.socket.bridge_addresses(bridge, &mut read)?;
        Ok(read.iter().filter_map(entry).collect())
    }

    /// Puts an address there for good. An address pinned elsewhere stays where it is.
    pub(super) fn pin_address(
        &self,
        bridge: InterfaceName,
        member: InterfaceName,
        mac: [u8; 6],
    ) -> Result<()> {
        let mut argument = address(mac);
        argument.ifba_ifsname = member.bytes();
        argument.ifba_flags = IFBAF_STATIC;
        self.socket.driver_command(bridge, BRDGSADDR, &mut argument)
    }

    pub(super) fn forget_address(&self, bridge: InterfaceName, mac: [u8; 6]) -> Result<()> {
        self.socket.driver_command(bridge, BRDGDADDR, &mut address(mac))
    }

    pub(super) fn flush_addresses(&self, bridge: InterfaceName, also_pinned: bool) -> Result<()> {
        let which = if also_pinned { IFBF_FLUSHALL } else { IFBF_FLUSHDYN };
        let mut argument = ifbreq { ifbr_ifsflags: which, ..ifbreq::default() };
        self.socket.driver_command(bridge, BRDGFLUSH, &mut argument)
    }

    pub(super) fn table_size(&self, bridge: InterfaceName) -> Result<u32> {
        self.number(bridge, BRDGGCACHE)
    }

    pub(super) fn set_table_size(&self, bridge: InterfaceName, size: u32) -> Result<()> {
        self.socket.driver_command(bridge, BRDGSCACHE, &mut ifbrparam::new(size))
    }

    pub(super) fn address_age(&self, bridge: InterfaceName) -> Result<u32> {
        self.number(bridge, BRDGGTO)
    }

    pub(super) fn set_address_age(&self, bridge: InterfaceName, age_s: u32) -> Result<()> {
        self.socket.driver_command(bridge, BRDGSTO, &mut ifbrparam::new(age_s))
    }

    /// How many times the table was full.
    pub(super) fn addresses_refused(&self, bridge: InterfaceName) -> Result<u32> {
        self.number(bridge, BRDGGRTE)
    }

    fn number(&self, bridge: InterfaceName, command: DriverCommand<ifbrparam>) -> Result<u32> {
        let mut argument = ifbrparam::default();
        self.socket.driver_command(bridge, command, &mut argument)?;
        Ok(argument.ifbrp_ifbrpu)
    }
}

/// An address without a VLAN: 0, which the kernel keeps as 1, the one that frames without a tag
/// have; to look for, it means any (`bridge_rtupdate`, `bridge_rtnode_lookup`).
fn address(mac: [u8; 6]) -> ifbareq {
    ifbareq { ifba_dst: mac, ..ifbareq::default() }
}

/// None if it is not behind an interface that can be named.
fn entry(read: &ifbareq) -> Option<TableEntry> {
    let (name, expires, vlan) = (read.ifba_ifsname, read.ifba_expire, read.ifba_vlan);
    let kind = match read.ifba_flags & IFBAF_TYPEMASK {
        IFBAF_DYNAMIC => AddressKind::Learned,
        IFBAF_STATIC => AddressKind::Pinned,
        _ => AddressKind::Sticky,
    };
    Some(TableEntry {
        mac: read.ifba_dst,
        member: InterfaceName::from_bytes(&name).ok()?.to_string(),
        kind,
        expires_s: (kind == AddressKind::Learned).then_some(expires),
        vlan,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_the_table_by_their_flags() {
        let mut read = address([2, 0, 0, 0, 0, 1]);
        assert_eq!(entry(&read), None, "no name");
        read.ifba_ifsname = "feth20000".parse::<InterfaceName>().unwrap().bytes();
        read.ifba_expire = 1199;
        read.ifba_vlan = 1;
        let learned = entry(&read).unwrap();
        assert_eq!((learned.kind, learned.expires_s), (AddressKind::Learned, Some(1199)));
        assert_eq!((learned.member.as_str(), learned.vlan), ("feth20000", 1));
        for (flags, kind) in [(1, AddressKind::Pinned), (2, AddressKind::Sticky)] {
            read.ifba_flags = flags | 0x80;
            let entry = entry(&read).unwrap();
            assert_eq!((entry.kind, entry.expires_s), (kind, None));
        }
    }
}
