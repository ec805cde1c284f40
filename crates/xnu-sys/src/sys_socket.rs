//! `<sys/socket.h>`: sockets (XNU `bsd/sys/socket.h`).

header! {
    header "sys/socket.h", public;

    /// A socket's address of any family.
    struct sockaddr: 16, 1, () {
        /// Its length in bytes.
        sa_len: u8 = 0,
        /// Its family.
        sa_family: u8 = 1,
        /// The address.
        sa_data: [u8; 14] = 2,
    }

    /// A buffer of a vector.
    struct iovec: 16, 8, () {
        /// Pointer to its first byte.
        iov_base: u64 = 0,
        /// Its length in bytes.
        iov_len: u64 = 8,
    }

    /// One datagram of `recvmsg` or `sendmsg`.
    struct msghdr: 48, 8, () {
        /// Pointer to an address; 0 for none.
        msg_name: u64 = 0,
        /// Its length.
        msg_namelen: u32 = 8,
        /// Nothing.
        msg_pad0: u32 = 12,
        /// Pointer to the vector.
        msg_iov: u64 = 16,
        /// How many buffers it has.
        msg_iovlen: i32 = 24,
        /// Nothing.
        msg_pad1: u32 = 28,
        /// Pointer to control data; 0 for none.
        msg_control: u64 = 32,
        /// Its length.
        msg_controllen: u32 = 40,
        /// Flags.
        msg_flags: i32 = 44,
    }

    /// No family.
    const AF_UNSPEC: i32 = 0;
    /// Sockets within this machine.
    const AF_LOCAL: i32 = 1;
    /// Sockets within this machine.
    const AF_UNIX: i32 = 1;
    /// IPv4.
    const AF_INET: i32 = 2;
    /// Routes.
    const AF_ROUTE: i32 = 17;
    /// The link layer.
    const AF_LINK: i32 = 18;
    /// An interface's driver.
    const AF_NDRV: i32 = 27;
    /// An interface's driver.
    const PF_NDRV: i32 = 27;
    /// IPv6.
    const AF_INET6: i32 = 30;
    /// The kernel itself: its events.
    const AF_SYSTEM: i32 = 32;
    /// The kernel itself: its events.
    const PF_SYSTEM: i32 = 32;

    /// A stream of bytes.
    const SOCK_STREAM: i32 = 1;
    /// Datagrams.
    const SOCK_DGRAM: i32 = 2;
    /// Raw.
    const SOCK_RAW: i32 = 3;
    /// Datagrams in order, of a connection.
    const SOCK_SEQPACKET: i32 = 5;

    /// The level of options of every socket.
    const SOL_SOCKET: i32 = 0xffff;
    /// Option: datagrams are not cut but read on.
    const SO_DONTTRUNC: i32 = 0x2000;
    /// Option: the send buffer's size; of a unix datagram socket the largest datagram.
    const SO_SNDBUF: i32 = 0x1001;
    /// Option: the receive buffer's size.
    const SO_RCVBUF: i32 = 0x1002;
    /// Option: writable from so many bytes on.
    const SO_SNDLOWAT: i32 = 0x1003;
    /// Option: readable from so many bytes on.
    const SO_RCVLOWAT: i32 = 0x1004;
    /// Option: the error that waits, which is then gone.
    const SO_ERROR: i32 = 0x1007;
    /// Option: the kind of socket.
    const SO_TYPE: i32 = 0x1008;
    /// Option: the next datagram's length.
    const SO_NREAD: i32 = 0x1020;
    /// Option: no signal when the other end is closed.
    const SO_NOSIGPIPE: i32 = 0x1022;
    /// Option: bytes in the send buffer.
    const SO_NWRITE: i32 = 0x1024;
    /// Option: how many datagrams wait.
    const SO_NUMRCVPKT: i32 = 0x1112;

    /// What is read stays.
    const MSG_PEEK: i32 = 0x2;
    /// What is read is a whole record.
    const MSG_EOR: i32 = 0x8;
    /// The datagram was longer.
    const MSG_TRUNC: i32 = 0x10;
    /// The control data was longer.
    const MSG_CTRUNC: i32 = 0x20;
    /// The call does not wait.
    const MSG_DONTWAIT: i32 = 0x80;
    /// No signal when the other end is closed.
    const MSG_NOSIGNAL: i32 = 0x8_0000;
}
