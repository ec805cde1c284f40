//! `<sys/socket_private.h>`: the messages of `recvmsg_x` and `sendmsg_x`, which the SDK does not
//! have (in XNU `bsd/sys/socket.h` up to macOS 14).

header! {
    header "sys/socket_private.h", private;

    /// Of one kind with `MSG_DONTWAIT`, from within the kernel.
    const MSG_NBIO: i32 = 0x2_0000;

    /// One datagram of `recvmsg_x` or `sendmsg_x`.
    struct msghdr_x: 56, 8, () {
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
        /// Flags; 0 on input for kernels up to macOS 13.
        msg_flags: i32 = 44,
        /// Out: the datagram's length in bytes.
        msg_datalen: u64 = 48,
    }
}
