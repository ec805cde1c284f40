//! Who sends the frames and who gets them.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use afpacket::{Options, Outgoing, PacketSocket};

use super::peer_failed;
use crate::failure::Result;

pub(super) trait Sender {
    /// Sends frames to the receiver's station, while the switch does not read.
    fn send(&mut self, frames: usize, frame_bytes: usize) -> Result<()>;
}

pub(super) trait Receiver {
    /// Sends a frame, so that the switch knows where the receiver is.
    fn greet(&mut self) -> Result<()>;

    /// Whether so many frames have come that were not told of before.
    fn has_all(&mut self, frames: usize) -> Result<bool>;
}

const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const RECEIVER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// An EtherType for experiments (IEEE 802, local experimental 1).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// How long a send may take that the switch need not do anything for.
const PATIENCE: Duration = Duration::from_secs(5);

fn frame(to: [u8; 6], from: [u8; 6], bytes: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &ETHERTYPE].concat();
    frame.resize(bytes, 0);
    frame
}

fn is_counted(frame: &[u8]) -> bool {
    frame.len() > 12 && frame[6..12] == SENDER
}

/// A guest on a unixgram port, as vfkit is one.
pub(super) struct Datagram {
    socket: UnixDatagram,
    received: usize,
}

impl Datagram {
    pub(super) fn connect(port: &Path) -> Result<Self> {
        let connected = UnixDatagram::bind(port.with_extension("vm")).and_then(|socket| {
            socket.connect(port)?;
            socket.send(b"VFKT")?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = connected.map_err(|error| peer_failed("connect to a port", error))?;
        Ok(Self { socket, received: 0 })
    }
}

impl Sender for Datagram {
    fn send(&mut self, frames: usize, frame_bytes: usize) -> Result<()> {
        let frame = frame(RECEIVER, SENDER, frame_bytes);
        for _ in 0..frames {
            self.socket.send(&frame).map_err(|error| peer_failed("send a frame", error))?;
        }
        Ok(())
    }
}

impl Receiver for Datagram {
    fn greet(&mut self) -> Result<()> {
        let frame = frame([0xff; 6], RECEIVER, 60);
        self.socket.send(&frame).map_err(|error| peer_failed("send a greeting", error))?;
        self.socket.set_nonblocking(true).map_err(|error| peer_failed("not block", error))
    }

    fn has_all(&mut self, frames: usize) -> Result<bool> {
        let mut buffer = [0; 2048];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(len) => self.received += usize::from(is_counted(&buffer[..len])),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(peer_failed("receive", error)),
            }
        }
        Ok(take(&mut self.received, frames))
    }
}

/// A guest on a stream port, as QEMU is one.
pub(super) struct Stream {
    socket: UnixStream,
    bytes: Vec<u8>,
    received: usize,
}

impl Stream {
    pub(super) fn connect(port: &Path) -> Result<Self> {
        let connected = UnixStream::connect(port).and_then(|socket| {
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(socket)
        });
        let socket = connected.map_err(|error| peer_failed("connect to a port", error))?;
        Ok(Self { socket, bytes: Vec::new(), received: 0 })
    }

    fn write(&mut self, frame: &[u8], frames: usize) -> Result<()> {
        let prefix = u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes();
        let bytes = [&prefix[..], frame].concat().repeat(frames);
        self.socket.write_all(&bytes).map_err(|error| peer_failed("write frames", error))
    }
}

impl Sender for Stream {
    fn send(&mut self, frames: usize, frame_bytes: usize) -> Result<()> {
        self.write(&frame(RECEIVER, SENDER, frame_bytes), frames)
    }
}

impl Receiver for Stream {
    fn greet(&mut self) -> Result<()> {
        self.write(&frame([0xff; 6], RECEIVER, 60), 1)?;
        self.socket.set_nonblocking(true).map_err(|error| peer_failed("not block", error))
    }

    fn has_all(&mut self, frames: usize) -> Result<bool> {
        match self.socket.read_to_end(&mut self.bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(peer_failed("read", error)),
            Ok(_) => return Err(peer_failed("read", "the switch closed the stream")),
        }
        let mut rest = &self.bytes[..];
        while let Some((prefix, behind)) = rest.split_first_chunk() {
            let len = u32::from_be_bytes(*prefix) as usize;
            let Some((frame, behind)) = behind.split_at_checked(len) else { break };
            self.received += usize::from(is_counted(frame));
            rest = behind;
        }
        self.bytes.drain(..self.bytes.len() - rest.len());
        Ok(take(&mut self.received, frames))
    }
}

/// The bridge's end of the uplink, which counts what comes out of it.
pub(super) struct BridgeMember {
    interface: String,
    seen: usize,
    socket: PacketSocket,
}

impl BridgeMember {
    pub(super) fn new(interface: &str) -> Result<Self> {
        let socket = PacketSocket::open(interface, &[], &Options::default());
        let socket = socket.map_err(|error| peer_failed("open the bridge's member", error))?;
        let mut this = Self { interface: format!("{interface}:"), seen: 0, socket };
        this.seen = this.received()?;
        Ok(this)
    }

    fn received(&self) -> Result<usize> {
        let fail = |why: &dyn std::fmt::Display| peer_failed("read /proc/self/net/dev", why);
        let table = fs::read_to_string("/proc/self/net/dev").map_err(|error| fail(&error))?;
        let line = table.lines().find_map(|line| line.trim().strip_prefix(&self.interface));
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.ok_or_else(|| fail(&"the bridge's member is not there"))
    }
}

impl Sender for BridgeMember {
    /// As the bridge would.
    fn send(&mut self, frames: usize, frame_bytes: usize) -> Result<()> {
        let frame = frame(RECEIVER, SENDER, frame_bytes);
        let (sent, why_not) = self.socket.send(&vec![Outgoing::new(&frame); frames]);
        match why_not {
            None if sent == frames => Ok(()),
            why_not => Err(peer_failed("send at the bridge", format!("{sent} sent: {why_not:?}"))),
        }
    }
}

impl Receiver for BridgeMember {
    /// Nothing: what is for an address that nobody knows goes to the uplink, too.
    fn greet(&mut self) -> Result<()> {
        Ok(())
    }

    fn has_all(&mut self, frames: usize) -> Result<bool> {
        let mut new = self.received()?.saturating_sub(self.seen);
        let has_all = take(&mut new, frames);
        self.seen += if has_all { frames } else { 0 };
        Ok(has_all)
    }
}

/// Takes `wanted` off `count` if it is so many.
fn take(count: &mut usize, wanted: usize) -> bool {
    let left = count.checked_sub(wanted);
    *count = left.unwrap_or(*count);
    left.is_some()
}

/// Has new interfaces of this namespace say nothing of their own: a host that speaks IPv6 greets
/// routers and neighbours, which would be frames to carry. Where this may not be written, the
/// bounds have some room.
pub(super) fn silence_the_stack() {
    for which in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6"), "1");
    }
}
