//! Everything that is pinned, as one list: what `cargo xtask abi` prints, and what a C compiler
//! compares with the macOS headers.

mod line;

pub use line::Line;

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
    /// Its size.
    pub size_bytes: usize,
}

impl Field {
    /// Whether it is padding that C has no name for. It has one here, ending in `pad0`, `pad1`, …;
    /// fields of C that hold nothing (`pad` of `ifbreq`) are fields like others.
    #[must_use]
    pub const fn is_padding(&self) -> bool {
        matches!(self.name.as_bytes(), [.., b'p', b'a', b'd', b'0'..=b'9'])
    }
}

/// A number.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ConstantKind,
    /// Its value.
    pub value: i128,
}

/// What a number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConstantKind {
    /// A flag, a limit, an option, an error, …
    Number,
    /// The number of a request (ioctl).
    Request,
    /// The number of a driver's command (`ifd_cmd`).
    Command,
}

/// A name without what Rust needs before a word of its own (`r#type`).
pub(crate) const fn c_name(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
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
        crate::sys_domain::HEADER,
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

/// The whole list, one item a line, header by header in the order of the files. Padding that C has
/// no name for is left out.
#[must_use]
pub fn list() -> String {
    let mut list = String::new();
    let mut add = |line: Line| list.extend([line.as_str(), "\n"]);
    for header in headers() {
        for item in header.structs {
            add(Line::of_struct(item));
            let fields = item.fields.iter().filter(|field| !field.is_padding());
            fields.for_each(|field| add(Line::of_field(item, field)));
        }
        header.constants.iter().for_each(|constant| add(Line::of_constant(constant)));
    }
    list
}
