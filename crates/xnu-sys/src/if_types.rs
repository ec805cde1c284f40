//! `<net/if_types.h>`: types of interfaces (XNU `bsd/net/if_types.h`).

header! {
    header "net/if_types.h", public;

    /// None of the others; `utun` and the like.
    const IFT_OTHER: u32 = 0x1;
    /// Ethernet; feth too.
    const IFT_ETHER: u32 = 0x6;
    /// PPP.
    const IFT_PPP: u32 = 0x17;
    /// A loopback.
    const IFT_LOOP: u32 = 0x18;
    /// A tunnel of IP in IP.
    const IFT_GIF: u32 = 0x37;
    /// IPv6 over IPv4 by 6to4.
    const IFT_STF: u32 = 0x39;
    /// A VLAN.
    const IFT_L2VLAN: u32 = 0x87;
    /// A bond.
    const IFT_IEEE8023ADLAG: u32 = 0x88;
    /// IEEE 1394.
    const IFT_IEEE1394: u32 = 0x90;
    /// A bridge. `SIOCGIFTYPE` says so; the link address of `getifaddrs` says [`IFT_ETHER`].
    const IFT_BRIDGE: u32 = 0xd1;
    /// A tap of packets (`pktap`).
    const IFT_PKTAP: u32 = 0xfe;
    /// Cellular.
    const IFT_CELLULAR: u32 = 0xff;
}
