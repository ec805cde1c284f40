//! `SIOCSIFMTU` and `SIOCGIFDEVMTU` (`ifioctl_ifreq`, `bsd/net/if.c`; contract §1a, §3, §4, C9).

use super::IfId;
use super::interface::Driver;
use crate::copyio::{Raw, RawMut};
use crate::errno::{EINVAL, EOPNOTSUPP, EPERM, Result};
use crate::event_socket::code;
use crate::machine::Machine;

/// `IF_MINMTU` and `IF_MAXMTU`: the bounds of any interface.
pub(super) const MTU_MIN: u32 = 72;
const MTU_MAX: u32 = 65_535;
/// Least MTU of a bridge (C9).
const BRIDGE_MTU_MIN: u32 = 576;

/// Where an `ifreq` has its value.
const VALUE_AT: usize = 16;

impl Machine {
    pub(super) fn ioctl_set_mtu(&mut self, is_root: bool, id: IfId, argument: &[u8]) -> Result<()> {
        if !is_root {
            return Err(EPERM);
        }
        let mtu = argument.u32_at(VALUE_AT);
        if !(MTU_MIN..=MTU_MAX).contains(&mtu) {
            return Err(EINVAL);
        }
        self.driver_set_mtu(id, mtu)?;
        self.post_interface_event(id, code::SIFMTU);
        Ok(())
    }

    fn driver_set_mtu(&mut self, id: IfId, mtu: u32) -> Result<()> {
        let is_allowed = match &self.net[id].driver {
            Driver::Feth(feth) => mtu <= feth.mtu_max,
            Driver::Ethernet(ethernet) => mtu <= ethernet.mtu_max,
            Driver::Bridge(bridge) => {
                let fits = |member: &super::bridge::Member| self.net[member.id].mtu == mtu;
                mtu >= BRIDGE_MTU_MIN && bridge.members.iter().all(fits)
            }
            Driver::Loopback => true,
            Driver::None => return Err(EOPNOTSUPP),
        };
        if !is_allowed {
            return Err(EINVAL);
        }
        self.net[id].mtu = mtu;
        Ok(())
    }

    /// Current, least and greatest.
    pub(super) fn ioctl_device_mtu(&self, id: IfId, argument: &mut [u8]) -> Result<()> {
        let most = match &self.net[id].driver {
            Driver::Feth(feth) => feth.mtu_max,
            Driver::Ethernet(ethernet) => ethernet.mtu_max,
            _ => return Err(EOPNOTSUPP),
        };
        argument.put_u32(VALUE_AT, self.net[id].mtu);
        argument.put_u32(VALUE_AT + 4, MTU_MIN);
        argument.put_u32(VALUE_AT + 8, most);
        Ok(())
    }
}
