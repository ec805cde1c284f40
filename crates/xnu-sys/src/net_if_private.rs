//! `<net/if_private.h>`: what the SDK does not say of interfaces (XNU `bsd/net/if_private.h`; up to
//! macOS 13 `bsd/net/if.h`).

header! {
    header "net/if_private.h", private;

    /// Most bytes of an interface's description.
    const IF_DESCSIZE: usize = 128;

    /// An interface's description, which any program may set and which the kernel does not read.
    struct if_descreq: 148, 4, () {
        /// The interface.
        ifdr_name: [u8; 16] = 0,
        /// The description's length in bytes.
        ifdr_len: u32 = 16,
        /// The description.
        ifdr_desc: [u8; 128] = 20,
    }

    /// `SIOCGIFEFLAGS`: was made by `SIOCIFCREATE`.
    const IFEF_CLONE: u64 = 0x1_0000;
    /// `SIOCGIFXFLAGS`: what it receives goes to taps and no further (`BIOCSDVRTIN`).
    const IFXF_DISABLE_INPUT: u64 = 0x4_0000;

    /// `SIOCGIFTYPE`: any family.
    const IFRTYPE_FAMILY_ANY: u32 = 0;
    /// `SIOCGIFTYPE`: loopbacks.
    const IFRTYPE_FAMILY_LOOPBACK: u32 = 1;
    /// `SIOCGIFTYPE`: Ethernet; feth and bridges too.
    const IFRTYPE_FAMILY_ETHERNET: u32 = 2;
    /// `SIOCGIFTYPE`: serial lines.
    const IFRTYPE_FAMILY_SLIP: u32 = 3;
    /// `SIOCGIFTYPE`: `tun`.
    const IFRTYPE_FAMILY_TUN: u32 = 4;
    /// `SIOCGIFTYPE`: VLANs.
    const IFRTYPE_FAMILY_VLAN: u32 = 5;
    /// `SIOCGIFTYPE`: PPP.
    const IFRTYPE_FAMILY_PPP: u32 = 6;
    /// `SIOCGIFTYPE`: tunnels of IP in IP.
    const IFRTYPE_FAMILY_GIF: u32 = 10;
    /// `SIOCGIFTYPE`: IPv6 over IPv4 by 6to4.
    const IFRTYPE_FAMILY_STF: u32 = 12;
    /// `SIOCGIFTYPE`: IEEE 1394.
    const IFRTYPE_FAMILY_FIREWIRE: u32 = 13;
    /// `SIOCGIFTYPE`: bonds.
    const IFRTYPE_FAMILY_BOND: u32 = 14;
    /// `SIOCGIFTYPE`: cellular.
    const IFRTYPE_FAMILY_CELLULAR: u32 = 15;
    /// `SIOCGIFTYPE`: `utun`.
    const IFRTYPE_FAMILY_UTUN: u32 = 17;
    /// `SIOCGIFTYPE`: `ipsec`.
    const IFRTYPE_FAMILY_IPSEC: u32 = 18;

    /// `SIOCGIFTYPE`: any subfamily.
    const IFRTYPE_SUBFAMILY_ANY: u32 = 0;
    /// `SIOCGIFTYPE`: on USB.
    const IFRTYPE_SUBFAMILY_USB: u32 = 1;
    /// `SIOCGIFTYPE`: Bluetooth.
    const IFRTYPE_SUBFAMILY_BLUETOOTH: u32 = 2;
    /// `SIOCGIFTYPE`: Wi-Fi; joins a bridge with its address in place of the guests'.
    const IFRTYPE_SUBFAMILY_WIFI: u32 = 3;
    /// `SIOCGIFTYPE`: Thunderbolt.
    const IFRTYPE_SUBFAMILY_THUNDERBOLT: u32 = 4;
    /// `SIOCGIFTYPE`: reserved.
    const IFRTYPE_SUBFAMILY_RESERVED: u32 = 5;
    /// `SIOCGIFTYPE`: a coprocessor; joins no bridge.
    const IFRTYPE_SUBFAMILY_INTCOPROC: u32 = 6;
    /// `SIOCGIFTYPE`: a relay.
    const IFRTYPE_SUBFAMILY_QUICKRELAY: u32 = 7;
    /// `SIOCGIFTYPE`: none in particular.
    const IFRTYPE_SUBFAMILY_DEFAULT: u32 = 8;
    /// `SIOCGIFTYPE`: vmnet's.
    const IFRTYPE_SUBFAMILY_VMNET: u32 = 9;
    /// `SIOCGIFTYPE`: a simulated cellular interface.
    const IFRTYPE_SUBFAMILY_SIMCELL: u32 = 10;
    /// `SIOCGIFTYPE`: `rd`.
    const IFRTYPE_SUBFAMILY_REDIRECT: u32 = 11;
    /// `SIOCGIFTYPE`: for management; joins no bridge.
    const IFRTYPE_SUBFAMILY_MANAGEMENT: u32 = 12;
}
