//! `<net/if_media.h>`: media of interfaces (XNU `bsd/net/if_media.h`).

header! {
    header "net/if_media.h", public;

    /// Kind: Ethernet.
    const IFM_ETHER: i32 = 0x20;
    /// Kind: Wi-Fi.
    const IFM_IEEE80211: i32 = 0x80;

    /// Medium: the best is chosen.
    const IFM_AUTO: i32 = 0;
    /// Medium: chosen on the device.
    const IFM_MANUAL: i32 = 1;
    /// Medium: none.
    const IFM_NONE: i32 = 2;
    /// Medium of Ethernet: 10 Mbit/s over twisted pairs.
    const IFM_10_T: i32 = 3;
    /// Medium of Ethernet: 100 Mbit/s over twisted pairs.
    const IFM_100_TX: i32 = 6;
    /// Medium of Ethernet: 1 Gbit/s over twisted pairs.
    const IFM_1000_T: i32 = 16;
    /// Medium of Ethernet: 10 Gbit/s over twisted pairs; what a feth with a peer says.
    const IFM_10G_T: i32 = 21;
    /// Medium of Ethernet: 2.5 Gbit/s over twisted pairs.
    const IFM_2500_T: i32 = 22;
    /// Medium of Ethernet: 5 Gbit/s over twisted pairs.
    const IFM_5000_T: i32 = 23;
    /// Medium of Ethernet: another.
    const IFM_OTHER: i32 = 31;

    /// Option: full duplex.
    const IFM_FDX: i32 = 0x0010_0000;
    /// Option: half duplex.
    const IFM_HDX: i32 = 0x0020_0000;
    /// Option: flow control.
    const IFM_FLOW: i32 = 0x0040_0000;
    /// Option: Energy-Efficient Ethernet.
    const IFM_EEE: i32 = 0x0080_0000;
    /// Option: looped back.
    const IFM_LOOP: i32 = 0x0800_0000;

    /// The kind's bits.
    const IFM_NMASK: i32 = 0xe0;
    /// The medium's bits.
    const IFM_TMASK: i32 = 0x000f_001f;
    /// The bits of options of one kind.
    const IFM_OMASK: i32 = 0xff00;
    /// The bits of options of every kind.
    const IFM_GMASK: i32 = 0x0ff0_0000;

    /// Status: [`IFM_ACTIVE`] is to be believed.
    const IFM_AVALID: i32 = 0x1;
    /// Status: there is a link. A bridge floods to no member without it.
    const IFM_ACTIVE: i32 = 0x2;
}
