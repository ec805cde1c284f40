//! `<sys/socket.h>`: sockets (XNU `bsd/sys/socket.h`).

header! {
    header "sys/socket.h", public;

    /// A buffer of a vector.
    struct iovec: 16, 8, () {
        /// Pointer to its first byte.
        iov_base: u64 = 0,
        /// Its length in bytes.
        iov_len: u64 = 8,
    }

    /// Sockets within this machine.
    const AF_LOCAL: i32 = 1;
    /// Datagrams.
    const SOCK_DGRAM: i32 = 2;
    /// The call does not wait.
    const MSG_DONTWAIT: i32 = 0x80;
}
