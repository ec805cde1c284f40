//! `<netinet/in.h>`: addresses of IP (XNU `bsd/netinet/in.h`, `bsd/netinet6/in6.h`).

header! {
    header "netinet/in.h", public;

    /// An IPv4 address and a port, both in network order.
    struct sockaddr_in: 16, 4, (, align(4)) {
        /// Its length, 16.
        sin_len: u8 = 0,
        /// `AF_INET`.
        sin_family: u8 = 1,
        /// The port.
        sin_port: [u8; 2] = 2,
        /// The address.
        sin_addr: [u8; 4] = 4,
        /// Nothing.
        sin_zero: [u8; 8] = 8,
    }

    /// An IPv6 address and a port, both in network order.
    struct sockaddr_in6: 28, 4, (, align(4)) {
        /// Its length, 28.
        sin6_len: u8 = 0,
        /// `AF_INET6`.
        sin6_family: u8 = 1,
        /// The port.
        sin6_port: [u8; 2] = 2,
        /// Traffic class and flow label.
        sin6_flowinfo: u32 = 4,
        /// The address. The kernel may keep the interface's index in bytes 2 and 3 of a link-local
        /// one.
        sin6_addr: [u8; 16] = 8,
        /// The interface's index, for a link-local address.
        sin6_scope_id: u32 = 24,
    }
}
