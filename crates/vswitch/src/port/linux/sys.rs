//! The few calls that no library gives safely.
#![allow(unsafe_code, reason = "peers' addresses, requests to a TAP")]

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The address of a unix socket's peer, as the kernel gave it.
#[derive(Clone, Copy)]
pub(super) struct PeerAddress {
    address: libc::sockaddr_un,
    len: libc::socklen_t,
}

impl PeerAddress {
    /// The address of a socket bound at `path`; `None` when no socket can be.
    pub(super) fn at(path: &Path) -> Option<Self> {
        // SAFETY: a sockaddr_un is plain data, for which zeros are a value.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).ok()?;
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || bytes.contains(&0) || bytes.len() >= address.sun_path.len() {
            return None;
        }
        for (to, from) in address.sun_path.iter_mut().zip(bytes) {
            *to = from.cast_signed();
        }
        let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + bytes.len() + 1;
        Some(Self { address, len: libc::socklen_t::try_from(len).ok()? })
    }

    /// Where in the file system the peer is; `None` for an abstract address.
    pub(super) fn file(&self) -> Option<&Path> {
        let bytes = self.path();
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        (bytes.first() != Some(&0)).then(|| Path::new(OsStr::from_bytes(bytes)))
    }

    /// The path's bytes; empty for a socket that was never bound.
    fn path(&self) -> &[u8] {
        let at = std::mem::offset_of!(libc::sockaddr_un, sun_path);
        let len = (self.len as usize).saturating_sub(at).min(self.address.sun_path.len());
        // SAFETY: `len` bytes from sun_path's first on lie inside the array, are initialised, and
        // i8 has u8's layout; the borrow is self's.
        unsafe { std::slice::from_raw_parts(self.address.sun_path.as_ptr().cast::<u8>(), len) }
    }
}

impl std::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path();
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        write!(f, "{}", path.escape_ascii())
    }
}

impl std::fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerAddress({self})")
    }
}

/// Who sent the first datagram that waits at `socket`, which stays there. `None` for a sender whose
/// socket has no address.
///
/// (nix's `recvmsg` cannot be used: it panics at the empty address of such a sender.)
pub(super) fn peek_sender(socket: BorrowedFd<'_>) -> io::Result<Option<PeerAddress>> {
    // SAFETY: a sockaddr_un is plain data, for which zeros are a value.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    let mut len = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).unwrap_or(0);
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: no bytes are asked for, so the buffer may be null; `address` has the `len` bytes
    // told, and both live across the call.
    let peeked = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            std::ptr::null_mut(),
            0,
            flags,
            (&raw mut address).cast(),
            &raw mut len,
        )
    };
    if peeked < 0 {
        return Err(io::Error::last_os_error());
    }
    let sender = PeerAddress { address, len };
    Ok(Some(sender).filter(|sender| !sender.path().is_empty()))
}

/// Connects a unix socket to a peer.
pub(super) fn connect(socket: BorrowedFd<'_>, peer: &PeerAddress) -> io::Result<()> {
    // SAFETY: the address is one that the kernel wrote, of the length it told, and lives across the
    // call.
    check(unsafe {
        libc::connect(socket.as_raw_fd(), (&raw const peer.address).cast(), peer.len)
    })?;
    Ok(())
}

/// Ends a datagram socket's connection: it has no peer then, and hears everyone (connect(2), with
/// `AF_UNSPEC`). What it had queued to be received is thrown away by the kernel.
pub(super) fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let family = libc::sa_family_t::try_from(libc::AF_UNSPEC).unwrap_or(0);
    let nobody = libc::sockaddr { sa_family: family, sa_data: [0; 14] };
    let len = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).unwrap_or(0);
    // SAFETY: `nobody` is a whole sockaddr of the length given, and lives across the call.
    check(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, len) })?;
    Ok(())
}

/// How many bytes of what this socket sent were not read yet, as the kernel counts them against its
/// buffer (`unix_outq_len` in net/unix/af_unix.c).
pub(super) fn unread_bytes(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (TIOCOUTQ is its number) writes one int, which lives across the call.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) })?;
    usize::try_from(bytes).map_err(io::Error::other)
}

/// Makes an open `/dev/net/tun` the TAP interface `name`, without a packet-information header, with
/// a virtio-net header before each frame.
pub(super) fn tap_attach(device: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    // SAFETY: an ifreq is plain data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.is_empty() || name.len() >= request.ifr_name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or(0);
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives across the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(())
}

/// Sets the virtio-net header's length and whether its fields are little-endian: a TAP that was
/// there before may have been left otherwise.
pub(super) fn tap_set_header(
    device: BorrowedFd<'_>,
    len: usize,
    little_endian: bool,
) -> io::Result<()> {
    let len = i32::try_from(len).map_err(io::Error::other)?;
    let little_endian = i32::from(little_endian);
    for (request, value) in [(libc::TUNSETVNETHDRSZ, len), (libc::TUNSETVNETLE, little_endian)] {
        // SAFETY: both requests read one int, which lives across the call.
        check(unsafe { libc::ioctl(device.as_raw_fd(), request, &raw const value) })?;
    }
    Ok(())
}

/// Says what may be left to do to frames that are read from the TAP: `TUN_F_*`. EINVAL for what
/// this kernel does not know.
pub(super) fn tap_set_offload(device: BorrowedFd<'_>, offload: libc::c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes a number.
    let set = unsafe {
        libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(offload))
    };
    check(set)?;
    Ok(())
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
