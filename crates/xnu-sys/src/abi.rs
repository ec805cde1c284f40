//! Everything that is pinned, as one list: what `cargo xtask abi` prints, and what a C compiler
//! compares with the macOS headers.

/// The types and numbers of one header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Its path as C includes it, such as `net/if.h`.
    pub path: &'static str,
    /// Whether the macOS SDK has it; a private header can be compared with XNU's sources alone.
    pub is_public: bool,
    /// Its types.
    pub structs: &'static [Struct],
    /// Its numbers, requests included.
    pub constants: &'static [Constant],
}

/// A type of C.
#[derive(Clone, Copy, Debug)]
pub struct Struct {
    /// Its name, without `struct`.
    pub name: &'static str,
    /// Its size.
    pub size_bytes: usize,
    /// Its alignment.
    pub align_bytes: usize,
    /// Its fields in order.
    pub fields: &'static [Field],
}

/// A field of a type.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Where it begins.
    pub offset_bytes: usize,
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: i128,
}

/// Every header of this crate.
#[must_use]
pub const fn headers() -> &'static [Header] {
    &[
        crate::bpf::HEADER,
        crate::bpf_private::HEADER,
        crate::if_bridgevar::HEADER,
        crate::if_dl::HEADER,
        crate::if_fake_var::HEADER,
        crate::if_media::HEADER,
        crate::if_types::HEADER,
        crate::ndrv::HEADER,
        crate::net_if::HEADER,
        crate::net_if_private::HEADER,
        crate::net_if_var::HEADER,
        crate::net_kev::HEADER,
        crate::netinet_in::HEADER,
        crate::sys_event::HEADER,
        crate::sys_event_private::HEADER,
        crate::sys_fcntl::HEADER,
        crate::sys_filio::HEADER,
        crate::sys_kern_event::HEADER,
        crate::sys_socket::HEADER,
        crate::sys_socket_private::HEADER,
        crate::sys_sockio::HEADER,
        crate::sys_sockio_private::HEADER,
        crate::sys_time::HEADER,
        crate::sys_un::HEADER,
        crate::errno::HEADER,
    ]
}
