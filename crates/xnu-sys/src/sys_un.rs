//! `<sys/un.h>`: addresses of unix sockets (XNU `bsd/sys/un.h`).

header! {
    header "sys/un.h", public;

    /// A path. [`crate::address::unix_path`] makes one, of no more bytes than it needs.
    struct sockaddr_un: 106, 1, () {
        /// Its length in bytes.
        sun_len: u8 = 0,
        /// `AF_LOCAL`.
        sun_family: u8 = 1,
        /// The path.
        sun_path: [u8; 104] = 2,
    }

    /// The level of options of unix sockets.
    const SOL_LOCAL: i32 = 0;
    /// Option: the peer's user and groups.
    const LOCAL_PEERCRED: i32 = 1;
    /// Option: the peer's process.
    const LOCAL_PEERPID: i32 = 2;
    /// Option: the process on whose behalf the peer is.
    const LOCAL_PEEREPID: i32 = 3;
    /// Option: the peer program's identifier.
    const LOCAL_PEERUUID: i32 = 4;
    /// Option: the identifier of the program on whose behalf the peer is.
    const LOCAL_PEEREUUID: i32 = 5;
    /// Option: the peer's audit token.
    const LOCAL_PEERTOKEN: i32 = 6;
}
