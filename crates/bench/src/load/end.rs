//! Where the load plugs in.

use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::frame;
use crate::failure::{Failure, Result, Trying as _};
use crate::system::mmsg::Batch;
use crate::system::namespace::Namespace;
use crate::system::ring::Channel;
use crate::system::socket::{self, Address, Buffers};

/// Where an end of the load is attached.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A switch's datagram path, from a socket bound at `own`; connected, as vfkit does, or not, as
    /// QEMU does.
    Datagram { path: PathBuf, own: PathBuf, connected: bool, buffers: Buffers },
    /// A switch's stream path.
    Stream { path: PathBuf },
    /// Memory that is given for frames of this size at a stream path.
    Shared { path: PathBuf, frame_bytes: usize },
    /// A `vde_switch`'s directory, by a socket bound at `own`.
    Vde { directory: PathBuf, own: PathBuf },
    /// An interface of a namespace.
    Interface { name: String, namespace: Arc<Namespace> },
}

/// An end, plugged in.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) number: usize,
    socket: Socket,
    to: Option<Address>,
    pub(crate) is_stream: bool,
    /// What frames go through instead of the socket. A mutex, since an end is used by one thread
    /// that sends and one that receives: here it is one of them.
    pub(crate) shared: Option<Mutex<Channel>>,
    /// vde ends a port with this connection.
    _control: Option<Socket>,
}

impl End {
    /// Plugs in end `number`.
    pub(crate) fn plug(number: usize, place: &Place) -> Result<Self> {
        let end = |socket| Self {
            number,
            socket,
            to: None,
            is_stream: false,
            shared: None,
            _control: None,
        };
        match place.clone() {
            Place::Datagram { path, own, connected, buffers } => {
                let socket = socket::bind_datagram(&own, buffers)?;
                if connected {
                    socket::connect(&socket, &path)?;
                    return Ok(end(socket));
                }
                Ok(Self { to: Some(Address::of_path(&path)?), ..end(socket) })
            }
            Place::Stream { path } => {
                Ok(Self { is_stream: true, ..end(socket::connect_stream(&path)?) })
            }
            Place::Shared { path, frame_bytes } => {
                let socket = socket::connect_stream(&path)?;
                let given = socket::receive_descriptors(&socket)?;
                let channel = Channel::open(given, frame_bytes).trying("open shared memory")?;
                Ok(Self { shared: Some(Mutex::new(channel)), ..end(socket) })
            }
            Place::Vde { directory, own } => {
                let (socket, control) = plug_into_vde(&directory, &own)?;
                Ok(Self { _control: Some(control), ..end(socket) })
            }
            Place::Interface { name, namespace } => {
                namespace.inside(move || socket::open_packet(&name, socket::ETHER_TYPE)).map(end)
            }
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A batch to be sent from here.
    pub(crate) fn batch(&self, frames: usize, frame_bytes: usize) -> Batch {
        let mut batch = Batch::new(frames, frame_bytes);
        if let Some(to) = &self.to {
            batch.send_to(to.clone());
        }
        batch
    }

    /// Says to everybody that the end's station is here.
    pub(crate) fn announce(&self) -> Result<()> {
        const HELLO_BYTES: usize = 64;
        if self.shared.is_some() {
            // Nothing between such ends learns where they are.
            return Ok(());
        }
        let mut hello = [0; HELLO_BYTES];
        frame::write(&mut hello, self.number, None);
        if self.is_stream {
            let framed = [&frame::prefix(HELLO_BYTES)[..], &hello].concat();
            return self.socket.send(&framed).trying("announce an end").map(drop);
        }
        let mut batch = self.batch(1, HELLO_BYTES);
        batch.frame_mut(0).copy_from_slice(&hello);
        match batch.send(self.fd(), 0..1, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) {
            // A relay's other end is not there yet, or a queue is full: said again below.
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(Failure::new("announce an end", error)),
        }
    }

    /// Reads away all that waits here.
    pub(crate) fn drain(&self) {
        if self.shared.is_some() {
            return;
        }
        let mut sink = vec![std::mem::MaybeUninit::uninit(); 1 << 18];
        while self.socket.recv_with_flags(&mut sink, libc::MSG_DONTWAIT).is_ok_and(|len| len > 0) {}
    }
}

/// Plugs all ends in and has every switch learn where they are.
pub(crate) fn plug_all(places: &[Place]) -> Result<Vec<End>> {
    let ends: Vec<End> = places
        .iter()
        .enumerate()
        .map(|(number, place)| End::plug(number, place))
        .collect::<Result<_>>()?;
    for _ in 0..3 {
        for end in &ends {
            end.announce()?;
        }
        thread::sleep(Duration::from_millis(30));
    }
    for end in &ends {
        end.drain();
    }
    Ok(ends)
}

/// vde's version 3 of asking for a port (`request_v3` of `vde_switch`): who one is by a stream, the
/// frames by datagrams.
fn plug_into_vde(directory: &Path, own: &Path) -> Result<(Socket, Socket)> {
    const MAGIC: u32 = 0xfeed_face;
    const SUN_BYTES: usize = 110;
    let control = Socket::new(Domain::UNIX, Type::STREAM, None).trying("plug into vde_switch")?;
    socket::connect(&control, &directory.join("ctl"))?;
    let data = socket::bind_datagram(own, Buffers::Large)?;
    let mut request = Vec::new();
    for number in [MAGIC, 3, 0] {
        request.extend_from_slice(&number.to_ne_bytes());
    }
    let mut address = vec![0; SUN_BYTES];
    let family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or(0);
    address[..2].copy_from_slice(&family.to_ne_bytes());
    let path = own.as_os_str().as_encoded_bytes();
    address[2..2 + path.len()].copy_from_slice(path);
    request.extend_from_slice(&address);
    request.extend_from_slice(b"bench\0");
    control.send(&request).trying("ask vde_switch for a port")?;
    let mut reply = [0; SUN_BYTES];
    let len = (&control).read(&mut reply).trying("hear from vde_switch")?;
    // The reply is the address, whole; behind its path are zeros.
    let path: Vec<u8> =
        reply[..len].iter().skip(2).copied().take_while(|byte| *byte != 0).collect();
    let path = PathBuf::from(String::from_utf8_lossy(&path).into_owned());
    SockAddr::unix(&path)
        .and_then(|address| data.connect(&address))
        .trying(format_args!("connect to vde_switch at {}", path.display()))?;
    Ok((data, control))
}
