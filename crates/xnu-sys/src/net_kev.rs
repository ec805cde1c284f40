//! `<net/net_kev.h>`: kernel events about interfaces (XNU `bsd/net/net_kev.h`).

pub use crate::net_if_var::net_event_data;

header! {
    header "net/net_kev.h", public;

    /// Subclass: IPv4 addresses.
    const KEV_INET_SUBCLASS: u32 = 1;
    /// Subclass: interfaces.
    const KEV_DL_SUBCLASS: u32 = 2;
    /// Subclass: IPv6 addresses.
    const KEV_INET6_SUBCLASS: u32 = 6;

    /// Its flags changed.
    const KEV_DL_SIFFLAGS: u32 = 1;
    /// Its metric changed.
    const KEV_DL_SIFMETRICS: u32 = 2;
    /// Its MTU changed.
    const KEV_DL_SIFMTU: u32 = 3;
    /// Its wire changed.
    const KEV_DL_SIFPHYS: u32 = 4;
    /// Its medium was chosen.
    const KEV_DL_SIFMEDIA: u32 = 5;
    /// The driver's own changed.
    const KEV_DL_SIFGENERIC: u32 = 6;
    /// A multicast address came.
    const KEV_DL_ADDMULTI: u32 = 7;
    /// A multicast address went.
    const KEV_DL_DELMULTI: u32 = 8;
    /// It came.
    const KEV_DL_IF_ATTACHED: u32 = 9;
    /// It is going.
    const KEV_DL_IF_DETACHING: u32 = 10;
    /// It is gone; its name is free from here on.
    const KEV_DL_IF_DETACHED: u32 = 11;
    /// It has no link.
    const KEV_DL_LINK_OFF: u32 = 12;
    /// It has a link.
    const KEV_DL_LINK_ON: u32 = 13;
    /// A protocol was attached ([`kev_dl_proto_data`](crate::net_if::kev_dl_proto_data)).
    const KEV_DL_PROTO_ATTACHED: u32 = 14;
    /// A protocol was detached.
    const KEV_DL_PROTO_DETACHED: u32 = 15;
    /// Its MAC changed.
    const KEV_DL_LINK_ADDRESS_CHANGED: u32 = 16;
    /// How it can wake the machine changed.
    const KEV_DL_WAKEFLAGS_CHANGED: u32 = 17;
    /// Its capabilities changed.
    const KEV_DL_IFCAP_CHANGED: u32 = 19;
}
