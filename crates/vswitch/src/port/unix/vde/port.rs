//! One VDE client.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv, send};
use nix::unistd::Uid;
use socket2::Type;

use super::super::platform;
use super::super::socket_path::{Access, SocketPath, unconnected};
use super::directory::Directory;
use super::request::{self, REQUEST_BYTES_MAX, Request};
use crate::poller::Source;
use crate::port::upkeep::next_look;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// How long a client may take to ask for its port.
const ASK_MAX: Duration = Duration::from_secs(5);

/// A client of a [`VdeListener`](super::VdeListener): first it asks for a port, then it has one.
#[derive(Debug)]
pub struct VdePort {
    // What is in the directory goes before it does.
    state: State,
    /// The connection by which it asked; when it is closed, the port ends.
    control: OwnedFd,
    /// How much was said there.
    heard_bytes: usize,
    number: u16,
    access: Access,
    directory: Arc<Directory>,
}

#[derive(Debug)]
enum State {
    /// It has said so much of its request.
    Asking { heard: Vec<u8>, until: Option<Nanos> },
    /// It has a datagram socket, whose frames are carried as any other's.
    Joined { data: Box<dyn Port>, _path: SocketPath },
}

impl VdePort {
    /// A client that has just connected to the control socket, the `number`th.
    pub(super) fn new(
        control: OwnedFd,
        number: u16,
        access: Access,
        directory: Arc<Directory>,
    ) -> Self {
        platform::prepare_stream(&control);
        let state = State::Asking { heard: Vec::new(), until: None };
        Self { state, control, heard_bytes: 0, number, access, directory }
    }

    /// Hears what the client asks for, and gives it a port when it has asked.
    fn hear(&mut self) -> Result<(), Gone> {
        let mut words = [0; REQUEST_BYTES_MAX];
        let len = self.read_control(&mut words)?;
        let State::Asking { heard, .. } = &mut self.state else { return Ok(()) };
        heard.extend_from_slice(&words[..len]);
        let heard = std::mem::take(heard);
        match request::parse(&heard) {
            Ok(Some(request)) => self.join(&request),
            Ok(None) => {
                if let State::Asking { heard: kept, .. } = &mut self.state {
                    *kept = heard;
                }
                Ok(())
            }
            Err(error) => Err(Gone::Handshake(error.to_string())),
        }
    }

    /// How many bytes the client said; 0 when it says nothing now.
    fn read_control(&mut self, into: &mut [u8; REQUEST_BYTES_MAX]) -> Result<usize, Gone> {
        match recv(self.control.as_raw_fd(), into, MsgFlags::MSG_DONTWAIT) {
            Ok(0) | Err(nix::Error::ECONNRESET) => Err(Gone::Closed),
            Ok(len) => {
                self.heard_bytes += len;
                if self.heard_bytes > REQUEST_BYTES_MAX {
                    let most =
                        format!("it says more than the {REQUEST_BYTES_MAX} bytes of a request");
                    return Err(Gone::Handshake(most));
                }
                Ok(len)
            }
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Ok(0),
            Err(errno) => Err(Gone::Os(errno.into())),
        }
    }

    /// Whether the client still holds its connection. What it says there has no meaning any more.
    fn look(&mut self) -> Result<(), Gone> {
        self.read_control(&mut [0; REQUEST_BYTES_MAX]).map(drop)
    }

    fn join(&mut self, request: &Request<'_>) -> Result<(), Gone> {
        let state = self.open(request).map_err(|(what, why)| {
            // As its bytes are: it goes to the log.
            Gone::Handshake(format!("{what} its socket {:?}: {why}", request.data_socket))
        })?;
        let description = request.description.escape_ascii();
        tracing::debug!(number = self.number, %description, "a VDE client has its port");
        self.state = state;
        Ok(())
    }

    /// Makes the switch's datagram socket and tells the client where it is.
    fn open(&self, request: &Request<'_>) -> Result<State, (&'static str, io::Error)> {
        let client =
            platform::peer_user(&self.control).map_err(|error| ("tell whose is", error))?;
        let there = self.directory.clients_place(request.data_socket).ok_or_else(|| {
            let where_from = "it is neither in the port's directory nor in /run, /var/tmp or /tmp";
            ("go to", io::Error::other(where_from))
        })?;
        let socket = unconnected(Type::DGRAM).map_err(|error| ("open a socket for", error))?;
        // Before anybody else can find it: a connected socket hears its peer alone (on Linux).
        platform::connect_to_users(&socket, &there, client)
            .map_err(|error| ("connect to", error))?;
        let name = format!("{:03}.{}", self.number, socket.as_raw_fd());
        let path =
            platform::bind_at(&socket, &self.directory.place(&name), self.data_access(client))
                .map_err(|error| ("bind a socket for", io::Error::other(error)))?;
        let answer = request::answer(&self.directory.told(&name));
        let answer =
            answer.ok_or_else(|| ("name a socket for", io::ErrorKind::InvalidInput.into()))?;
        let data = platform::datagram_port(socket).map_err(|error| ("set up", error))?;
        match send(self.control.as_raw_fd(), &answer, platform::STREAM_SEND_FLAGS) {
            Ok(len) if len == answer.len() => Ok(State::Joined { data, _path: path }),
            Ok(_) => Err(("answer for", io::ErrorKind::WriteZero.into())),
            Err(errno) => Err(("answer for", errno.into())),
        }
    }

    /// Who may find the switch's datagram socket: the client alone, where it can be given to it;
    /// else who may ask for a port.
    fn data_access(&self, client: Uid) -> Access {
        let switch = Uid::effective();
        if client == switch {
            Access { owner: None, group: None, mode: 0o600 }
        } else if switch.is_root() {
            Access { owner: Some(client), group: None, mode: 0o600 }
        } else {
            self.access
        }
    }
}

impl Port for VdePort {
    fn source(&self) -> Option<Source> {
        match &self.state {
            State::Asking { .. } => {
                Some(Source { descriptor: self.control.as_raw_fd(), generation: 0 })
            }
            State::Joined { data, .. } => data.source(),
        }
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match &mut self.state {
            State::Asking { .. } => match self.hear() {
                Ok(()) => Received::Drained,
                Err(why) => Received::Gone(why),
            },
            State::Joined { data, .. } => data.receive(inbox),
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let State::Joined { data, .. } = &mut self.state else {
            return Sent::until(0, SendFault::NoPeer);
        };
        let sent = data.send(outbox);
        // Its data socket went: as a rule because it did.
        if let Some(SendFault::NoPeer) = sent.then
            && let Err(why) = self.look()
        {
            return Sent::until(sent.taken_frames, SendFault::Gone(why));
        }
        sent
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        match &mut self.state {
            State::Asking { until, .. } => {
                let until = *until.get_or_insert(now + ASK_MAX);
                if now >= until {
                    let seconds = ASK_MAX.as_secs();
                    let why = format!("it did not ask for its port within {seconds} seconds");
                    return Err(Gone::Handshake(why));
                }
                Ok(next_look(now).min(until))
            }
            State::Joined { data, .. } => {
                let next = data.upkeep(now)?;
                self.look()?;
                Ok(next_look(now).min(next))
            }
        }
    }
}
