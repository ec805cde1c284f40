//! The system calls of packet sockets.
#![allow(unsafe_code, reason = "system calls on raw sockets; each block names its invariants")]

use std::ffi::{CString, c_int, c_void};
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::{io, ptr};

use crate::auxdata::CONTROL_LEN;
use crate::outgoing::Outgoing;
use crate::slot::{HEADROOM, Slot};
use crate::socket::{BATCH_MAX, FilterWord};
use crate::vnet::VNET_HDR_LEN;

/// Opens a raw packet socket that receives nothing yet (protocol 0).
pub(crate) fn packet_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes plain numbers.
    let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: `fd` is open, new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The index of the interface of that name in the calling thread's network namespace.
pub(crate) fn interface_index(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    // SAFETY: `name` ends with NUL and lives through the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    if index != 0 {
        return Ok(Some(index));
    }
    match io::Error::last_os_error() {
        error if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO)) => Ok(None),
        error => Err(error),
    }
}

/// Binds to every protocol on one interface: from here on frames come.
pub(crate) fn bind(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let mut address = empty_address();
    address.sll_protocol = u16::to_be(ETH_P_ALL);
    address.sll_ifindex = signed(index)?;
    let length = length_of::<libc::sockaddr_ll>();
    // SAFETY: `address` is a whole sockaddr_ll of `length` bytes and lives through the call.
    let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
    check(bound).map(drop)
}

/// What a packet socket is bound to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    /// The interface's index; -1 once it has gone.
    pub(crate) index: i32,
    /// Its ARPHRD_ number; 0 once it has gone.
    pub(crate) hardware_type: u16,
}

/// Asks the socket what it is bound to.
pub(crate) fn bound_to(fd: BorrowedFd<'_>) -> io::Result<Bound> {
    let mut address = empty_address();
    let mut length = length_of::<libc::sockaddr_ll>();
    let place = (&raw mut address).cast();
    // SAFETY: `place` has room for `length` bytes, any of which sockaddr_ll may hold; both
    // pointers live through the call.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), place, &raw mut length) })?;
    Ok(Bound { index: address.sll_ifindex, hardware_type: address.sll_hatype })
}

/// Attaches a filter, in the place of one that is there.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, words: &[FilterWord]) -> io::Result<()> {
    let mut words: Vec<libc::sock_filter> = words
        .iter()
        .map(|w| libc::sock_filter { code: w.code, jt: w.jt, jf: w.jf, k: w.k })
        .collect();
    let length = u16::try_from(words.len()).map_err(|_| invalid())?;
    let program = libc::sock_fprog { len: length, filter: words.as_mut_ptr() };
    // SAFETY: SO_ATTACH_FILTER reads a sock_fprog, whose pointer and length are those of `words`,
    // which lives through the call; the kernel only reads it.
    unsafe { set_option_of(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program) }
}

/// Takes the filter away; that there is none is fine.
pub(crate) fn detach_filter(fd: BorrowedFd<'_>) -> io::Result<()> {
    match set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, 0) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        done => done,
    }
}

/// Sets an option that takes an int.
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: an int is plain bytes without pointers.
    unsafe { set_option_of(fd, level, option, &value) }
}

/// Makes the interface promiscuous for as long as the socket lives.
pub(crate) fn join_promiscuous(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let membership = libc::packet_mreq {
        mr_ifindex: signed(index)?,
        mr_type: PACKET_MR_PROMISC,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    // SAFETY: a packet_mreq is plain numbers without pointers or padding.
    unsafe { set_option_of(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership) }
}

/// The two options that set one socket buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffer {
    /// The one that passes the system's limit, for CAP_NET_ADMIN alone.
    pub(crate) force: c_int,
    /// The one that is cut to the limit, and that reads the size back.
    pub(crate) ask: c_int,
}

/// Asks for a buffer of `bytes` and says what was granted, in the same unit.
pub(crate) fn set_buffer(
    fd: BorrowedFd<'_>,
    buffer: Buffer,
    bytes: Option<usize>,
) -> io::Result<usize> {
    if let Some(bytes) = bytes {
        // The kernel doubles it in an int.
        let value = c_int::try_from(bytes).unwrap_or(c_int::MAX).min(c_int::MAX / 2);
        set_option(fd, libc::SOL_SOCKET, buffer.force, value)
            .or_else(|_| set_option(fd, libc::SOL_SOCKET, buffer.ask, value))?;
    }
    let mut doubled: c_int = 0;
    // SAFETY: an int may hold any bytes.
    unsafe { option_of(fd, libc::SOL_SOCKET, buffer.ask, &mut doubled) }?;
    Ok(usize::try_from(doubled).unwrap_or(0) / 2)
}

/// The kernel's release, as `uname -r` has it; empty where it is not told.
pub(crate) fn kernel_release() -> String {
    // SAFETY: arrays of bytes, for which zeros are a value.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: uname writes a whole utsname, borrowed mutably through the call.
    let _ = unsafe { libc::uname(&raw mut names) };
    let bytes = names.release.iter().map(|byte| byte.to_ne_bytes()[0]);
    bytes.take_while(|byte| *byte != 0).map(char::from).collect()
}

/// The MTU in bytes of the interface that has this number now, by a socket of any
/// kind but `AF_XDP`'s: that has no such requests.
pub(crate) fn mtu(fd: BorrowedFd<'_>, index: u32) -> io::Result<usize> {
    // SAFETY: numbers and bytes, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_ifru.ifru_ifindex = index.cast_signed();
    // SAFETY: SIOCGIFNAME reads ifru_ifindex of an ifreq and writes its name; the structure is
    // whole, and lives through the call.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFNAME as _, &raw mut request) })?;
    // SAFETY: SIOCGIFMTU reads that name, which the kernel ended with NUL, and writes ifru_mtu.
    check(unsafe { libc::ioctl(fd.as_raw_fd(), libc::SIOCGIFMTU as _, &raw mut request) })?;
    // SAFETY: the kernel has just written this member, an int.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(usize::try_from(mtu).unwrap_or(0))
}

/// Has the kernel make a ring to receive by, of `TPACKET_V2`, to be mapped. A frame that is longer
/// than a slot it keeps as a message, too.
pub(crate) fn make_receive_ring(
    fd: BorrowedFd<'_>,
    slot_bytes: usize,
    block_bytes: usize,
    blocks: usize,
) -> Result<(), (&'static str, io::Error)> {
    let set = |option, value, name: &'static str| {
        set_option(fd, libc::SOL_PACKET, option, value).map_err(|error| (name, error))
    };
    let version = libc::tpacket_versions::TPACKET_V2 as c_int;
    set(libc::PACKET_VERSION, version, "setsockopt PACKET_VERSION")?;
    set(libc::PACKET_COPY_THRESH, 1, "setsockopt PACKET_COPY_THRESH")?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let ring = libc::tpacket_req {
        tp_block_size: count(block_bytes),
        tp_block_nr: count(blocks),
        tp_frame_size: count(slot_bytes),
        tp_frame_nr: count(block_bytes / slot_bytes * blocks),
    };
    set_receive_ring(fd, &ring).map_err(|error| (RECEIVE_RING, error))
}

/// Ends a ring that is mapped no more. What is in it goes with it.
pub(crate) fn end_receive_ring(fd: BorrowedFd<'_>) -> io::Result<()> {
    let none =
        libc::tpacket_req { tp_block_size: 0, tp_block_nr: 0, tp_frame_size: 0, tp_frame_nr: 0 };
    set_receive_ring(fd, &none)
}

fn set_receive_ring(fd: BorrowedFd<'_>, ring: &libc::tpacket_req) -> io::Result<()> {
    // SAFETY: a tpacket_req is plain numbers without pointers or padding.
    unsafe { set_option_of(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, ring) }
}

/// The call that makes and ends rings.
pub(crate) const RECEIVE_RING: &str = "setsockopt PACKET_RX_RING";

/// Takes the error that a socket has to tell, which reading a ring does not.
pub(crate) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut errno: c_int = 0;
    // SAFETY: an int may hold any bytes.
    unsafe { option_of(fd, libc::SOL_SOCKET, libc::SO_ERROR, &mut errno) }?;
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

/// `struct tpacket_stats`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct PacketStatistics {
    /// Frames past the filter, dropped ones included.
    pub(crate) packets: u32,
    /// Frames dropped for lack of room.
    pub(crate) drops: u32,
}

/// Reads the counters, which starts them again from 0.
pub(crate) fn statistics(fd: BorrowedFd<'_>) -> io::Result<PacketStatistics> {
    let mut statistics = PacketStatistics::default();
    // SAFETY: the structure is two u32, which may hold any bytes.
    unsafe { option_of(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS, &mut statistics) }?;
    Ok(statistics)
}

/// The arrays that `recvmmsg` and `sendmmsg` want, made once.
pub(crate) struct Messages {
    headers: Box<[libc::mmsghdr; BATCH_MAX]>,
    parts: Box<[[libc::iovec; 3]; BATCH_MAX]>,
    vnets: Box<[[u8; VNET_HDR_LEN]; BATCH_MAX]>,
}

// SAFETY: the pointers inside point into the value's own boxes or into a caller's buffers; they
// are set anew before each system call and read by nobody else, so no thread is tied to them.
unsafe impl Send for Messages {}
// SAFETY: a shared reference reads numbers and bytes only, never through the pointers.
unsafe impl Sync for Messages {}

impl Messages {
    pub(crate) fn new() -> Self {
        // SAFETY: an mmsghdr is numbers and pointers; all zero is a valid value (no name, no
        // parts, no control messages).
        let header: libc::mmsghdr = unsafe { mem::zeroed() };
        let part = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        Self {
            headers: Box::new([header; BATCH_MAX]),
            parts: Box::new([[part; 3]; BATCH_MAX]),
            vnets: Box::new([[0; VNET_HDR_LEN]; BATCH_MAX]),
        }
    }

    /// Sends up to [`BATCH_MAX`] of the frames and says how many were taken; at least one, or it
    /// is an error.
    pub(crate) fn send(
        &mut self,
        fd: BorrowedFd<'_>,
        frames: &[Outgoing<'_>],
        vnet_hdr: bool,
    ) -> io::Result<usize> {
        let arrays = self.headers.iter_mut().zip(&mut *self.parts).zip(&mut *self.vnets);
        let mut count = 0;
        for (((header, parts), vnet), frame) in arrays.zip(frames) {
            *vnet = frame.vnet.to_bytes();
            *parts = [
                to_read(if vnet_hdr { vnet } else { &[] }),
                to_read(frame.head),
                to_read(frame.tail),
            ];
            header.msg_hdr.msg_iov = parts.as_mut_ptr();
            // The kernel copies and looks at each part, empty ones too.
            let parts = if frame.tail.is_empty() { &parts[..2] } else { &parts[..] };
            header.msg_hdr.msg_iovlen = parts.len() as _;
            count += 1;
        }
        let headers = self.headers.as_mut_ptr();
        retry_interrupted(|| {
            // SAFETY: the first `count` headers were set just now: their parts are in
            // `self.parts`, and those point to as many bytes as they say in `self.vnets` and in
            // `frames`, all borrowed through the call, which only reads them (and writes the
            // headers, which are borrowed mutably). No name and no control messages.
            unsafe { libc::sendmmsg(fd.as_raw_fd(), headers, count, libc::MSG_DONTWAIT as _) }
        })
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// The same for receiving, with a control message for each.
#[derive(Debug)]
pub(crate) struct Incoming {
    messages: Messages,
    controls: Box<[Control; BATCH_MAX]>,
}

/// Room for control messages, aligned as `struct cmsghdr` must be.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// One received message, beside the frame's bytes.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// Bytes the message has, header included; more than there was room for when it was cut.
    pub(crate) length: usize,
    /// The virtio-net header, on a socket that has one.
    pub(crate) vnet: [u8; VNET_HDR_LEN],
    /// Control messages.
    pub(crate) control: &'a [u8],
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self {
            messages: Messages::new(),
            controls: Box::new([Control([0; CONTROL_LEN]); BATCH_MAX]),
        }
    }

    /// Receives into up to [`BATCH_MAX`] of the slots, behind their headroom.
    pub(crate) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        slots: &mut [Slot<'_>],
        vnet_hdr: bool,
    ) -> io::Result<usize> {
        let Messages { headers, parts, vnets } = &mut self.messages;
        let arrays =
            headers.iter_mut().zip(&mut **parts).zip(&mut **vnets).zip(&mut *self.controls);
        let mut count = 0;
        for ((((header, parts), vnet), control), slot) in arrays.zip(slots) {
            *parts = [
                to_write(if vnet_hdr { vnet } else { &mut [] }),
                to_write(&mut slot.buffer[HEADROOM..]),
                to_write(slot.spill),
            ];
            header.msg_hdr.msg_iov = parts.as_mut_ptr();
            header.msg_hdr.msg_iovlen = parts.len() as _;
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            count += 1;
        }
        let headers = headers.as_mut_ptr();
        // MSG_TRUNC: the length told is the frame's own, also when it was cut.
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        retry_interrupted(|| {
            // SAFETY: the first `count` headers were set just now: their parts are in
            // `messages.parts`, and those point to as many writable bytes as they say in
            // `messages.vnets` and in `slots`; control points to CONTROL_LEN bytes, aligned for a
            // cmsghdr. All of it is borrowed mutably through the call and may hold any bytes. No
            // name is asked for, and no time limit given.
            unsafe { libc::recvmmsg(fd.as_raw_fd(), headers, count, flags as _, ptr::null_mut()) }
        })
    }

    /// What came with the message of that index in the last batch.
    pub(crate) fn message(&self, index: usize) -> Message<'_> {
        let header = &self.messages.headers[index];
        // The kernel wrote no more than the room it was told of.
        #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
        let control_len = (header.msg_hdr.msg_controllen as usize).min(CONTROL_LEN);
        Message {
            length: header.msg_len as usize,
            vnet: self.messages.vnets[index],
            control: &self.controls[index].0[..control_len],
        }
    }
}

fn to_read(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

fn to_write(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

fn retry_interrupted(mut call: impl FnMut() -> c_int) -> io::Result<usize> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(count) => return usize::try_from(count).map_err(|_| invalid()),
        }
    }
}

/// # Safety
/// `T` must be what the kernel reads for this option, without padding, and what it points to must
/// be valid.
pub(crate) unsafe fn set_option_of<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &T,
) -> io::Result<()> {
    let bytes: *const c_void = (&raw const *value).cast();
    // SAFETY: `bytes` points to a whole T, which lives through the call; the rest is the caller's
    // promise.
    let set = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, bytes, length_of::<T>()) };
    check(set).map(drop)
}

/// # Safety
/// `T` must be able to hold any bytes the kernel writes for this option.
pub(crate) unsafe fn option_of<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &mut T,
) -> io::Result<()> {
    let bytes: *mut c_void = (&raw mut *value).cast();
    let mut length = length_of::<T>();
    // SAFETY: `bytes` points to a whole T, borrowed mutably through the call, and the kernel
    // writes at most `length` bytes; the rest is the caller's promise.
    let got = unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, bytes, &raw mut length) };
    check(got).map(drop)
}

pub(crate) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn empty_address() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: AF_PACKET,
        sll_protocol: 0,
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

fn signed(index: u32) -> io::Result<i32> {
    i32::try_from(index).map_err(|_| invalid())
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

/// A structure's size as the socket calls take it.
pub(crate) const fn length_of<T>() -> libc::socklen_t {
    assert!(size_of::<T>() <= u32::MAX as usize);
    #[allow(clippy::cast_possible_truncation, reason = "asserted in the line above")]
    let length = size_of::<T>() as libc::socklen_t;
    length
}

// The libc crate has these as int; the structures want them narrower.
const AF_PACKET: u16 = 17;
const ETH_P_ALL: u16 = 3;
const PACKET_MR_PROMISC: u16 = 1;
