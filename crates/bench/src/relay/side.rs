//! One side of a relay.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::failure::{Failure, Result, Trying as _};
use crate::load::{FRAME_MAX_BYTES, frame};
use crate::system::mmsg::Batch;
use crate::system::rx_ring::RxRing;
use crate::system::socket::{self, Buffers};
use crate::system::xdp::XdpSocket;

/// What a side of a relay is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SideSpec {
    /// A unix datagram socket at this path, connected to whoever sends there first.
    Datagram(PathBuf),
    /// A unix datagram socket bound at `own`, plugged into a switch's `path`.
    Plug { path: PathBuf, own: PathBuf },
    /// A unix stream listening at this path, for one client.
    Stream(PathBuf),
    /// Memory shared with one client, who gets it at a unix stream listening at this path.
    Shared(PathBuf),
    /// A packet socket on this interface.
    Packet(String),
    /// `AF_XDP` on this interface.
    Xdp(String),
    /// A packet socket on this interface that receives by a ring.
    Ring(String),
    /// The user-space end of this TAP, with virtio-net headers or without.
    Tap { name: String, vnet: bool },
}

impl FromStr for SideSpec {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, place) = text.split_once(':').ok_or("KIND:PLACE is wanted")?;
        let name = place.to_owned();
        Ok(match kind {
            "gram" => Self::Datagram(place.into()),
            "plug" => {
                let (path, own) = place.split_once(':').ok_or("plug:PATH:OWN is wanted")?;
                Self::Plug { path: path.into(), own: own.into() }
            }
            "stream" => Self::Stream(place.into()),
            "shared" => Self::Shared(place.into()),
            "packet" => Self::Packet(name),
            "xdp" => Self::Xdp(name),
            "ring" => Self::Ring(name),
            "tap" => Self::Tap { name, vnet: false },
            "vnet-tap" => Self::Tap { name, vnet: true },
            _ => return Err(format!("{kind} is no kind of side")),
        })
    }
}

impl SideSpec {
    /// The side of this pair.
    pub(crate) fn numbered(&self, pair: usize) -> Self {
        let path = |path: &PathBuf| path.to_string_lossy().replace("{}", &pair.to_string()).into();
        match self {
            Self::Datagram(place) => Self::Datagram(path(place)),
            Self::Stream(place) => Self::Stream(path(place)),
            Self::Shared(place) => Self::Shared(path(place)),
            other => other.clone(),
        }
    }
}

/// A side, open.
pub(super) enum Side {
    Datagram(Socket),
    Plugged(Socket),
    Stream(Framed),
    Listening(Socket),
    Xdp(Box<XdpSocket>),
    Ring(RxRing),
    Tap(File),
}

/// Opens a side, so that its peer may come.
pub(super) fn open(spec: &SideSpec, frame_bytes: usize) -> Result<Side> {
    Ok(match spec {
        SideSpec::Shared(_) => {
            return Err(Failure::new("open a side", "memory is shared on both sides or none"));
        }
        SideSpec::Datagram(path) => Side::Datagram(socket::bind_datagram(path, Buffers::Large)?),
        SideSpec::Plug { path, own } => Side::Plugged(plug(path, own)?),
        SideSpec::Stream(path) => Side::Listening(listen(path)?),
        SideSpec::Packet(name) => Side::Datagram(socket::open_packet(name, 0)?),
        SideSpec::Ring(name) => Side::Ring(RxRing::open(name, frame_bytes)?),
        SideSpec::Xdp(name) => Side::Xdp(Box::new(XdpSocket::open(name)?)),
        SideSpec::Tap { name, vnet } => Side::Tap(socket::open_tap(name, *vnet)?),
    })
}

fn plug(path: &Path, own: &Path) -> Result<Socket> {
    let socket = socket::bind_datagram(own, Buffers::Large)?;
    socket::connect(&socket, path)?;
    // So that the other side knows whom to connect back to before it has something to say.
    let mut hello = [0; 60];
    frame::write(&mut hello, 0, None);
    socket.send(&hello).trying("say hello")?;
    Ok(socket)
}

pub(super) fn listen(path: &PathBuf) -> Result<Socket> {
    let what = format!("listen at {}", path.display());
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).trying(&what)?;
    let address = SockAddr::unix(path).trying(&what)?;
    listener.bind(&address).and_then(|()| listener.listen(1)).trying(&what)?;
    Ok(listener)
}

pub(super) fn accept(listener: &Socket) -> Result<Socket> {
    let (client, _) = listener.accept().trying("accept a client")?;
    socket::set_buffers(client.as_fd(), Buffers::Large);
    Ok(client)
}

impl Side {
    /// Waits for the peer.
    pub(super) fn meet(side: Self) -> Result<Self> {
        match side {
            Self::Datagram(socket) => {
                if socket.domain().trying("ask a socket")? == Domain::UNIX {
                    socket::connect_back(&socket)?;
                }
                Ok(Self::Datagram(socket))
            }
            Self::Listening(listener) => Ok(Self::Stream(Framed::new(accept(&listener)?))),
            other => Ok(other),
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) | Self::Plugged(socket) | Self::Listening(socket) => {
                socket.as_fd()
            }
            Self::Stream(framed) => framed.socket.as_fd(),
            Self::Xdp(socket) => socket.as_fd(),
            Self::Ring(socket) => socket.as_fd(),
            Self::Tap(device) => device.as_fd(),
        }
    }

    /// Takes what is there, at most one batch.
    pub(super) fn receive(&mut self, frames: &mut Batch) -> io::Result<usize> {
        let received = match self {
            Self::Datagram(socket) | Self::Plugged(socket) => {
                frames.receive(socket.as_fd(), libc::MSG_DONTWAIT)
            }
            Self::Stream(framed) => framed.receive(frames),
            Self::Xdp(socket) => socket.receive(frames),
            Self::Ring(socket) => socket.receive(frames),
            Self::Tap(device) => receive_each(device, frames),
            Self::Listening(_) => Ok(0),
        };
        match received {
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(0)
            }
            // An interface that is down for now.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => Ok(0),
            received => received,
        }
    }

    /// Sends the first `count` frames, waiting for room.
    pub(super) fn send(&mut self, frames: &mut Batch, count: usize) -> io::Result<()> {
        match self {
            Self::Datagram(socket) | Self::Plugged(socket) => {
                frames.send_all(socket.as_fd(), 0..count)
            }
            Self::Stream(framed) => framed.send(frames, count),
            Self::Xdp(socket) => socket.send(frames, count),
            Self::Ring(socket) => socket.send(frames, count),
            Self::Tap(device) => {
                for place in 0..count {
                    // A frame that an interface does not take is lost, as on a wire.
                    let _ = device.write(frames.frame(place));
                }
                Ok(())
            }
            Self::Listening(_) => Ok(()),
        }
    }
}

fn receive_each(device: &mut File, frames: &mut Batch) -> io::Result<usize> {
    for place in 0..frames.frames() {
        frames.set_len(place, usize::MAX);
        match device.read(frames.frame_mut(place)) {
            Ok(len) => frames.set_len(place, len),
            Err(_) if place > 0 => return Ok(place),
            Err(error) => return Err(error),
        }
    }
    Ok(frames.frames())
}

/// A stream with a length before each frame.
pub(super) struct Framed {
    socket: Socket,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Framed {
    const CAPACITY_BYTES: usize = 256 << 10;

    fn new(socket: Socket) -> Self {
        Self { socket, bytes: vec![0; Self::CAPACITY_BYTES], start: 0, end: 0 }
    }

    fn receive(&mut self, frames: &mut Batch) -> io::Result<usize> {
        let taken = self.take(frames);
        if taken > 0 {
            return Ok(taken);
        }
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        match self.socket.read(&mut self.bytes[self.end..])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            len => {
                self.end += len;
                Ok(self.take(frames))
            }
        }
    }

    fn take(&mut self, frames: &mut Batch) -> usize {
        for place in 0..frames.frames() {
            let waiting = &self.bytes[self.start..self.end];
            let whole = waiting
                .split_first_chunk::<4>()
                .and_then(|(head, rest)| rest.get(..u32::from_be_bytes(*head) as usize));
            let Some(frame) = whole else { return place };
            frames.set_len(place, frame.len());
            frames.frame_mut(place).copy_from_slice(frame);
            self.start += 4 + frame.len();
        }
        frames.frames()
    }

    fn send(&self, frames: &Batch, count: usize) -> io::Result<()> {
        let prefixes: Vec<[u8; 4]> =
            (0..count).map(|place| prefix(frames.frame(place).len())).collect();
        let mut parts: Vec<IoSlice<'_>> = (0..count)
            .flat_map(|place| [&prefixes[place][..], frames.frame(place)])
            .map(IoSlice::new)
            .collect();
        write_all(&self.socket, &mut parts)
    }
}

/// Writes all parts, waiting for room.
pub(super) fn write_all(mut socket: &Socket, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !parts.is_empty() {
        match socket.write_vectored(parts) {
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn prefix(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

const _: () = assert!(Framed::CAPACITY_BYTES > 2 * FRAME_MAX_BYTES);
