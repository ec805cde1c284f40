//! `AF_XDP`: frames in memory that the kernel shares (Documentation/networking/af_xdp.rst). In copy
//! mode, since virtual interfaces have no other, on an interface's only queue.
#![allow(unsafe_code, reason = "bpf(2), rings and requests go by pointer")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use super::mapping::Mapping;
use super::mmsg::Batch;
use super::socket::{check, set_option};
use crate::failure::{Result, Trying as _};

/// How many chunks of memory there are for frames, and how long each is.
const CHUNKS: u32 = 2048;
const CHUNK_BYTES: u32 = 4096;

/// How many entries each ring has: half of the chunks are the kernel's to receive into.
const ENTRIES: u32 = 1024;

/// The longest frame: the kernel keeps 256 bytes of a chunk (`XDP_PACKET_HEADROOM`).
pub(crate) const FRAME_MAX_BYTES: usize = CHUNK_BYTES as usize - 256;

/// A socket on an interface, whose frames it takes all.
#[derive(Debug)]
pub(crate) struct XdpSocket {
    socket: OwnedFd,
    chunks: Mapping,
    fill: Ring<u64>,
    completion: Ring<u64>,
    receive: Ring<libc::xdp_desc>,
    transmit: Ring<libc::xdp_desc>,
    /// Chunks that nobody sends.
    idle: Vec<u64>,
    /// The program that steers frames here, as long as its link is open.
    _steering: [OwnedFd; 3],
}

impl XdpSocket {
    /// Takes over what arrives on `interface` of this thread's namespace.
    pub(crate) fn open(interface: &str) -> Result<Self> {
        let what = format!("open AF_XDP on {interface}");
        let index = nix::net::if_::if_nametoindex(interface).trying(&what)?;
        Self::open_index(index).trying(&what)
    }

    fn open_index(index: u32) -> io::Result<Self> {
        // SAFETY: three numbers go in.
        let socket = check(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW, 0) })?;
        // SAFETY: the call has just made the descriptor, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let chunks = Mapping::private(CHUNKS as usize * CHUNK_BYTES as usize)?;
        let fd = socket.as_fd();
        // SAFETY: plain integers, for which zeros are a value.
        let mut memory: libc::xdp_umem_reg = unsafe { std::mem::zeroed() };
        memory.addr = chunks.at(0, 0) as u64;
        memory.len = chunks.bytes() as u64;
        memory.chunk_size = CHUNK_BYTES;
        set_option(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &memory)?;
        let sizes = [
            libc::XDP_UMEM_FILL_RING,
            libc::XDP_UMEM_COMPLETION_RING,
            libc::XDP_RX_RING,
            libc::XDP_TX_RING,
        ];
        for ring in sizes {
            set_option(fd, libc::SOL_XDP, ring, &ENTRIES)?;
        }
        let offsets = offsets(fd)?;
        let (mut fill, completion) = (
            Ring::map(fd, libc::XDP_UMEM_PGOFF_FILL_RING as i64, &offsets.fr)?,
            Ring::map(fd, libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64, &offsets.cr)?,
        );
        let receive = Ring::map(fd, libc::XDP_PGOFF_RX_RING, &offsets.rx)?;
        let transmit = Ring::map(fd, libc::XDP_PGOFF_TX_RING, &offsets.tx)?;
        let chunk = |number: u32| u64::from(number) * u64::from(CHUNK_BYTES);
        (0..ENTRIES).for_each(|number| fill.put(chunk(number)));
        fill.publish();
        let idle = (ENTRIES..CHUNKS).map(chunk).collect();
        bind(fd, index)?;
        let _steering = steer(fd, index)?;
        Ok(Self { socket, chunks, fill, completion, receive, transmit, idle, _steering })
    }

    /// Takes what is there, at most one batch.
    pub(crate) fn receive(&mut self, frames: &mut Batch) -> io::Result<usize> {
        let mut place = 0;
        while place < frames.frames()
            && let Some(arrived) = self.receive.take()
        {
            let len = arrived.len as usize;
            let start = usize::try_from(arrived.addr).unwrap_or(usize::MAX);
            let bytes = self.chunks.at(start, len).cast_const();
            // SAFETY: the kernel has given the chunk away, and gets it back below.
            let bytes = unsafe { std::slice::from_raw_parts(bytes, len) };
            frames.set_len(place, len);
            let to = frames.frame_mut(place);
            let len = len.min(to.len());
            to[..len].copy_from_slice(&bytes[..len]);
            self.fill.put(arrived.addr - arrived.addr % u64::from(CHUNK_BYTES));
            place += 1;
        }
        self.receive.release();
        self.fill.publish();
        if self.fill.wants_a_call() {
            self.call(libc::SYS_recvfrom)?;
        }
        Ok(place)
    }

    /// Sends the first `count` frames, and waits until the kernel has them.
    pub(crate) fn send(&mut self, frames: &Batch, count: usize) -> io::Result<()> {
        for place in 0..count {
            let chunk = loop {
                self.reap();
                match self.idle.pop() {
                    Some(chunk) => break chunk,
                    None => self.push_out()?,
                }
            };
            let frame = frames.frame(place);
            let len = frame.len().min(FRAME_MAX_BYTES);
            let start = usize::try_from(chunk).unwrap_or(usize::MAX);
            let bytes = self.chunks.at(start, len);
            // SAFETY: the chunk is in no ring: it is this side's alone.
            unsafe { std::slice::from_raw_parts_mut(bytes, len) }.copy_from_slice(&frame[..len]);
            self.transmit.put(libc::xdp_desc { addr: chunk, len: narrow(len), options: 0 });
        }
        self.transmit.publish();
        while !self.transmit.is_taken() {
            self.push_out()?;
        }
        Ok(())
    }

    /// Has the kernel send.
    fn push_out(&self) -> io::Result<()> {
        self.call(libc::SYS_sendto)
    }

    /// Both calls do their work without a message; what they did shows in the rings.
    fn call(&self, number: libc::c_long) -> io::Result<()> {
        let (socket, nothing, flags) = (self.socket.as_raw_fd(), 0_usize, libc::MSG_DONTWAIT);
        // SAFETY: no address, no message, no length: the kernel reads and writes nothing.
        let done =
            unsafe { libc::syscall(number, socket, nothing, nothing, flags, nothing, nothing) };
        let Err(error) = check(i32::try_from(done).unwrap_or(-1)) else { return Ok(()) };
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::EINTR) => Ok(()),
            _ => Err(error),
        }
    }

    fn reap(&mut self) {
        while let Some(chunk) = self.completion.take() {
            self.idle.push(chunk);
        }
        self.completion.release();
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One of the four rings: this side puts, or it takes.
#[derive(Debug)]
struct Ring<T> {
    mapping: Mapping,
    offsets: [usize; 4],
    /// The next entry.
    next: u32,
    entries: std::marker::PhantomData<T>,
}

const PRODUCER: usize = 0;
const CONSUMER: usize = 1;
const ENTRIES_AT: usize = 2;
const FLAGS: usize = 3;

impl<T: Copy> Ring<T> {
    fn map(socket: BorrowedFd<'_>, page: i64, of: &libc::xdp_ring_offset) -> io::Result<Self> {
        let offsets = [of.producer, of.consumer, of.desc, of.flags];
        let offsets = offsets.map(|offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let bytes = offsets[ENTRIES_AT] + ENTRIES as usize * size_of::<T>();
        let mapping = Mapping::of(socket, page, bytes)?;
        Ok(Self { mapping, offsets, next: 0, entries: std::marker::PhantomData })
    }

    fn word(&self, which: usize) -> &AtomicU32 {
        let word = self.mapping.at(self.offsets[which], 4).cast();
        // SAFETY: inside the mapping, aligned as the kernel has it, and only used as an atomic.
        unsafe { AtomicU32::from_ptr(word) }
    }

    fn entry(&self) -> *mut T {
        let number = (self.next % ENTRIES) as usize;
        let at = self.offsets[ENTRIES_AT] + number * size_of::<T>();
        self.mapping.at(at, size_of::<T>()).cast()
    }

    /// Puts an entry. There are never more than the ring holds: as many chunks are received into,
    /// and as many are sent, as it has entries.
    fn put(&mut self, entry: T) {
        // SAFETY: the entry is this side's until it is published; plain integers.
        unsafe { self.entry().write(entry) };
        self.next = self.next.wrapping_add(1);
    }

    fn publish(&self) {
        self.word(PRODUCER).store(self.next, Ordering::Release);
    }

    fn is_taken(&self) -> bool {
        self.word(CONSUMER).load(Ordering::Acquire) == self.next
    }

    fn take(&mut self) -> Option<T> {
        if self.word(PRODUCER).load(Ordering::Acquire) == self.next {
            return None;
        }
        // SAFETY: the kernel has published the entry, and waits for its release; plain integers.
        let entry = unsafe { self.entry().read() };
        self.next = self.next.wrapping_add(1);
        Some(entry)
    }

    fn release(&self) {
        self.word(CONSUMER).store(self.next, Ordering::Release);
    }

    fn wants_a_call(&self) -> bool {
        self.word(FLAGS).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

fn offsets(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: plain integers, for which zeros are a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { std::mem::zeroed() };
    let mut len = narrow(size_of_val(&offsets));
    let (level, name) = (libc::SOL_XDP, libc::XDP_MMAP_OFFSETS);
    let to = (&raw mut offsets).cast();
    // SAFETY: the kernel writes at most `len` bytes, which the structure has.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, to, &raw mut len) })?;
    Ok(offsets)
}

fn bind(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    let place = libc::sockaddr_xdp {
        sxdp_family: u16::try_from(libc::AF_XDP).unwrap_or(0),
        sxdp_flags: libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
        sxdp_ifindex: index,
        sxdp_queue_id: 0,
        sxdp_shared_umem_fd: 0,
    };
    let len = narrow(size_of_val(&place));
    // SAFETY: `place` is a whole sockaddr_xdp of that length, and lives across the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const place).cast(), len) }).map(drop)
}

/// Has a program of five instructions hand all frames of the interface's queue to the socket: map,
/// program and link, which go with their descriptors.
fn steer(socket: BorrowedFd<'_>, index: u32) -> io::Result<[OwnedFd; 3]> {
    // linux/bpf.h: bpf_cmd, bpf_map_type, bpf_prog_type, bpf_attach_type; if_link.h.
    let [map_create, map_update, program_load, link_create] = [0, 2, 5, 28];
    let [map_of_sockets, program_of_xdp, attach_to_xdp, by_driver] = [17, 6, 37, 1 << 2];
    let map = bpf(map_create, &[u64_of(map_of_sockets, 4), u64_of(4, 1)])?;
    let map_number = map.as_raw_fd().cast_unsigned();
    // r2 = context->rx_queue_index; r1 = map; r3 = XDP_PASS; call bpf_redirect_map; exit
    let program: [u64; 6] = [
        0x0010_1261,
        0x0000_1118 | u64::from(map_number) << 32,
        0,
        0x0000_03b7 | 2 << 32,
        0x0000_0085 | 51 << 32,
        0x0000_0095,
    ];
    let license = c"GPL";
    let load = [u64_of(program_of_xdp, 6), program.as_ptr() as u64, license.as_ptr() as u64];
    let program = bpf(program_load, &load)?;
    let of_program = u64_of(program.as_raw_fd().cast_unsigned(), index);
    let link = bpf(link_create, &[of_program, u64_of(attach_to_xdp, by_driver)])?;
    let (queue, socket) = (0_u32, socket.as_raw_fd());
    let (key, value) = ((&raw const queue) as u64, (&raw const socket) as u64);
    call_bpf(map_update, &[u64::from(map_number), key, value, 0])?;
    Ok([map, program, link])
}

/// A length as the kernel's structures have it.
fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(0)
}

/// Two fields of 32 bits as they stand in memory, one behind the other.
fn u64_of(first: u32, second: u32) -> u64 {
    let [a, b, c, d] = first.to_ne_bytes();
    let [e, f, g, h] = second.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// A command that makes a descriptor.
fn bpf(command: i32, attributes: &[u64]) -> io::Result<OwnedFd> {
    let made = call_bpf(command, attributes)?;
    // SAFETY: the call has just made the descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

fn call_bpf(command: i32, attributes: &[u64]) -> io::Result<i32> {
    let (at, bytes) = (attributes.as_ptr(), size_of_val(attributes));
    // SAFETY: the attributes are as long as is said, and what they point at lives across the call;
    // the kernel takes what is missing as zeros.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, at, bytes) };
    check(i32::try_from(result).unwrap_or(-1))
}
