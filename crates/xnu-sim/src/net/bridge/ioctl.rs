//! A bridge's commands (`bridge_control_table64` and the `DRVSPEC` macro; contract §3, C30).

use super::member_flag;
use super::table::Update;
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EBUSY, EINVAL, EOPNOTSUPP, EPERM, Result};
use crate::machine::Machine;
use crate::net::IfId;
use crate::net::interface::Mac;
use crate::net::requests::DriverSpec;

/// Sizes of the arguments (contract §2).
const REQUEST: usize = 80;
const CONF: usize = 12;
const ADDRESS: usize = 36;
const PARAM: usize = 4;
const OPERATION: usize = 56;
const HOST_FILTER: usize = 32;
const NAT_LIST: usize = 16;
const MEMBER_STATS: usize = 32;

/// How a command's argument goes: in only (root's), out only, or both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Set,
    Get,
    GetWithArgument,
}

use Way::{Get, GetWithArgument, Set};

/// The table: argument's size and way, by the command's number.
const COMMANDS: [(usize, Way); 38] = [
    (REQUEST, Set),
    (REQUEST, Set),
    (REQUEST, GetWithArgument),
    (REQUEST, Set),
    (PARAM, Set),
    (PARAM, Get),
    (CONF, GetWithArgument),
    (CONF, GetWithArgument),
    (ADDRESS, Set),
    (PARAM, Set),
    (PARAM, Get),
    (ADDRESS, Set),
    (REQUEST, Set),
    (PARAM, Get),
    (PARAM, Set),
    (PARAM, Get),
    (PARAM, Set),
    (PARAM, Get),
    (PARAM, Set),
    (PARAM, Get),
    (PARAM, Set),
    (REQUEST, Set),
    (REQUEST, Set),
    (PARAM, Get),
    (PARAM, Set),
    (REQUEST, Set),
    (REQUEST, Set),
    (REQUEST, Set),
    (OPERATION, Get),
    (PARAM, Get),
    (CONF, GetWithArgument),
    (PARAM, Set),
    (PARAM, Set),
    (REQUEST, Set),
    (HOST_FILTER, GetWithArgument),
    (HOST_FILTER, Set),
    (NAT_LIST, GetWithArgument),
    (MEMBER_STATS, GetWithArgument),
];

/// `IFBF_FILT_USEIPF` and `IFBF_FILT_MASK`.
const FILTER_USE_IPF: u32 = 1;
const FILTER_MASK: u32 = 7;

impl Machine {
    /// A driver command; the checks in the order of C30.
    pub(in crate::net) fn bridge_driver_spec(
        &mut self,
        is_root: bool,
        id: IfId,
        spec: &DriverSpec,
        memory: &CallerMemory,
    ) -> Result<()> {
        let command = usize::try_from(spec.command).map_err(|_| EINVAL)?;
        let (size, way) = *COMMANDS.get(command).ok_or(EINVAL)?;
        if spec.sets != (way == Set) {
            return Err(EINVAL);
        }
        if way == Set && !is_root {
            return Err(EPERM);
        }
        if spec.len != size as u64 {
            return Err(EINVAL);
        }
        let mut argument =
            if way == Get { vec![0; size] } else { memory.copyin(spec.data, size)? };
        self.bridge_command(id, command, &mut argument, memory)?;
        if way != Set {
            memory.copyout(&argument, spec.data)?;
        }
        Ok(())
    }

    fn bridge_command(
        &mut self,
        id: IfId,
        command: usize,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        match command {
            0 => self.bridge_add(id, argument),
            1 => self.bridge_del(id, argument),
            2 => self.bridge_member_flags(id, argument),
            3 => self.bridge_set_member_flags(id, argument),
            6 => self.bridge_list_members(id, argument, memory),
            7 => self.bridge_list_addresses(id, argument, memory),
            8 => self.bridge_set_address(id, argument),
            11 => {
                let (mac, vlan) = address_of(argument);
                self.bridge_mut(id).table.delete(mac, vlan)
            }
            12 => {
                let all = argument.u32_at(16) != 0;
                self.bridge_mut(id).table.flush(all);
                Ok(())
            }
            26 => self.bridge_add_span(id, argument),
            27 => self.bridge_delete_span(id, argument),
            30 => {
                super::lists::put_no_stp(argument);
                Ok(())
            }
            33 => self.bridge_set_address_max(id, argument),
            34 => self.bridge_host_filter(id, argument),
            35 => self.bridge_set_host_filter(id, argument),
            36 => self.mac_nat_list(id, argument, memory),
            37 => self.bridge_member_stats(id, argument, memory),
            _ => self.bridge_parameter(id, command, argument),
        }
    }

    /// Commands of one number.
    fn bridge_parameter(&mut self, id: IfId, command: usize, argument: &mut [u8]) -> Result<()> {
        let value = argument.u32_at(0);
        let now_s = self.now_s();
        let bridge = self.bridge_mut(id);
        match command {
            4 => {
                bridge.table.entries_max = value;
                bridge.table.trim(now_s);
            }
            5 => argument.put_u32(0, bridge.table.entries_max),
            9 => bridge.table.timeout_s = value,
            10 => argument.put_u32(0, bridge.table.timeout_s),
            23 => argument.put_u32(0, bridge.filter_flags),
            24 => {
                if value & !FILTER_MASK != 0 || value & FILTER_USE_IPF != 0 {
                    return Err(EINVAL);
                }
                bridge.filter_flags = value;
            }
            29 => argument.put_u32(0, bridge.table.exceeded),
            // `BRDGPURGE` does nothing.
            25 => {}
            // Spanning tree is not built in (`BRIDGESTP`): what is asked is 0, nothing can be set.
            13 | 15 | 17 | 19 | 28 => argument.fill(0),
            _ => return Err(EOPNOTSUPP),
        }
        Ok(())
    }

    /// `BRDGGIFFLGS`.
    fn bridge_member_flags(&self, id: IfId, argument: &mut [u8]) -> Result<()> {
        let member = self.bridge_member_named(id, argument)?;
        self.put_member(id, member, argument);
        Ok(())
    }

    /// `BRDGSIFFLGS`: all flags are replaced, but those of spanning tree, which stay 0.
    fn bridge_set_member_flags(&mut self, id: IfId, argument: &[u8]) -> Result<()> {
        use member_flag::{CHECKSUM_OFFLOAD, MAC_NAT, SPAN, STP, STP_STATE, USES_VIRTIO};
        let member = self.bridge_member_named(id, argument)?;
        let flags = argument.u32_at(16);
        let knows_virtio = self.can.bridge_uses_virtio;
        let offloads = CHECKSUM_OFFLOAD | if knows_virtio { USES_VIRTIO } else { 0 };
        if flags & SPAN != 0 || (knows_virtio && flags & offloads == offloads) {
            return Err(EINVAL);
        }
        let has_filter = self.can.bridge_early_input
            && self.bridge(id).member(member).is_some_and(|member| member.host_filter.is_some());
        if flags & MAC_NAT != 0 {
            if flags & offloads != 0 || has_filter {
                return Err(EINVAL);
            }
            match self.bridge(id).mac_nat {
                Some(other) if other != member => return Err(EBUSY),
                Some(_) => {}
                None => self.mac_nat_enable(id, member),
            }
        } else if self.bridge(id).mac_nat == Some(member) {
            self.mac_nat_disable(id);
        }
        if flags & STP != 0 {
            return Err(EOPNOTSUPP);
        }
        if let Some(member) = self.bridge_mut(id).member_mut(member) {
            member.flags = flags & !STP_STATE;
        }
        Ok(())
    }

    /// `BRDGSADDR` (M18); the time given counts for nothing.
    fn bridge_set_address(&mut self, id: IfId, argument: &[u8]) -> Result<()> {
        let member = self.bridge_member_named(id, argument)?;
        let (mac, vlan) = address_of(argument);
        let flags = argument.u8_at(24);
        self.bridge_learn(id, member, Some((mac, vlan, flags)), mac).map_err(|of| of.errno())
    }

    /// `BRDGSIFAMAX`.
    fn bridge_set_address_max(&mut self, id: IfId, argument: &[u8]) -> Result<()> {
        let member = self.bridge_member_named(id, argument)?;
        let most = argument.u32_at(40);
        if let Some(member) = self.bridge_mut(id).member_mut(member) {
            member.address_max = most;
        }
        Ok(())
    }

    /// `bridge_rtupdate` for a member: `set` is an address set by hand (with VLAN and flags), else
    /// `source` was seen.
    pub(super) fn bridge_learn(
        &mut self,
        id: IfId,
        member: IfId,
        set: Option<(Mac, u16, u8)>,
        source: Mac,
    ) -> std::result::Result<(), super::table::Refusal> {
        let now_s = self.now_s();
        let bridge = self.bridge_mut(id);
        let Some(at) = bridge.members.iter().position(|known| known.id == member) else {
            return Ok(());
        };
        let of = &mut bridge.members[at];
        let update = Update {
            mac: source,
            vlan: set.map_or(0, |(_, vlan, _)| vlan),
            member,
            is_sticky: of.has(member_flag::STICKY),
            address_max: of.address_max,
            now_s,
            flags: set.map(|(_, _, flags)| flags),
        };
        let result = bridge.table.update(update);
        if result == Err(super::table::Refusal::MemberFull) {
            of.address_exceeded += 1;
        }
        result
    }

    /// `BRDGGIFSTATS`: of checksums; nothing here counts any.
    fn bridge_member_stats(
        &self,
        id: IfId,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        self.bridge_member_named(id, argument)?;
        super::lists::put_member_stats(argument, memory)
    }
}

/// The address and VLAN of an `ifbareq`.
fn address_of(argument: &[u8]) -> (Mac, u16) {
    let mut mac = [0; 6];
    for (at, byte) in mac.iter_mut().enumerate() {
        *byte = argument.u8_at(25 + at);
    }
    (mac, argument.u16_at(32))
}
