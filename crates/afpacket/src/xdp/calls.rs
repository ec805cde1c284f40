//! The system calls of an `AF_XDP` socket.
#![allow(unsafe_code, reason = "requests go by pointer")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use super::ring::{ADDRESS_BYTES, DESCRIPTOR_BYTES, Layout, Ring};
use crate::mapping::Mapping;
use crate::sys::{Buffer, check, length_of, option_of, set_buffer, set_option, set_option_of};

/// A socket without memory, rings and interface.
pub(super) fn xdp_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes plain numbers.
    let fd = check(unsafe { libc::socket(libc::AF_XDP, kind, 0) })?;
    // SAFETY: `fd` is open, new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Asks for room for frames on their way, and says how much is granted: less than asked for, where
/// `net.core.wmem_max` is less and the process has no CAP_NET_ADMIN over the system.
pub(super) fn set_send_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let send = Buffer { force: libc::SO_SNDBUFFORCE, ask: libc::SO_SNDBUF };
    // The kernel counts double what it is asked for.
    Ok(2 * set_buffer(fd, send, Some(bytes.div_ceil(2)))?)
}

/// Has the kernel pin the memory that frames are sent from.
pub(super) fn register_memory(
    fd: BorrowedFd<'_>,
    frames: &Mapping,
    chunk_bytes: usize,
) -> io::Result<()> {
    // SAFETY: plain integers, for which zeros are a value.
    let mut memory: libc::xdp_umem_reg = unsafe { mem::zeroed() };
    (memory.addr, memory.len) = frames.extent();
    memory.chunk_size = narrow(chunk_bytes);
    // SAFETY: XDP_UMEM_REG reads an xdp_umem_reg, whose extent is a mapping's. That the pages are
    // the kernel's to read stays so when the mapping goes: they are pinned.
    unsafe { set_option_of(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &memory) }
}

/// The rings of what is to be sent and of what has been, of `places` each. What is received into
/// needs a ring, too, or the kernel refuses; it stays empty.
pub(super) fn make_rings(
    fd: BorrowedFd<'_>,
    places: u32,
) -> Result<[Ring; 2], (&'static str, io::Error)> {
    let at = |call: &'static str| move |error| (call, error);
    let make = |ring, places: u32| {
        set_option(fd, libc::SOL_XDP, ring, places.cast_signed())
            .map_err(at("setsockopt of an XDP ring"))
    };
    make(libc::XDP_UMEM_FILL_RING, 2)?;
    make(libc::XDP_UMEM_COMPLETION_RING, places)?;
    make(libc::XDP_TX_RING, places)?;
    let offsets = offsets(fd).map_err(at(MMAP_OFFSETS))?;
    let map = |page: libc::off_t, of: &libc::xdp_ring_offset, entry_bytes: usize| {
        let layout = Layout {
            producer: wide(of.producer),
            consumer: wide(of.consumer),
            entries: wide(of.desc),
        };
        let bytes = layout.entries.saturating_add(places as usize * entry_bytes);
        let memory = Mapping::of(fd, page, bytes).map_err(at("mmap of an XDP ring"))?;
        Ring::new(memory, layout, places)
            .ok_or((MMAP_OFFSETS, io::Error::from_raw_os_error(libc::EINVAL)))
    };
    let done = libc::off_t::try_from(libc::XDP_UMEM_PGOFF_COMPLETION_RING).unwrap_or(0);
    Ok([
        map(libc::XDP_PGOFF_TX_RING, &offsets.tx, DESCRIPTOR_BYTES)?,
        map(done, &offsets.cr, ADDRESS_BYTES)?,
    ])
}

const MMAP_OFFSETS: &str = "getsockopt XDP_MMAP_OFFSETS";

fn offsets(fd: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: plain integers, for which zeros are a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { mem::zeroed() };
    // SAFETY: the structure is plain integers, which may hold any bytes.
    unsafe { option_of(fd, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, &mut offsets) }?;
    Ok(offsets)
}

/// Puts the socket on the interface's first queue, in copy mode: the kernel makes a packet of its
/// own of each frame, so the driver needs to know nothing of it.
pub(super) fn bind(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let place = libc::sockaddr_xdp {
        sxdp_family: AF_XDP,
        sxdp_flags: libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: index,
        sxdp_queue_id: 0,
        sxdp_shared_umem_fd: 0,
    };
    let length = length_of::<libc::sockaddr_xdp>();
    // SAFETY: `place` is a whole sockaddr_xdp of `length` bytes and lives through the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const place).cast(), length) }).map(drop)
}

/// Has the kernel send what its ring has, 32 frames at most. Never waits.
pub(super) fn push_out(fd: BorrowedFd<'_>) -> io::Result<()> {
    loop {
        let (nothing, nowhere) = (std::ptr::null(), std::ptr::null());
        // SAFETY: no message, no address, no length: the kernel follows none of the pointers.
        let done =
            unsafe { libc::sendto(fd.as_raw_fd(), nothing, 0, libc::MSG_DONTWAIT, nowhere, 0) };
        if done >= 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// How many descriptors the kernel passed over, because they were not valid.
pub(super) fn invalid_descriptors(fd: BorrowedFd<'_>) -> io::Result<u64> {
    // SAFETY: plain integers, for which zeros are a value.
    let mut statistics: libc::xdp_statistics = unsafe { mem::zeroed() };
    // SAFETY: the structure is plain integers, which may hold any bytes.
    unsafe { option_of(fd, libc::SOL_XDP, libc::XDP_STATISTICS, &mut statistics) }?;
    Ok(statistics.tx_invalid_descs)
}

/// A length as the kernel's structures have it.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(0)
}

/// An offset of the kernel's; one that fits nothing is refused when the ring is mapped.
fn wide(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

// The libc crate has this as int; the structure wants it narrower.
const AF_XDP: u16 = 44;
const _: () = assert!(libc::AF_XDP == AF_XDP as i32);
