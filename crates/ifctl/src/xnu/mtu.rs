//! MTUs, and the rules that a bridge and a feth have for them.

use xnu_sys::{Errno, InterfaceName, Kernel, SyscallError};

use super::{Interfaces, failure, interface_name};
use crate::{Call, Error, Kind};

/// Smallest MTU that a bridge takes (`bridge_ioctl`, `SIOCSIFMTU`).
pub(super) const BRIDGE_MTU_MIN: u32 = 576;
/// Most that the kernel takes for any interface (`IF_MAXMTU`, `bsd/net/if.h`).
const MTU_MAX: u32 = 65535;

impl<K: Kernel> Interfaces<K> {
    /// Sets an interface's MTU, in bytes without the Ethernet header.
    ///
    /// A bridge takes only the MTU that all its members have, of 576 at least; so change the
    /// members first. It does not notice when the MTU of a member is changed: the two then differ
    /// until the bridge's is set too.
    ///
    /// # Errors
    /// [`Error::MtuRejected`] with the limits that the driver tells; [`Error::MtuDiffers`] naming
    /// the first member of a bridge that has another MTU.
    pub fn set_mtu(&self, name: &str, mtu: u32) -> Result<(), Error> {
        let call = Call::SetMtu { name: name.to_owned(), mtu };
        let name = interface_name(&call, name)?;
        self.set_mtu_for(&call, name, mtu)
    }

    /// The smallest and largest MTU that the driver of an interface takes (`SIOCGIFDEVMTU`).
    ///
    /// A feth's largest was decided when it was made, from `net.link.fake.max_mtu` (2048 unless
    /// changed) and no more than a buffer of the kernel holds.
    ///
    /// # Errors
    /// [`Error::Xnu`] for drivers that do not tell.
    pub fn mtu_range(&self, name: &str) -> Result<(u32, u32), Error> {
        let call = Call::OnInterface { what: "read the MTU's limits of", name: name.to_owned() };
        let name = interface_name(&call, name)?;
        self.control.mtu_range(name).map_err(failure::of_interface(&call, name))
    }

    /// The MTU that an interface must have to become a member of `bridge`; none if the bridge has
    /// no members, for then it takes over the MTU of the first.
    ///
    /// # Errors
    /// [`Error::NotABridge`].
    pub fn required_mtu(&self, bridge: &str) -> Result<Option<u32>, Error> {
        let call =
            Call::OnBridge { what: "find the MTU for members of", bridge: bridge.to_owned() };
        let bridge = interface_name(&call, bridge)?;
        self.must_be_bridge(&call, bridge)?;
        let of_bridge = || failure::of_interface(&call, bridge);
        let all = self.control.bridge_ports(bridge).map_err(of_bridge())?;
        if !all.iter().any(|one| one.is_member()) {
            return Ok(None);
        }
        self.control.mtu(bridge).map(Some).map_err(of_bridge())
    }

    pub(super) fn set_mtu_for(
        &self,
        call: &Call,
        name: InterfaceName,
        mtu: u32,
    ) -> Result<(), Error> {
        match self.control.set_mtu(name, mtu) {
            Ok(()) => Ok(()),
            Err(source) if source.errno == Errno::EINVAL => {
                Err(self.mtu_refused(call, name, mtu, source)?)
            }
            Err(source) => Err(failure::of_interface(call, name)(source)),
        }
    }

    /// Why an MTU was refused.
    fn mtu_refused(
        &self,
        call: &Call,
        name: InterfaceName,
        mtu: u32,
        source: SyscallError,
    ) -> Result<Error, Error> {
        let rejected = |min, max| {
            let name = name.to_string();
            Error::MtuRejected { call: call.clone(), name, mtu, min, max }
        };
        if self.kind(call, name)? != Kind::Bridge {
            // A driver that does not tell its limits leaves the kernel's word as it is.
            return Ok(match self.control.mtu_range(name) {
                Ok((min, max)) if !(min..=max).contains(&mtu) => rejected(min, max),
                _ => Error::Xnu { call: call.clone(), source },
            });
        }
        if !(BRIDGE_MTU_MIN..=MTU_MAX).contains(&mtu) {
            return Ok(rejected(BRIDGE_MTU_MIN, MTU_MAX));
        }
        for one in self.control.bridge_ports(name).map_err(failure::of_interface(call, name))? {
            let Ok(member_mtu) = self.control.mtu(one.name) else { continue };
            if one.is_member() && member_mtu != mtu {
                return Ok(Error::MtuDiffers {
                    call: call.clone(),
                    bridge: name.to_string(),
                    mtu,
                    member: one.name.to_string(),
                    member_mtu,
                });
            }
        }
        Ok(Error::Xnu { call: call.clone(), source })
    }
}
