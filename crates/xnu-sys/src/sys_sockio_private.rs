//! `<sys/sockio_private.h>`: requests about interfaces that the SDK does not have (XNU
//! `bsd/sys/sockio_private.h`; up to macOS 13 `bsd/sys/sockio.h`).

use crate::Control;
use crate::net_if::ifreq;
use crate::net_if_private::if_descreq;
use crate::sys_ioccom::{iow, iowr};

header! {
    header "sys/sockio_private.h", private;

    /// Gets extended flags (`IFEF_CLONE` and the like) as one 64-bit word.
    request SIOCGIFEFLAGS(ifreq) on Control = iowr::<ifreq>(b'i', 142), 0xc020_698e;
    /// Sets the description; root. It outlives the program, so that what a crash left behind can be
    /// recognised.
    request SIOCSIFDESC(if_descreq) on Control = iowr::<if_descreq>(b'i', 143), 0xc094_698f;
    /// Gets the description.
    request SIOCGIFDESC(if_descreq) on Control = iowr::<if_descreq>(b'i', 144), 0xc094_6990;
    /// Gets the MAC: an address of family `AF_LINK` whose length byte is 6.
    request SIOCGIFLLADDR(ifreq) on Control = iowr::<ifreq>(b'i', 158), 0xc020_699e;
    /// Gets the type, the family and the subfamily (words 0, 1 and 2): `IFT_BRIDGE`,
    /// `IFRTYPE_FAMILY_ETHERNET`, `IFRTYPE_SUBFAMILY_WIFI` and the like.
    request SIOCGIFTYPE(ifreq) on Control = iowr::<ifreq>(b'i', 159), 0xc020_699f;
    /// Gets further flags (`IFXF_DISABLE_INPUT` and the like) as one 64-bit word.
    request SIOCGIFXFLAGS(ifreq) on Control = iowr::<ifreq>(b'i', 206), 0xc020_69ce;
    /// Keeps what is received from the host; works on Apple's own debug kernels alone.
    /// `BIOCSDVRTIN` does the same on all since macOS 15.
    request SIOCSIFDISABLEINPUT(ifreq) on Control = iow::<ifreq>(b'i', 225), 0x8020_69e1;
    /// Gets whether what is received is kept from the host; on debug kernels alone.
    request SIOCGIFDISABLEINPUT(ifreq) on Control = iowr::<ifreq>(b'i', 225), 0xc020_69e1;
}
