//! The socket: opened in an order that lets no foreign frame in, then batches both ways.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::auxdata::Auxdata;
use crate::error::{Error, FILTER_WORDS_MAX, NotByRing, NotByXdp, ReceiveError, SendError};
use crate::outgoing::Outgoing;
use crate::rx_ring::{RxRing, Taken};
use crate::slot::Slot;
use crate::sys;
use crate::vnet::{VNET_HDR_LEN, VnetHdr};
use crate::xdp::{Then, XdpSender};

/// How a socket is opened. The default takes only what the interface takes, finished frames, and
/// the system's buffer sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Receive every frame on the wire, not only those for the interface's own addresses. Ends
    /// with the socket, also when the process is killed.
    pub promiscuous: bool,
    /// Take and give frames that are not finished, with what is to be done to them
    /// (`PACKET_VNET_HDR`). Without it, frames of the host's own stack can come with unfinished
    /// checksums and bigger than the MTU, which [`Slot::checksum`] and
    /// [`Slot::is_tcp_super_frame`] tell.
    pub vnet_hdr: bool,
    /// Receive buffer to ask for in bytes (the kernel counts its own overhead into it too: some
    /// 700 bytes for a small frame); `None` is the system's default.
    pub receive_buffer_bytes: Option<usize>,
    /// Send buffer to ask for in bytes, likewise.
    pub send_buffer_bytes: Option<usize>,
    /// Receive by a ring of at least so many slots that the kernel shares, for less than a message
    /// costs ([`PacketSocket::by_ring`] tells whether that could be had). A slot holds a frame of
    /// the MTU that the interface has now, of 9,216 bytes at most, and takes up to 230 more; longer
    /// frames come as messages, at their place among the others, as far as the receive buffer
    /// goes, and whole, whatever the filter cuts. [`PacketSocket::upkeep`] has to be called.
    pub receive_ring_slots: Option<usize>,
    /// Send finished frames of up to 2,047 bytes, within the MTU, by an `AF_XDP` socket beside this
    /// one, for less than a message costs ([`PacketSocket::by_xdp`] tells whether that could be
    /// had). It has 1 MiB of locked memory. What it sends goes past the interface's queueing
    /// discipline, traffic control and captures (the other end of a veth pair has its own); and
    /// after the MTU was lowered, frames are lost until the next [`PacketSocket::upkeep`], which
    /// has to be called. Meant for, and tried with, veth pairs of the caller's own.
    pub xdp_send: bool,
}

/// One classic BPF instruction, `struct sock_filter` of linux/filter.h.
///
/// The program sees the frame without the VLAN tag that the kernel took out (Linux takes out the
/// outermost on receive, always): at offset 12 stands the type behind it, and the tag itself is
/// read with the extensions `SKF_AD_VLAN_TAG`, `SKF_AD_VLAN_TAG_PRESENT` and `SKF_AD_VLAN_TPID`.
/// It returns how many bytes to keep: 0 drops the frame, and less than its length truncates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilterWord {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Socket buffers that the kernel granted, in the units they were asked for (it doubles what it
/// is given; these are half of what it says).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// Receive buffer in bytes.
    pub receive_bytes: usize,
    /// Send buffer in bytes.
    pub send_bytes: usize,
}

/// Frames since the socket was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames that passed the filter, dropped ones included.
    pub passed: u64,
    /// Of those, the ones that were dropped because the receive buffer or the ring was full.
    pub dropped: u64,
}

/// What has become of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is there (up or down).
    Present,
    /// It was deleted or moved to another namespace; the socket is of no more use.
    Gone,
}

/// A raw packet socket on one interface: non-blocking, closed on exec.
///
/// Poll its descriptor for readability and writability as any socket's; an error condition there
/// (`EPOLLERR`) is the interface going down or away, which the next
/// [`receive`](Self::receive) tells.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    interface: String,
    index: u32,
    vnet_hdr: bool,
    buffers: Buffers,
    statistics: Statistics,
    incoming: sys::Incoming,
    outgoing: sys::Messages,
    ring: Result<RxRing, NotByRing>,
    xdp: Result<XdpSender, NotByXdp>,
    /// An error of the receive side that a send ran into; see [`Self::send_once`].
    deferred: Option<i32>,
}

impl PacketSocket {
    /// Opens a socket on `interface` that receives every frame `filter` accepts (all, when it has
    /// no words).
    ///
    /// No frame from before, from another interface or past the filter is ever received: the
    /// socket begins with no protocol, the filter and all options are set, and only then is it
    /// bound. An interface that is down can be opened; the first receive then says so.
    ///
    /// # Errors
    /// See [`Error`]. Buffer sizes over the system's limits are no error: see [`Self::buffers`].
    pub fn open(interface: &str, filter: &[FilterWord], options: &Options) -> Result<Self, Error> {
        let call = |call: &'static str| {
            let interface = interface.to_owned();
            move |source| Error::Call { call, interface, source }
        };
        let fd = sys::packet_socket().map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => Error::NotPermitted { source },
            _ => call("socket")(source),
        })?;
        let index = sys::interface_index(interface)
            .map_err(call("if_nametoindex"))?
            .ok_or_else(|| Error::NoSuchInterface { interface: interface.to_owned() })?;
        attach(fd.as_fd(), filter)?;
        set_options(fd.as_fd(), options).map_err(|(name, source)| call(name)(source))?;
        let buffers =
            set_buffers(fd.as_fd(), options).map_err(|(name, source)| call(name)(source))?;
        let ring = match options.receive_ring_slots {
            None => Err(NotByRing::NotAsked),
            Some(slots) => RxRing::open(fd.as_fd(), index, slots, options.vnet_hdr),
        };
        sys::bind(fd.as_fd(), index).map_err(|source| match source.raw_os_error() {
            Some(libc::ENODEV) => Error::NoSuchInterface { interface: interface.to_owned() },
            _ => call("bind")(source),
        })?;
        check_ethernet(fd.as_fd(), interface)?;
        if options.promiscuous {
            sys::join_promiscuous(fd.as_fd(), index)
                .map_err(call("setsockopt PACKET_ADD_MEMBERSHIP"))?;
        }
        let xdp = match options.xdp_send {
            false => Err(NotByXdp::NotAsked),
            true => XdpSender::open(fd.as_fd(), index),
        };
        Ok(Self {
            fd,
            interface: interface.to_owned(),
            index,
            vnet_hdr: options.vnet_hdr,
            buffers,
            statistics: Statistics::default(),
            incoming: sys::Incoming::new(),
            outgoing: sys::Messages::new(),
            ring,
            xdp,
            deferred: None,
        })
    }

    /// Puts another filter in the place of the present one, with no moment between them; no words
    /// accept every frame. Frames that are already waiting passed the old one.
    ///
    /// # Errors
    /// [`Error::FilterTooLong`] and [`Error::Filter`]; the old filter then stays.
    pub fn set_filter(&self, filter: &[FilterWord]) -> Result<(), Error> {
        attach(self.fd.as_fd(), filter)
    }

    /// Takes waiting frames into `slots`, up to [`BATCH_MAX`], and says into how many of the first
    /// ones. Never waits. Without slots the answer is 0.
    ///
    /// # Errors
    /// See [`ReceiveError`]; no slot has a frame then.
    pub fn receive(&mut self, slots: &mut [Slot<'_>]) -> Result<usize, ReceiveError> {
        if slots.is_empty() {
            return Ok(0);
        }
        if let Some(errno) = self.deferred.take() {
            return Err(self.receive_error(io::Error::from_raw_os_error(errno)));
        }
        let received = match self.ring {
            Ok(_) => self.receive_by_ring(slots),
            Err(_) => self.receive_messages(slots, |auxdata| auxdata),
        };
        received.map_err(|error| self.receive_error(error))
    }

    fn receive_messages(
        &mut self,
        slots: &mut [Slot<'_>],
        known: fn(Auxdata) -> Auxdata,
    ) -> io::Result<usize> {
        let count = self.incoming.receive(self.fd.as_fd(), slots, self.vnet_hdr)?;
        for (index, slot) in slots[..count].iter_mut().enumerate() {
            let message = self.incoming.message(index);
            let (length, vnet) = if self.vnet_hdr {
                let length = message.length.saturating_sub(VNET_HDR_LEN);
                (length, VnetHdr::from_bytes(message.vnet))
            } else {
                (message.length, VnetHdr::default())
            };
            slot.fill(length, Auxdata::find(message.control).map(known), vnet);
        }
        Ok(count)
    }

    fn receive_by_ring(&mut self, slots: &mut [Slot<'_>]) -> io::Result<usize> {
        let slots_max = slots.len().min(BATCH_MAX);
        let mut count = 0;
        for _ in 0..LOOKS_MAX {
            let Ok(ring) = &mut self.ring else { break };
            let Some(slot) = slots[..slots_max].get_mut(count) else { break };
            match ring.take(slot, slots_max - count) {
                Taken::Nothing => break,
                Taken::Frame => count += 1,
                Taken::Lost => {}
                Taken::Behind(frames) => match self.receive_behind(&mut slots[count..][..frames]) {
                    Ok(frames) => count += frames,
                    Err(error) if count == 0 => return Err(error),
                    Err(error) => {
                        self.deferred = error.raw_os_error();
                        break;
                    }
                },
            }
        }
        if count == 0 {
            sys::take_error(self.fd.as_fd())?;
            return Err(io::Error::from_raw_os_error(libc::EAGAIN));
        }
        Ok(count)
    }

    /// Receives frames that are longer than the ring's slots.
    fn receive_behind(&mut self, slots: &mut [Slot<'_>]) -> io::Result<usize> {
        let received = self.receive_messages(slots, Auxdata::without_length);
        let Ok(ring) = &mut self.ring else { return received };
        match received {
            Ok(frames) => {
                ring.received_behind(frames);
                Ok(frames)
            }
            // Its slot says that it is there, and it is not.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ring.lose_next();
                Ok(0)
            }
            Err(error) => {
                // The message was taken, and its header says what none can.
                if error.raw_os_error() == Some(libc::EINVAL) {
                    ring.received_behind(1);
                }
                Err(error)
            }
        }
    }

    /// Gives frames to the interface's queue, in order, until one is not taken. Answers how many
    /// were, and why the next one was not; the rest has not been tried. Never waits.
    ///
    /// What the caller does with that next frame follows from the reason: keep it for
    /// [`WouldBlock`](SendError::WouldBlock), skip it for [`TooBig`](SendError::TooBig),
    /// [`Lost`](SendError::Lost) and [`Invalid`](SendError::Invalid).
    pub fn send(&mut self, frames: &[Outgoing<'_>]) -> (usize, Option<SendError>) {
        let mut taken = 0;
        while taken < frames.len() {
            if let Ok(xdp) = &mut self.xdp {
                let sent = xdp.send(&frames[taken..]);
                taken += sent.taken;
                match sent.then {
                    Then::Lost => return (taken, Some(SendError::Lost)),
                    Then::Untried if sent.taken > 0 => continue,
                    Then::Untried => {}
                }
            }
            let run = self.sendable(&frames[taken..]);
            if run.is_empty() {
                return (taken, Some(SendError::Invalid));
            }
            match self.send_once(run) {
                Ok(count) => taken += count,
                Err(error) => return (taken, Some(self.send_error(error))),
            }
        }
        (taken, None)
    }

    /// Frames that passed the filter and frames dropped for a full buffer, since the socket was
    /// opened. (The kernel starts again from 0 at each reading; this adds up.)
    ///
    /// # Errors
    /// [`Error::Call`] with the kernel's answer.
    pub fn statistics(&mut self) -> Result<Statistics, Error> {
        self.count().map_err(|source| Error::Call {
            call: "getsockopt PACKET_STATISTICS",
            interface: self.interface.clone(),
            source,
        })?;
        Ok(self.statistics)
    }

    /// Adds the kernel's counters up, and gives up a ring of which they say that it is blocked.
    fn count(&mut self) -> io::Result<()> {
        let since = sys::statistics(self.fd.as_fd())?;
        self.statistics.passed += u64::from(since.packets);
        self.statistics.dropped += u64::from(since.drops);
        let Ok(ring) = &mut self.ring else { return Ok(()) };
        self.statistics.dropped += ring.take_lost_frames();
        if ring.is_blocked(since.packets, since.drops)
            && let Ok(ring) = std::mem::replace(&mut self.ring, Err(NotByRing::Blocked))
            && let Err(error) = ring.close(self.fd.as_fd())
        {
            // The kernel goes on putting frames where nobody reads them.
            self.deferred = error.raw_os_error();
        }
        Ok(())
    }

    /// Whether the interface is still there. One system call. Once gone it stays so.
    #[must_use]
    pub fn state(&self) -> State {
        match sys::bound_to(self.fd.as_fd()) {
            Ok(bound) if i64::from(bound.index) == i64::from(self.index) => State::Present,
            _ => State::Gone,
        }
    }

    /// How many frames went by `AF_XDP`; or why none do.
    ///
    /// # Errors
    /// [`NotByXdp`].
    pub fn by_xdp(&self) -> Result<u64, &NotByXdp> {
        self.xdp.as_ref().map(XdpSender::frames_sent)
    }

    /// How many frames the ring holds by which frames are received; or why there is none.
    ///
    /// # Errors
    /// [`NotByRing`].
    pub fn by_ring(&self) -> Result<usize, &NotByRing> {
        self.ring.as_ref().map(RxRing::slots)
    }

    /// To be called a few times a second by whoever asked for [`Options::receive_ring_slots`] or
    /// [`Options::xdp_send`].
    ///
    /// Looks whether the ring is blocked ([`NotByRing::Blocked`]): until then, nothing comes any
    /// more. Whether the interface's MTU is another, and whether frames can go by `AF_XDP` again
    /// after the interface was down. A system call for the ring, three for `AF_XDP`, or up to 35
    /// to begin again.
    pub fn upkeep(&mut self) {
        if self.ring.is_ok() {
            // What cannot be counted now is counted the next time.
            let _ = self.count();
        }
        if let Ok(xdp) = &mut self.xdp {
            xdp.upkeep(self.fd.as_fd());
        }
    }

    /// The name under which the interface was opened.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The interface's index.
    #[must_use]
    pub fn interface_index(&self) -> u32 {
        self.index
    }

    /// The socket buffers that were granted; less than asked for when `net.core.rmem_max` or
    /// `net.core.wmem_max` cut them and the process lacks CAP_NET_ADMIN.
    #[must_use]
    pub fn buffers(&self) -> Buffers {
        self.buffers
    }

    /// Whether the socket was opened with [`vnet_hdr`](Options::vnet_hdr).
    #[must_use]
    pub fn has_vnet_hdr(&self) -> bool {
        self.vnet_hdr
    }

    /// The first of the frames that this socket can express.
    fn sendable<'f, 'b>(&self, frames: &'f [Outgoing<'b>]) -> &'f [Outgoing<'b>] {
        let end = match self.vnet_hdr {
            true => None,
            false => frames.iter().position(|frame| !frame.vnet.is_finished()),
        };
        &frames[..end.unwrap_or(frames.len())]
    }

    /// One call. A pending error of the receive side is answered to whoever calls first, sends
    /// included, and only once. So an error that could be one is tried again: if it does not come
    /// a second time it was not about this frame, and the next receive tells it.
    fn send_once(&mut self, frames: &[Outgoing<'_>]) -> io::Result<usize> {
        let first = self.outgoing.send(self.fd.as_fd(), frames, self.vnet_hdr);
        let errno = match &first {
            Err(error) => error.raw_os_error(),
            Ok(_) => return first,
        };
        let Some(errno @ (libc::ENETDOWN | libc::EINVAL)) = errno else { return first };
        let second = self.outgoing.send(self.fd.as_fd(), frames, self.vnet_hdr);
        if second.as_ref().err().and_then(io::Error::raw_os_error) != Some(errno) {
            self.deferred.get_or_insert(errno);
        }
        second
    }

    fn receive_error(&self, error: io::Error) -> ReceiveError {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => ReceiveError::WouldBlock,
            Some(libc::ENETDOWN) if self.state() == State::Present => ReceiveError::Down,
            Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => ReceiveError::Gone,
            Some(libc::EINVAL) if self.vnet_hdr => ReceiveError::Inexpressible,
            _ => ReceiveError::Os(error),
        }
    }

    fn send_error(&self, error: io::Error) -> SendError {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => SendError::WouldBlock,
            Some(libc::EMSGSIZE) => SendError::TooBig,
            Some(libc::ENOBUFS | libc::ENOMEM) => SendError::Lost,
            Some(libc::EINVAL) => SendError::Invalid,
            Some(libc::ENETDOWN) if self.state() == State::Present => SendError::Down,
            Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => SendError::Gone,
            _ => SendError::Os(error),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for PacketSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// A setting that failed: the call with the option's name, and the kernel's answer.
type FailedCall = (&'static str, io::Error);

fn attach(fd: BorrowedFd<'_>, filter: &[FilterWord]) -> Result<(), Error> {
    let length = filter.len();
    if length > FILTER_WORDS_MAX {
        return Err(Error::FilterTooLong { length });
    }
    let done =
        if filter.is_empty() { sys::detach_filter(fd) } else { sys::attach_filter(fd, filter) };
    done.map_err(|source| Error::Filter { length, source })
}

fn set_options(fd: BorrowedFd<'_>, options: &Options) -> Result<(), FailedCall> {
    let set = |option, value: bool, name| {
        sys::set_option(fd, libc::SOL_PACKET, option, i32::from(value)).map_err(|e| (name, e))
    };
    set(libc::PACKET_IGNORE_OUTGOING, true, "setsockopt PACKET_IGNORE_OUTGOING")?;
    set(libc::PACKET_AUXDATA, true, "setsockopt PACKET_AUXDATA")?;
    set(libc::PACKET_VNET_HDR, options.vnet_hdr, "setsockopt PACKET_VNET_HDR")
}

fn set_buffers(fd: BorrowedFd<'_>, options: &Options) -> Result<Buffers, FailedCall> {
    let receive = sys::Buffer { force: libc::SO_RCVBUFFORCE, ask: libc::SO_RCVBUF };
    let send = sys::Buffer { force: libc::SO_SNDBUFFORCE, ask: libc::SO_SNDBUF };
    Ok(Buffers {
        receive_bytes: sys::set_buffer(fd, receive, options.receive_buffer_bytes)
            .map_err(|error| ("setsockopt SO_RCVBUF", error))?,
        send_bytes: sys::set_buffer(fd, send, options.send_buffer_bytes)
            .map_err(|error| ("setsockopt SO_SNDBUF", error))?,
    })
}

fn check_ethernet(fd: BorrowedFd<'_>, interface: &str) -> Result<(), Error> {
    let bound = sys::bound_to(fd).map_err(|source| Error::Call {
        call: "getsockname",
        interface: interface.to_owned(),
        source,
    })?;
    match bound.hardware_type {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Ok(()),
        hardware_type => Err(Error::NotEthernet { interface: interface.to_owned(), hardware_type }),
    }
}

/// Frames that one system call moves at most. Measured: beyond 32 nothing is gained.
pub const BATCH_MAX: usize = 64;
/// So many slots of a ring are looked at in one call, where most of them hold nothing of use.
const LOOKS_MAX: usize = 4 * BATCH_MAX;
