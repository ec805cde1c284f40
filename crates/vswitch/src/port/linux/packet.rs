//! The host port: an `AF_PACKET` socket on an interface, either the switch's end of a pair whose
//! other end is a bridge's member, or a plain interface.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use afpacket::{
    Checksum, FilterWord, Options, Outgoing, PacketSocket, SendError, Slot, State, VnetHdr,
};
use arrayvec::ArrayVec;

use super::kernel::kernel_offloads;
use crate::counters::DropReason;
use crate::mac::MacAddr;
use crate::offload::{Offload, Offloads, VnetFields};
use crate::poller::Source;
use crate::pool::{HEADROOM_BYTES, SizeClass};
use crate::port::unix::Granted;
use crate::port::upkeep::next_look;
use crate::port::{
    AdaptiveBatch, AdaptiveClass, Gone, Inbox, Outbox, Port, Received, SendFault, Sent,
};
use crate::time::Nanos;

/// A host port that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PacketPortError {
    /// The socket.
    #[error(transparent)]
    Socket(#[from] afpacket::Error),
    /// The filter for the ports' addresses.
    #[error("make the filter for {addresses} addresses: {source}")]
    Filter {
        /// How many.
        addresses: usize,
        /// Why not.
        source: bpf::stock::StockError,
    },
}

/// How a [`PacketPort`] gives frames to its interface, and what they are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketLink {
    /// Frames come and go with a header that tells what is left to do to them; what goes out, the
    /// kernel finishes where it must be. Where the kernel lets it, frames come by a ring that it
    /// shares, and finished frames of an ordinary size are sent by `AF_XDP`: past the interface's
    /// captures, queueing discipline and traffic control. For the switch's end of a veth pair that
    /// it made.
    Pair,
    /// The same, but all frames are sent as messages, the way that an interface's owner expects.
    Interface,
    /// The same, and all frames come as messages, too.
    Messages,
    /// All frames come and go as messages, on an interface that never gives a frame with work left
    /// on it, because its and its peer's offloads are off, and is to get none.
    Finished,
}

/// An uplink.
#[derive(Debug)]
pub struct PacketPort {
    socket: PacketSocket,
    takes: Offloads,
    class: AdaptiveClass,
    batch: AdaptiveBatch<RECEIVE_FRAMES_MAX>,
    /// How many frames were read since there was last nothing left to read.
    frames_in_a_row: usize,
    told_down: bool,
    /// That frames come as messages was told, or is as it was asked for.
    told_messages: bool,
}

/// How many addresses a filter may name. Above it accepting everything costs less than comparing.
pub const FILTER_ADDRESSES_MAX: usize = 256;

impl PacketPort {
    /// Opens `interface`, promiscuous.
    ///
    /// With `addresses`, the only ones that are behind the switch, the kernel passes just the
    /// frames for those and for groups; without, or with more than [`FILTER_ADDRESSES_MAX`], all
    /// frames.
    ///
    /// # Errors
    /// [`PacketPortError`].
    pub fn open(
        interface: &str,
        addresses: Option<&[MacAddr]>,
        link: PacketLink,
    ) -> Result<Self, PacketPortError> {
        let finished_frames = link == PacketLink::Finished;
        let by_xdp = link == PacketLink::Pair;
        let by_ring = by_xdp || link == PacketLink::Interface;
        let filter = filter(addresses)?;
        let options = Options {
            promiscuous: true,
            vnet_hdr: !finished_frames,
            receive_buffer_bytes: Some(BUFFER_BYTES),
            send_buffer_bytes: Some(BUFFER_BYTES),
            receive_ring_slots: by_ring.then_some(RING_SLOTS),
            xdp_send: by_xdp,
        };
        let socket = match PacketSocket::open(interface, &filter, &options) {
            // More than net.core.optmem_max allows. The filter only spares work: do without.
            Err(afpacket::Error::Filter { source, .. })
                if source.raw_os_error() == Some(libc::ENOMEM) =>
            {
                tracing::warn!(
                    interface,
                    "no room for a filter (net.core.optmem_max): none is used"
                );
                PacketSocket::open(interface, &[], &options)?
            }
            opened => opened?,
        };
        let told_messages = socket.by_ring().is_err();
        if by_ring && let Err(why) = socket.by_ring() {
            tracing::info!(interface, %why, "frames come as messages: a ring is not to be had");
        }
        if by_xdp && let Err(why) = socket.by_xdp() {
            tracing::info!(interface, %why, "frames are sent as messages: AF_XDP is not to be had");
        }
        let takes = if finished_frames { Offloads::NONE } else { kernel_offloads() };
        let (class, batch) = Default::default();
        Ok(Self {
            socket,
            takes,
            class,
            batch,
            frames_in_a_row: 0,
            told_down: false,
            told_messages,
        })
    }

    /// The interface that it was opened on, by the name that it had then.
    #[must_use]
    pub fn interface(&self) -> &str {
        self.socket.interface()
    }

    /// The number of that interface.
    #[must_use]
    pub fn interface_index(&self) -> u32 {
        self.socket.interface_index()
    }

    /// The socket's buffers.
    #[must_use]
    pub fn granted(&self) -> Granted {
        let buffers = self.socket.buffers();
        // The kernel counts double what it is asked for; this crate tells the half.
        Granted { send_bytes: 2 * buffers.send_bytes, receive_bytes: 2 * buffers.receive_bytes }
    }

    /// There is nothing left to read.
    fn drained(&mut self) -> Received {
        let frames = std::mem::take(&mut self.frames_in_a_row);
        let rests = frames >= REST_FROM_FRAMES && self.socket.by_ring().is_ok();
        if rests { Received::Later(REST) } else { Received::Drained }
    }

    fn is_down(&mut self) {
        if !std::mem::replace(&mut self.told_down, true) {
            tracing::warn!(interface = self.socket.interface(), "the uplink is down");
        }
    }
}

const BUFFER_BYTES: usize = 4 << 20;

/// For how many frames there is room until they are read.
const RING_SLOTS: usize = 1024;

/// How many frames one call receives at most: more gain nothing measurable here.
const RECEIVE_FRAMES_MAX: usize = 32;

/// How long a ring rests once all is read, if that was some frames.
///
/// A frame is read faster from it than who sends can put it there, so that the switch would sleep
/// and be woken, at the sender's expense, every few frames (docs/performance.md). It is what
/// network drivers do with their interrupts, and in that order of magnitude. The ring's places last
/// for it at ten million frames a second.
const REST: Duration = Duration::from_micros(100);

/// How many frames say that somebody sends, and does not wait for an answer to each.
const REST_FROM_FRAMES: usize = 4;

/// The filter for the stations that are behind the switch; no words pass every frame.
fn filter(addresses: Option<&[MacAddr]>) -> Result<Vec<FilterWord>, PacketPortError> {
    match addresses {
        Some(addresses) if addresses.len() <= FILTER_ADDRESSES_MAX => narrow(addresses),
        _ => Ok(Vec::new()),
    }
}

/// The filter that passes what is for `addresses` and for groups.
fn narrow(addresses: &[MacAddr]) -> Result<Vec<FilterWord>, PacketPortError> {
    let macs: Vec<[u8; 6]> = addresses.iter().map(|mac| mac.0).collect();
    let program = bpf::stock::to_macs(&macs, bpf::Dialect::Linux)
        .map_err(|source| PacketPortError::Filter { addresses: macs.len(), source })?;
    let word =
        |insn: &bpf::RawInsn| FilterWord { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k };
    Ok(program.words().iter().map(word).collect())
}

/// A received frame, before the slots' borrows end.
struct Arrival {
    start: usize,
    head_bytes: usize,
    tail_bytes: usize,
    offload: Result<Offload, DropReason>,
}

impl Port for PacketPort {
    fn source(&self) -> Option<Source> {
        Some(Source { descriptor: self.socket.as_raw_fd(), generation: 0 })
    }

    fn takes(&self) -> Offloads {
        self.takes
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        let class = self.class.class();
        // The lists are filled where they are used: one that is collected is moved, all of it.
        let mut slots = ArrayVec::<Slot<'_>, RECEIVE_FRAMES_MAX>::new();
        slots.extend(inbox.raw_slots(class, self.batch.frames()).map(|(buffer, spill)| {
            Slot::new(&mut buffer[HEADROOM_BYTES - afpacket::HEADROOM..]).with_spill(spill)
        }));
        if slots.is_empty() {
            return Received::NoBuffers;
        }
        let count = match self.socket.receive(&mut slots) {
            Ok(count) => count,
            Err(error) => {
                drop(slots);
                return self.receive_failed(error, inbox);
            }
        };
        let all = count == slots.len();
        self.batch.saw(count, slots.len());
        let mut arrivals = ArrayVec::<Arrival, RECEIVE_FRAMES_MAX>::new();
        arrivals.extend(slots[..count].iter().map(arrival));
        drop(slots);
        let mut biggest = 0;
        for (place, arrival) in arrivals.drain(..).enumerate() {
            biggest = biggest.max(arrival.head_bytes + arrival.tail_bytes);
            put(inbox, class, place, arrival);
        }
        self.class.saw_batch(biggest);
        self.told_down = false;
        self.frames_in_a_row += count;
        if all { Received::More } else { self.drained() }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let mut frames = ArrayVec::<Outgoing<'_>, { afpacket::BATCH_MAX }>::new();
        frames.extend(outbox.frames().take(afpacket::BATCH_MAX).map(outgoing));
        let (taken, why_not) = self.socket.send(&frames);
        let fault = why_not.map(|error| match error {
            SendError::WouldBlock => SendFault::Full { retry_after: None },
            SendError::TooBig => SendFault::TooBig,
            SendError::Invalid if !outbox.offload(taken).is_none() => SendFault::BadOffload,
            SendError::Lost | SendError::Invalid => SendFault::Lost,
            SendError::Down => {
                self.is_down();
                SendFault::NoPeer
            }
            SendError::Gone => SendFault::Gone(gone()),
            SendError::Os(error) => SendFault::Gone(Gone::Os(error)),
            _ => SendFault::Lost,
        });
        Sent { taken_frames: taken, then: fault }
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        self.socket.upkeep();
        if !self.told_messages
            && let Err(why) = self.socket.by_ring()
        {
            let interface = self.interface();
            tracing::warn!(interface, %why, "frames come as messages from now on");
            self.told_messages = true;
        }
        // That an interface goes is told as if it were only set down: ask which it is.
        match self.socket.state() {
            State::Present => Ok(next_look(now)),
            State::Gone => Err(gone()),
        }
    }

    fn set_stations(&mut self, stations: Option<&[MacAddr]>) -> io::Result<()> {
        let filter = filter(stations).map_err(io::Error::other)?;
        match self.socket.set_filter(&filter) {
            // More than net.core.optmem_max allows. The filter only spares work: do without.
            Err(afpacket::Error::Filter { source, .. })
                if source.raw_os_error() == Some(libc::ENOMEM) =>
            {
                self.socket.set_filter(&[]).map_err(io::Error::other)
            }
            set => set.map_err(io::Error::other),
        }
    }

    fn kernel_dropped_frames(&mut self) -> u64 {
        self.socket.statistics().map_or(0, |statistics| statistics.dropped)
    }
}

impl PacketPort {
    fn receive_failed(&mut self, error: afpacket::ReceiveError, inbox: &mut Inbox<'_>) -> Received {
        use afpacket::ReceiveError::{Down, Gone as Left, Inexpressible, Os, WouldBlock};
        match error {
            WouldBlock => self.drained(),
            Down => {
                self.is_down();
                Received::Drained
            }
            Left => Received::Gone(gone()),
            Inexpressible => {
                inbox.reject(DropReason::BadOffload, 0);
                Received::More
            }
            Os(error) => Received::Gone(Gone::Os(error)),
            _ => Received::Drained,
        }
    }
}

fn gone() -> Gone {
    Gone::Os(io::Error::from_raw_os_error(libc::ENODEV))
}

fn arrival(slot: &Slot<'_>) -> Arrival {
    let range = slot.range();
    let offload = if slot.is_truncated() { Err(DropReason::Oversize) } else { work_left(slot) };
    Arrival {
        start: range.start + HEADROOM_BYTES - afpacket::HEADROOM,
        head_bytes: range.len(),
        tail_bytes: slot.tail().len(),
        offload,
    }
}

fn outgoing<'a>((bytes, offload): (&'a [u8], &Offload)) -> Outgoing<'a> {
    let frame = Outgoing::new(bytes);
    if offload.is_none() {
        return frame;
    }
    let VnetFields { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset } =
        offload.to_vnet();
    frame.with_vnet(VnetHdr { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset })
}

/// What the kernel left to do, from the header that came with the frame.
fn work_left(slot: &Slot<'_>) -> Result<Offload, DropReason> {
    let header = slot.vnet();
    if header.is_finished() {
        // Without a header nothing says where an unfinished checksum stands.
        let finished = slot.checksum() != Checksum::Unfinished;
        return if finished { Ok(Offload::NONE) } else { Err(DropReason::BadOffload) };
    }
    let fields = VnetFields {
        flags: header.flags,
        gso_type: header.gso_type,
        hdr_len: header.hdr_len,
        gso_size: header.gso_size,
        csum_start: header.csum_start,
        csum_offset: header.csum_offset,
    };
    Offload::from_vnet(&fields).map_err(|_| DropReason::BadOffload)
}

fn put(inbox: &mut Inbox<'_>, class: SizeClass, place: usize, arrival: Arrival) {
    let Arrival { start, head_bytes, tail_bytes, offload } = arrival;
    match offload {
        Err(reason) => inbox.reject(reason, head_bytes + tail_bytes),
        Ok(offload) if tail_bytes == 0 => {
            inbox.arrived_at(class, place, start..start + head_bytes, offload);
        }
        Ok(offload) => {
            inbox.arrived_spilled(class, place, start, head_bytes, tail_bytes, offload);
        }
    }
}

#[cfg(test)]
mod tests {
    use testkit::command::ip;

    use super::*;
    use crate::pool::Pool;
    use crate::port::InboxBuffers;

    /// Few frames may be all there is. After more a ring rests; messages do not, which cost as much
    /// to receive as to send.
    #[test]
    fn a_ring_rests_when_it_has_been_read_and_had_some_frames() {
        if !testkit::tool_or_skip("ip", "iproute2") || !testkit::netns::enter_or_skip() {
            return;
        }
        ip("link add card type veth peer name far");
        for end in ["card", "far"] {
            ip(&format!("link set {end} addrgenmode none up"));
        }
        testkit::netns::wait_until_active(&["card", "far"]);
        let mut stack = PacketSocket::open("far", &[], &Options::default()).expect("a socket");
        let mut says = |link, frames: usize| {
            let mut port = PacketPort::open("card", None, link).expect("an uplink");
            let (mut buffers, mut pool) = (InboxBuffers::default(), Pool::new(1 << 20));
            let mut received = None;
            let came = testkit::wait_until(Duration::from_secs(5), || {
                // What a busy machine brought late is not to be counted with the next.
                while matches!(
                    port.receive(&mut Inbox::new(&mut buffers, &mut pool)),
                    Received::More | Received::Later(_)
                ) {}
                buffers.frames.drain(..).for_each(|frame| pool.release(frame));
                let sent = stack.send(&vec![Outgoing::new(&[0xff; 60]); frames]);
                assert!(matches!(sent, (taken, None) if taken == frames), "{sent:?}");
                std::thread::sleep(Duration::from_millis(2));
                received = (0..=frames).find_map(|_| {
                    match port.receive(&mut Inbox::new(&mut buffers, &mut pool)) {
                        Received::More => None,
                        last => Some(last),
                    }
                });
                buffers.frames.len() == frames
            });
            assert!(came, "{frames} frames did not come together");
            received.expect("it was read")
        };
        for (link, frames, expected) in [
            (PacketLink::Pair, REST_FROM_FRAMES - 1, Received::Drained),
            (PacketLink::Pair, REST_FROM_FRAMES, Received::Later(REST)),
            // Four and one.
            (PacketLink::Pair, REST_FROM_FRAMES + 1, Received::Later(REST)),
            (PacketLink::Interface, RECEIVE_FRAMES_MAX + 1, Received::Later(REST)),
            (PacketLink::Pair, 2 * RECEIVE_FRAMES_MAX, Received::Later(REST)),
            (PacketLink::Messages, RECEIVE_FRAMES_MAX + 1, Received::Drained),
        ] {
            let said = says(link, frames);
            let alike = format!("{said:?}") == format!("{expected:?}");
            assert!(alike, "{link:?}, {frames} frames: {said:?}, not {expected:?}");
        }
    }
}
