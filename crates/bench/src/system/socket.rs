//! The sockets and devices that frames go through.
#![allow(unsafe_code, reason = "addresses and requests go by pointer")]

use std::fs::{File, OpenOptions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::failure::{Failure, Result, Trying as _};

/// Local experimental `EtherType` 1 (IEEE 802): what the load's frames are.
pub(crate) const ETHER_TYPE: u16 = 0x88b5;

/// How large the load's and the yardsticks' buffers are, where nothing else is asked for.
const BUFFER_BYTES: i32 = 8 << 20;

/// How a socket's buffers are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// As large as root may make them.
    Large,
    /// As the system makes them.
    Default,
}

/// A peer's address, as the system wants it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl Address {
    /// Of a unix socket's path.
    pub(crate) fn of_path(path: &Path) -> Result<Self> {
        let address = SockAddr::unix(path).trying(format_args!("name {}", path.display()))?;
        // SAFETY: a sockaddr_storage is plain bytes, for which zeros are a value.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let len = address.len();
        // SAFETY: the address is `len` bytes long, and no address is longer than the storage.
        unsafe {
            std::ptr::copy_nonoverlapping(
                address.as_ptr().cast::<u8>(),
                (&raw mut storage).cast::<u8>(),
                len as usize,
            );
        }
        Ok(Self { storage, len })
    }

    pub(super) fn as_mut_ptr(&mut self) -> (*mut libc::sockaddr_storage, libc::socklen_t) {
        (&raw mut self.storage, self.len)
    }
}

/// A unix datagram socket bound at `path`.
pub(crate) fn bind_datagram(path: &Path, buffers: Buffers) -> Result<Socket> {
    let what = format!("bind {}", path.display());
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None).trying(&what)?;
    let _ = std::fs::remove_file(path);
    SockAddr::unix(path).and_then(|address| socket.bind(&address)).trying(&what)?;
    set_buffers(socket.as_fd(), buffers);
    Ok(socket)
}

/// Connects a unix socket to the path.
pub(crate) fn connect(socket: &Socket, path: &Path) -> Result<()> {
    SockAddr::unix(path)
        .and_then(|address| socket.connect(&address))
        .trying(format_args!("connect to {}", path.display()))
}

/// A stream connected to a listener's path.
pub(crate) fn connect_stream(path: &Path) -> Result<Socket> {
    let what = format!("connect to {}", path.display());
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).trying(&what)?;
    connect(&socket, path)?;
    set_buffers(socket.as_fd(), Buffers::Large);
    Ok(socket)
}

/// The descriptors that come with the first byte of a stream, as many as are wanted.
pub(crate) fn receive_descriptors<const N: usize>(socket: &Socket) -> Result<[OwnedFd; N]> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
    let what = "receive descriptors";
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; N]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).trying(what)?;
    let mut received = Vec::new();
    for part in message.cmsgs().trying(what)? {
        if let ControlMessageOwned::ScmRights(numbers) = part {
            // SAFETY: the kernel has just made these descriptors for this process alone.
            received.extend(numbers.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    let count = received.len();
    received.try_into().map_err(|_| Failure::new(what, format!("{count} came, not {N}")))
}

/// A packet socket on `interface` of this thread's namespace, for frames of `ether_type` (0 is
/// ETH_P_ALL), that hears nothing of its own machine's sending.
pub(crate) fn open_packet(interface: &str, ether_type: u16) -> Result<Socket> {
    let what = format!("open a packet socket on {interface}");
    let wanted = if ether_type == 0 { ETH_P_ALL } else { ether_type };
    let protocol = i32::from(wanted.to_be());
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol.into())).trying(&what)?;
    let index = nix::net::if_::if_nametoindex(interface).trying(&what)?;
    // SAFETY: a sockaddr_ll is plain integers, for which zeros are a value.
    let mut place: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    place.sll_family = narrow(libc::AF_PACKET);
    place.sll_protocol = wanted.to_be();
    place.sll_ifindex = index.cast_signed();
    let len = len_of(&place);
    // SAFETY: `place` is a whole sockaddr_ll of that length, and lives across the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const place).cast(), len) })
        .trying(&what)?;
    // SAFETY: as above, for a packet_mreq.
    let mut everything: libc::packet_mreq = unsafe { std::mem::zeroed() };
    everything.mr_ifindex = index.cast_signed();
    everything.mr_type = narrow(libc::PACKET_MR_PROMISC);
    let fd = socket.as_fd();
    set_option(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &everything).trying(&what)?;
    set_option(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32).trying(&what)?;
    set_buffers(fd, Buffers::Large);
    Ok(socket)
}

/// The user-space end of the TAP `name`, made if it is not there; with virtio-net headers and all
/// offloads when `vnet`.
pub(crate) fn open_tap(name: &str, vnet: bool) -> Result<File> {
    let what = format!("attach TAP {name}");
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .trying(&what)?;
    // SAFETY: an ifreq is plain data, for which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | if vnet { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = i16::try_from(flags).unwrap_or(0);
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives across the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })
        .trying(&what)?;
    if vnet {
        let offloads = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        // SAFETY: TUNSETOFFLOAD takes its argument as a number.
        check(unsafe {
            libc::ioctl(device.as_raw_fd(), libc::TUNSETOFFLOAD, offloads as libc::c_ulong)
        })
        .trying(&what)?;
    }
    Ok(device)
}

/// Sets both buffers, past the system's limits where that is allowed.
pub(crate) fn set_buffers(socket: BorrowedFd<'_>, buffers: Buffers) {
    if buffers == Buffers::Default {
        return;
    }
    for (forced, polite) in
        [(libc::SO_SNDBUFFORCE, libc::SO_SNDBUF), (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)]
    {
        if set_option(socket, libc::SOL_SOCKET, forced, &BUFFER_BYTES).is_err() {
            // What is granted is enough or shows in the figures.
            let _ = set_option(socket, libc::SOL_SOCKET, polite, &BUFFER_BYTES);
        }
    }
}

/// Waits until one of the descriptors can be read; which.
pub(crate) fn wait_readable<const N: usize>(
    waits: [BorrowedFd<'_>; N],
    timeout_ms: i32,
) -> io::Result<[bool; N]> {
    let mut polled =
        waits.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    // SAFETY: the array holds as many pollfds as is said, and lives across the call.
    let ready = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout_ms) };
    match check(ready) {
        Ok(_) => Ok(polled.map(|polled| polled.revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([false; N]),
        Err(error) => Err(error),
    }
}

/// The address of who sent the first datagram that waits, which stays; waits for one.
pub(crate) fn connect_back(socket: &Socket) -> Result<()> {
    let mut byte = [std::mem::MaybeUninit::uninit(); 1];
    let (_, sender) = socket.peek_from(&mut byte).trying("wait for a peer")?;
    socket.connect(&sender).trying("connect back to the peer")
}

/// Ends after `timeout_ms` what waits in receiving.
pub(crate) fn set_receive_timeout(socket: &Socket, timeout_ms: u64) -> Result<()> {
    socket
        .set_read_timeout(Some(std::time::Duration::from_millis(timeout_ms)))
        .trying("set a timeout")
}

pub(super) fn set_option<T>(
    fd: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    let len = len_of(value);
    // SAFETY: the option's value is read from `value`, which is `len` bytes long.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), len)
    };
    check(done).map(drop)
}

fn len_of<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of_val(value)).unwrap_or(0)
}

/// A small constant of the system's, as it stands in its structures.
fn narrow(constant: i32) -> u16 {
    u16::try_from(constant).unwrap_or(0)
}

pub(super) fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

// linux/if_ether.h, linux/if_packet.h
const ETH_P_ALL: u16 = 3;
const PACKET_IGNORE_OUTGOING: i32 = 23;
