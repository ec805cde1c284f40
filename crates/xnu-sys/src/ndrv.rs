//! `<net/ndrv.h>`: raw sockets of an interface's driver (XNU `bsd/net/ndrv.h`, `bsd/net/ndrv.c`).

header! {
    header "net/ndrv.h", public;

    /// The one protocol of `PF_NDRV`.
    const NDRVPROTO_NDRV: i32 = 0;
    /// The level of options of NDRV sockets.
    const SOL_NDRVPROTO: i32 = 0;
    /// Option: no protocol is received any longer.
    const NDRV_DELDMXSPEC: i32 = 0x02;
    /// Option: which protocol is received ([`ndrv_protocol_desc`]).
    const NDRV_SETDMXSPEC: i32 = 0x04;
    /// Option: receives a multicast address (a socket address).
    const NDRV_ADDMULTICAST: i32 = 0x05;
    /// Option: receives it no longer.
    const NDRV_DELMULTICAST: i32 = 0x06;

    /// A frame is of a protocol by its Ethernet type.
    const NDRV_DEMUXTYPE_ETHERTYPE: u16 = 4;
    /// A frame is of a protocol by its service access points.
    const NDRV_DEMUXTYPE_SAP: u16 = 5;
    /// A frame is of a protocol by its SNAP header.
    const NDRV_DEMUXTYPE_SNAP: u16 = 6;

    /// The version of [`ndrv_protocol_desc`].
    const NDRV_PROTOCOL_DESC_VERS: u32 = 1;

    /// An interface by its name. [`crate::address::ndrv`] makes one.
    struct sockaddr_ndrv: 18, 1, () {
        /// Its length, 18.
        snd_len: u8 = 0,
        /// `AF_NDRV`.
        snd_family: u8 = 1,
        /// The interface.
        snd_name: [u8; 16] = 2,
    }

    /// How frames of a protocol are known.
    struct ndrv_demux_desc: 32, 2, (, align(2)) {
        /// By what: [`NDRV_DEMUXTYPE_ETHERTYPE`] and the like.
        r#type: u16 = 0,
        /// How many bytes of `data` count.
        length: u16 = 2,
        /// The type in network order, or header bytes.
        data: [u8; 28] = 4,
    }

    /// A protocol that an NDRV socket receives.
    struct ndrv_protocol_desc: 24, 8, () {
        /// [`NDRV_PROTOCOL_DESC_VERS`].
        version: u32 = 0,
        /// A number of its own.
        protocol_family: u32 = 4,
        /// How many descriptions; at most 10.
        demux_count: u32 = 8,
        /// Nothing.
        pad0: u32 = 12,
        /// Pointer to the first [`ndrv_demux_desc`].
        demux_list: u64 = 16,
    }
}
