//! Flags: what an interface is set to.

use xnu_sys::Kernel;
use xnu_sys::net_if::{IFF_MULTICAST, IFF_SIMPLEX, IFF_UP};

use super::{Interfaces, failure, interface_name};
use crate::{Call, Error, Flags};

impl<K: Kernel> Interfaces<K> {
    /// Switches an interface on or off. What it is already stays.
    ///
    /// A driver that fails at this is not heard of: the kernel sets the flag and drops the driver's
    /// error (`ifioctl_ifreq`, `bsd/net/if.c`). A feth is running as soon as it is up; switching it
    /// throws away what it has queued.
    ///
    /// # Errors
    /// Those of all methods.
    pub fn set_up(&self, name: &str, up: bool) -> Result<(), Error> {
        let call = Call::SetUp { name: name.to_owned(), up };
        let name = interface_name(&call, name)?;
        let flags = self.control.flags(name).map_err(failure::of_interface(&call, name))?;
        let wanted = if up { flags | IFF_UP } else { flags & !IFF_UP };
        if wanted == flags {
            return Ok(());
        }
        self.control.set_flags(name, wanted).map_err(failure::of_interface(&call, name))
    }
}

/// XNU's `IFF_*` under the names of the shared type, whose values are Linux's.
pub(super) fn shared(flags: u32) -> Flags {
    let mut shared = Flags::from_bits_retain(flags & SAME_ON_BOTH);
    for (xnu, flag) in [(IFF_SIMPLEX, Flags::SIMPLEX), (IFF_MULTICAST, Flags::MULTICAST)] {
        shared.set(flag, flags & xnu != 0);
    }
    shared
}

/// `UP` to `ALLMULTI`: the bits that all Unixes inherited. Those above differ.
const SAME_ON_BOTH: u32 = 0x3ff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_by_name() {
        // What feth has when it is up: UP, BROADCAST, RUNNING, SIMPLEX, MULTICAST.
        let feth = Flags::UP | Flags::BROADCAST | Flags::RUNNING;
        assert_eq!(shared(0x8843), feth | Flags::SIMPLEX | Flags::MULTICAST);
        // LINK0 (0x1000) is no MULTICAST, and OACTIVE (0x400) no MASTER.
        assert_eq!(shared(0x1400), Flags::empty());
        assert_eq!(shared(0x3ff).bits(), 0x3ff);
    }
}
