//! `<net/if.h>` and `<sys/sockio.h>`: interfaces and the requests about them (XNU `bsd/net/if.h`,
//! `bsd/sys/sockio.h`).

use crate::Control;
use crate::sys_ioccom::{iow, iowr};

header! {
    header "net/if.h", public;

    /// A command for an interface's driver.
    struct ifdrv: 40, 4, (, packed(4)) {
        /// The interface.
        ifd_name: [u8; 16] = 0,
        /// The command.
        ifd_cmd: u64 = 16,
        /// The argument's length in bytes; a bridge compares it exactly.
        ifd_len: u64 = 24,
        /// Pointer to the argument.
        ifd_data: u64 = 32,
    }

    /// Tells a driver something.
    pointer request SIOCSDRVSPEC(ifdrv) on Control = iow::<ifdrv>(b'i', 123), 0x8028_697b;
    /// Asks a driver something.
    pointer request SIOCGDRVSPEC(ifdrv) on Control = iowr::<ifdrv>(b'i', 123), 0xc028_697b;
}
