//! `<sys/sockio.h>`: requests about interfaces (XNU `bsd/sys/sockio.h`, answered in
//! `bsd/net/if.c`).
//!
//! Those whose argument holds a pointer that the kernel follows are not public; methods of
//! [`Descriptor`](crate::Descriptor) issue those that this project needs.

use crate::Control;
use crate::net_if::{
    if_clonereq, ifaliasreq, ifconf, ifdrv, ifmediareq, ifreq, ifstat, rslvmulti_req,
};
use crate::sys_ioccom::{iow, iowr};

header! {
    header "sys/sockio.h", public;

    /// Sets the address (of the socket's family).
    request SIOCSIFADDR(ifreq) on Control = iow::<ifreq>(b'i', 12), 0x8020_690c;
    /// Sets the other end's address.
    request SIOCSIFDSTADDR(ifreq) on Control = iow::<ifreq>(b'i', 14), 0x8020_690e;
    /// Sets the flags; root. Only those that may be changed are: not `IFF_RUNNING`,
    /// `IFF_BROADCAST`, `IFF_SIMPLEX`, `IFF_MULTICAST`, `IFF_ALLMULTI`.
    request SIOCSIFFLAGS(ifreq) on Control = iow::<ifreq>(b'i', 16), 0x8020_6910;
    /// Gets the flags. `ENXIO`: there is no such interface.
    request SIOCGIFFLAGS(ifreq) on Control = iowr::<ifreq>(b'i', 17), 0xc020_6911;
    /// Sets the broadcast address.
    request SIOCSIFBRDADDR(ifreq) on Control = iow::<ifreq>(b'i', 19), 0x8020_6913;
    /// Sets the network's mask.
    request SIOCSIFNETMASK(ifreq) on Control = iow::<ifreq>(b'i', 22), 0x8020_6916;
    /// Gets the metric.
    request SIOCGIFMETRIC(ifreq) on Control = iowr::<ifreq>(b'i', 23), 0xc020_6917;
    /// Sets the metric; root.
    request SIOCSIFMETRIC(ifreq) on Control = iow::<ifreq>(b'i', 24), 0x8020_6918;
    /// Takes an address away; root.
    request SIOCDIFADDR(ifreq) on Control = iow::<ifreq>(b'i', 25), 0x8020_6919;
    /// Adds an IPv4 address, or changes it; root, and a socket of `AF_INET`.
    request SIOCAIFADDR(ifaliasreq) on Control = iow::<ifaliasreq>(b'i', 26), 0x8040_691a;
    /// Gets the address (of the socket's family).
    request SIOCGIFADDR(ifreq) on Control = iowr::<ifreq>(b'i', 33), 0xc020_6921;
    /// Gets the other end's address.
    request SIOCGIFDSTADDR(ifreq) on Control = iowr::<ifreq>(b'i', 34), 0xc020_6922;
    /// Gets the broadcast address.
    request SIOCGIFBRDADDR(ifreq) on Control = iowr::<ifreq>(b'i', 35), 0xc020_6923;
    /// Lists every interface's addresses: [`Descriptor::interface_addresses`](crate::Descriptor).
    pointer request SIOCGIFCONF(ifconf) on Control = iowr::<ifconf>(b'i', 36), 0xc00c_6924;
    /// Gets the network's mask.
    request SIOCGIFNETMASK(ifreq) on Control = iowr::<ifreq>(b'i', 37), 0xc020_6925;
    /// Is about automatic addresses; root.
    request SIOCAUTOADDR(ifreq) on Control = iowr::<ifreq>(b'i', 38), 0xc020_6926;
    /// Is about automatic addresses; root.
    request SIOCAUTONETMASK(ifreq) on Control = iow::<ifreq>(b'i', 39), 0x8020_6927;
    /// Is about resolving automatic addresses; root.
    request SIOCARPIPLL(ifreq) on Control = iowr::<ifreq>(b'i', 40), 0xc020_6928;
    /// Joins a multicast group of the link; root.
    request SIOCADDMULTI(ifreq) on Control = iow::<ifreq>(b'i', 49), 0x8020_6931;
    /// Leaves a multicast group of the link; root.
    request SIOCDELMULTI(ifreq) on Control = iow::<ifreq>(b'i', 50), 0x8020_6932;
    /// Gets the MTU.
    request SIOCGIFMTU(ifreq) on Control = iowr::<ifreq>(b'i', 51), 0xc020_6933;
    /// Sets the MTU; root. `EINVAL`: the driver does not take it. A bridge takes only the one that
    /// all of its members have, and none below 576.
    request SIOCSIFMTU(ifreq) on Control = iow::<ifreq>(b'i', 52), 0x8020_6934;
    /// Gets the wire.
    request SIOCGIFPHYS(ifreq) on Control = iowr::<ifreq>(b'i', 53), 0xc020_6935;
    /// Sets the wire; root.
    request SIOCSIFPHYS(ifreq) on Control = iow::<ifreq>(b'i', 54), 0x8020_6936;
    /// Chooses the medium; root.
    request SIOCSIFMEDIA(ifreq) on Control = iowr::<ifreq>(b'i', 55), 0xc020_6937;
    /// Gets the media, those that it has no bits for as `IFM_OTHER`.
    pointer request SIOCGIFMEDIA(ifmediareq) on Control = iowr::<ifmediareq>(b'i', 56), 0xc02c_6938;
    /// The driver's own; its argument may be a pointer.
    pointer request SIOCSIFGENERIC(ifreq) on Control = iow::<ifreq>(b'i', 57), 0x8020_6939;
    /// The driver's own; its argument may be a pointer.
    pointer request SIOCGIFGENERIC(ifreq) on Control = iowr::<ifreq>(b'i', 58), 0xc020_693a;
    /// Resolves a multicast address.
    pointer request SIOCRSLVMULTI(rslvmulti_req) on Control =
        iowr::<rslvmulti_req>(b'i', 59), 0xc010_693b;
    /// Sets the MAC; root. The address's length byte is 6, not a socket address's.
    request SIOCSIFLLADDR(ifreq) on Control = iow::<ifreq>(b'i', 60), 0x8020_693c;
    /// Gets what the interface says of itself in words; a feth has none (`EOPNOTSUPP`).
    request SIOCGIFSTATUS(ifstat) on Control = iowr::<ifstat>(b'i', 61), 0xc331_693d;
    /// Sets a tunnel's ends; root.
    request SIOCSIFPHYADDR(ifaliasreq) on Control = iow::<ifaliasreq>(b'i', 62), 0x8040_693e;
    /// Gets a tunnel's own end.
    request SIOCGIFPSRCADDR(ifreq) on Control = iowr::<ifreq>(b'i', 63), 0xc020_693f;
    /// Gets a tunnel's other end.
    request SIOCGIFPDSTADDR(ifreq) on Control = iowr::<ifreq>(b'i', 64), 0xc020_6940;
    /// Takes a tunnel's ends away; root.
    request SIOCDIFPHYADDR(ifreq) on Control = iow::<ifreq>(b'i', 65), 0x8020_6941;
    /// Gets the device's MTU and its bounds ([`ifreq::devmtu`]): what a feth takes.
    request SIOCGIFDEVMTU(ifreq) on Control = iowr::<ifreq>(b'i', 68), 0xc020_6944;
    /// Sets another MTU; root.
    request SIOCSIFALTMTU(ifreq) on Control = iow::<ifreq>(b'i', 69), 0x8020_6945;
    /// Configures a bond; its argument is a pointer.
    pointer request SIOCSIFBOND(ifreq) on Control = iow::<ifreq>(b'i', 70), 0x8020_6946;
    /// Asks a bond; its argument is a pointer.
    pointer request SIOCGIFBOND(ifreq) on Control = iowr::<ifreq>(b'i', 71), 0xc020_6947;
    /// Gets the other MTU.
    request SIOCGIFALTMTU(ifreq) on Control = iowr::<ifreq>(b'i', 72), 0xc020_6948;
    /// Gets the media in full.
    pointer request SIOCGIFXMEDIA(ifmediareq) on Control =
        iowr::<ifmediareq>(b'i', 72), 0xc02c_6948;
    /// Sets capabilities (word 0); root.
    request SIOCSIFCAP(ifreq) on Control = iow::<ifreq>(b'i', 90), 0x8020_695a;
    /// Gets capabilities: supported in word 0, on in word 1.
    request SIOCGIFCAP(ifreq) on Control = iowr::<ifreq>(b'i', 91), 0xc020_695b;
    /// Sets an interface apart for management; root.
    request SIOCSIFMANAGEMENT(ifreq) on Control = iowr::<ifreq>(b'i', 92), 0xc020_695c;
    /// Creates an interface; root. A name without a unit (`feth`) gets the lowest free one, and is
    /// written back. `EEXIST`: it exists; `EBUSY`: it is still going away; `EINVAL`: no such kind.
    request SIOCIFCREATE(ifreq) on Control = iowr::<ifreq>(b'i', 120), 0xc020_6978;
    /// Destroys an interface; root. It goes away some time after the request returns.
    request SIOCIFDESTROY(ifreq) on Control = iow::<ifreq>(b'i', 121), 0x8020_6979;
    /// Creates an interface with parameters, behind a pointer.
    pointer request SIOCIFCREATE2(ifreq) on Control = iowr::<ifreq>(b'i', 122), 0xc020_697a;
    /// Tells a driver something: [`Descriptor::driver_command`](crate::Descriptor).
    pointer request SIOCSDRVSPEC(ifdrv) on Control = iow::<ifdrv>(b'i', 123), 0x8028_697b;
    /// Asks a driver something: [`Descriptor::driver_command`](crate::Descriptor).
    pointer request SIOCGDRVSPEC(ifdrv) on Control = iowr::<ifdrv>(b'i', 123), 0xc028_697b;
    /// Gets PPP's map of characters.
    request SIOCGIFASYNCMAP(ifreq) on Control = iowr::<ifreq>(b'i', 124), 0xc020_697c;
    /// Sets PPP's map of characters; root.
    request SIOCSIFASYNCMAP(ifreq) on Control = iow::<ifreq>(b'i', 125), 0x8020_697d;
    /// Configures a VLAN; its argument is a pointer.
    pointer request SIOCSIFVLAN(ifreq) on Control = iow::<ifreq>(b'i', 126), 0x8020_697e;
    /// Asks a VLAN; its argument is a pointer.
    pointer request SIOCGIFVLAN(ifreq) on Control = iowr::<ifreq>(b'i', 127), 0xc020_697f;
    /// Lists which kinds of interfaces can be created: [`Descriptor::cloners`](crate::Descriptor).
    pointer request SIOCIFGCLONERS(if_clonereq) on Control =
        iowr::<if_clonereq>(b'i', 129), 0xc010_6981;
    /// Obsolete; its argument is a pointer.
    pointer request SIOCGIFMAC(ifreq) on Control = iowr::<ifreq>(b'i', 130), 0xc020_6982;
    /// Obsolete; its argument is a pointer.
    pointer request SIOCSIFMAC(ifreq) on Control = iow::<ifreq>(b'i', 131), 0x8020_6983;
    /// An extension's own; its argument may be a pointer.
    pointer request SIOCSIFKPI(ifreq) on Control = iow::<ifreq>(b'i', 134), 0x8020_6986;
    /// An extension's own; its argument may be a pointer.
    pointer request SIOCGIFKPI(ifreq) on Control = iowr::<ifreq>(b'i', 135), 0xc020_6987;
    /// Gets how it can wake the machine.
    request SIOCGIFWAKEFLAGS(ifreq) on Control = iowr::<ifreq>(b'i', 136), 0xc020_6988;
    /// Gets the functional type (word 0): `IFRTYPE_FUNCTIONAL_WIRED` and the like. It does not tell
    /// a bridge: `SIOCGIFTYPE` does.
    request SIOCGIFFUNCTIONALTYPE(ifreq) on Control = iowr::<ifreq>(b'i', 173), 0xc020_69ad;
    /// Configures 6LoWPAN; its argument is a pointer.
    pointer request SIOCSIF6LOWPAN(ifreq) on Control = iow::<ifreq>(b'i', 196), 0x8020_69c4;
    /// Asks 6LoWPAN; its argument is a pointer.
    pointer request SIOCGIF6LOWPAN(ifreq) on Control = iowr::<ifreq>(b'i', 197), 0xc020_69c5;
    /// Gets whether it is a link between two; since macOS 15 by this number.
    request SIOCGIFDIRECTLINK(ifreq) on Control = iowr::<ifreq>(b'i', 222), 0xc020_69de;
}
