//! `<net/if_var.h>`: what kernel events say of an interface (XNU `bsd/net/if_var.h`).

header! {
    header "net/if_var.h", public;

    /// Which interface an event is about; its name without the unit (`feth`).
    struct net_event_data: 24, 4, () {
        /// The family (`IFRTYPE_FAMILY_ETHERNET` and the like).
        if_family: u32 = 0,
        /// The unit.
        if_unit: u32 = 4,
        /// The name without the unit.
        if_name: [u8; 16] = 8,
    }
}
