//! `<net/if_dl.h>`: addresses of the link layer (XNU `bsd/net/if_dl.h`).

header! {
    header "net/if_dl.h", public;

    /// A link-layer address. [`crate::address::link_address`] takes one apart.
    struct sockaddr_dl: 20, 2, () {
        /// Its length in bytes, which may be more than 20.
        sdl_len: u8 = 0,
        /// `AF_LINK`.
        sdl_family: u8 = 1,
        /// The interface's index.
        sdl_index: u16 = 2,
        /// The interface's type.
        sdl_type: u8 = 4,
        /// The name's length.
        sdl_nlen: u8 = 5,
        /// The address's length.
        sdl_alen: u8 = 6,
        /// The selector's length.
        sdl_slen: u8 = 7,
        /// The name, the address and the selector, one after the other.
        sdl_data: [u8; 12] = 8,
    }
}
