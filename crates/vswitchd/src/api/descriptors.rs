//! The socket by which descriptors pass: HTTP cannot carry them.
//!
//! A client connects and writes one line of JSON ([`PassRequest`]). The answer is one line of JSON,
//! [`PassReply`] or [`ErrorReply`](super::wire::ErrorReply), and with it by `SCM_RIGHTS` the
//! client's end of a fresh pair of datagram sockets. A client that sends a socket with its line has
//! that one made a port, and nothing comes back but the line; Lima sends one with no line at all.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::right::Right;
use super::routes::Api;
use super::served::{Refusal, RefusalKind};
use super::wire::{ErrorReply, PassReply, PassRequest};
use crate::config::{GivenSocket, NAME_RULE, is_name, station};
use crate::host::card_pair;
use crate::service::Plug;

/// No line is longer.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// How many descriptors may come with one piece of a line; one is wanted.
const DESCRIPTORS_MAX: usize = 4;

/// How long a client may take to write its line, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a switch may take to answer: it may have to wait for the system.
const ANSWER_PATIENCE: Duration = Duration::from_secs(90);

/// Serves one connection.
pub(super) async fn serve(stream: UnixStream, right: Right, api: &Api) {
    let answered = match tokio::time::timeout(PATIENCE, receive(&stream)).await {
        Ok(Ok(asked)) => plug(asked, right, api).await,
        Ok(Err(Asked::Closed)) | Err(_) => return,
        Ok(Err(Asked::Wrong(what))) => Err(Refusal::new(RefusalKind::Malformed, what)),
    };
    let (line, theirs, plugged) = match answered {
        Ok(Plugged { reply, theirs, socket, hold }) => {
            (serde_json::to_vec(&reply), theirs, Some((socket, hold)))
        }
        Err(refusal) => (serde_json::to_vec(&ErrorReply { error: refusal.what }), None, None),
    };
    let mut line = line.unwrap_or_default();
    line.push(b'\n');
    let sent = tokio::time::timeout(PATIENCE, send(&stream, &line, theirs.as_ref())).await;
    // Who brought a socket has the other end, and may be gone.
    let was_taken = theirs.is_none() || matches!(sent, Ok(Ok(())));
    drop(theirs);
    let Some((socket, hold)) = plugged.filter(|(_, hold)| *hold || !was_taken) else { return };
    if was_taken && hold {
        until_closed(&stream).await;
    }
    // This one, if it is there still: its name may be another's by now.
    let _ = api.change(move |served| served.unplug(&socket)).await;
}

/// A line, and the socket that came with it.
struct Line {
    bytes: Vec<u8>,
    socket: Option<OwnedFd>,
}

/// Why there is no line.
enum Asked {
    /// The client went.
    Closed,
    /// It is too long, or too much came with it.
    Wrong(&'static str),
}

/// A port that was added.
struct Plugged {
    reply: PassReply,
    /// The client's end, if it did not bring a socket.
    theirs: Option<OwnedFd>,
    /// What the port is on.
    socket: GivenSocket,
    hold: bool,
}

/// Reads to the end of a line, or of what the client sends.
async fn receive(stream: &UnixStream) -> Result<Line, Asked> {
    let mut line = Line { bytes: Vec::new(), socket: None };
    loop {
        let mut piece = [0; 1024];
        let (len, sockets) = stream
            .async_io(Interest::READABLE, || receive_piece(stream, &mut piece))
            .await
            .map_err(|_| Asked::Closed)?;
        for socket in sockets {
            if line.socket.replace(socket).is_some() {
                return Err(Asked::Wrong("one descriptor at most is expected"));
            }
        }
        line.bytes.extend_from_slice(&piece[..len]);
        if let Some(end) = line.bytes.iter().position(|byte| *byte == b'\n') {
            line.bytes.truncate(end);
            return Ok(line);
        }
        if line.bytes.len() > LINE_BYTES_MAX {
            return Err(Asked::Wrong("a line of at most 4,096 bytes is expected"));
        }
        // Lima's way: a socket, and no more than the byte that has to come with it.
        if line.socket.is_some() && !line.bytes.starts_with(b"{") {
            line.bytes.clear();
            return Ok(line);
        }
        if len == 0 {
            let nothing_came = line.bytes.is_empty() && line.socket.is_none();
            return if nothing_came { Err(Asked::Closed) } else { Ok(line) };
        }
    }
}

pub(super) fn receive_piece(
    stream: impl AsFd,
    piece: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut came = RecvAncillaryBuffer::new(&mut space);
    let mut pieces = [IoSliceMut::new(piece)];
    let received = recvmsg(stream, &mut pieces, &mut came, receive_flags())?;
    let mut sockets = Vec::new();
    for message in came.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    for socket in &sockets {
        rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((received.bytes, sockets))
}

/// No program that is started at that moment is to have them; where the system has no such flag,
/// they are marked right after.
fn receive_flags() -> RecvFlags {
    #[cfg(target_os = "linux")]
    return RecvFlags::CMSG_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    return RecvFlags::empty();
}

async fn send(stream: &UnixStream, line: &[u8], descriptor: Option<&OwnedFd>) -> io::Result<()> {
    let mut sent = 0;
    while sent < line.len() {
        let with = descriptor.filter(|_| sent == 0);
        sent +=
            stream.async_io(Interest::WRITABLE, || send_piece(stream, &line[sent..], with)).await?;
    }
    Ok(())
}

fn send_piece(socket: impl AsFd, bytes: &[u8], descriptor: Option<&OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let descriptor = descriptor.map(|descriptor| [descriptor.as_fd()]);
    if let Some(descriptor) = &descriptor {
        with.push(SendAncillaryMessage::ScmRights(descriptor));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut with, send_flags())?)
}

/// A client that went is an error, not a signal.
pub(super) fn send_flags() -> SendFlags {
    #[cfg(target_os = "linux")]
    return SendFlags::NOSIGNAL;
    #[cfg(not(target_os = "linux"))]
    return SendFlags::empty();
}

/// Waits until the client closes its end; what it still writes is of no interest.
async fn until_closed(stream: &UnixStream) {
    let mut rest = [0; 64];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut rest) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}

async fn plug(line: Line, right: Right, api: &Api) -> Result<Plugged, Refusal> {
    if right < Right::Change {
        let what = "only root and the owner may plug something in";
        return Err(Refusal::new(RefusalKind::Forbidden, what));
    }
    let malformed = |what: String| Refusal::new(RefusalKind::Malformed, what);
    let request: PassRequest = if line.bytes.iter().all(u8::is_ascii_whitespace) {
        PassRequest::default()
    } else {
        serde_json::from_slice(&line.bytes).map_err(|error| malformed(error.to_string()))?
    };
    if let Some(name) = request.name.as_ref().filter(|name| !is_name(name)) {
        return Err(malformed(format!("{name:?} is no name ({NAME_RULE})")));
    }
    let mac = request.mac.as_deref().map(station).transpose().map_err(malformed)?;
    let (ours, theirs) = match line.socket {
        Some(socket) => (socket, None),
        None => {
            let failed = |error: io::Error| {
                Refusal::new(RefusalKind::Failed, format!("make a pair of sockets: {error}"))
            };
            let (ours, theirs) = card_pair().map_err(failed)?;
            (ours, Some(theirs))
        }
    };
    let socket = GivenSocket::new(ours);
    let plug = Plug { network: request.network, name: request.name, mac, socket: socket.clone() };
    let (network, port) = api.change(move |served| served.plug(plug)).await?;
    Ok(Plugged { reply: PassReply { network, port }, theirs, socket, hold: request.hold })
}

/// What a client got.
#[derive(Debug)]
pub struct Passed {
    /// What was answered.
    pub reply: PassReply,
    /// The other end of the port's socket; `None` when the client gave it one.
    pub card: Option<OwnedFd>,
    /// A port that is held goes when this is closed.
    pub connection: std::os::unix::net::UnixStream,
}

/// Asks a switch for a port on a socket, as a client: on `socket`, or on one end of a fresh pair of
/// datagram sockets, the other of which comes back. `path` is that of the socket for descriptors.
///
/// # Errors
/// What the system says, and what the switch does.
pub fn pass(path: &Path, request: &PassRequest, socket: Option<&OwnedFd>) -> io::Result<Passed> {
    let mut connection = std::os::unix::net::UnixStream::connect(path)?;
    connection.set_read_timeout(Some(ANSWER_PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let sent = send_piece(&connection, &line, socket).map_err(closed)?;
    connection.write_all(&line[sent..]).map_err(closed)?;
    let mut answer = Vec::new();
    let mut card = None;
    while !answer.ends_with(b"\n") {
        let mut piece = [0; 1024];
        let (len, sockets) = receive_piece(&connection, &mut piece).map_err(closed)?;
        card = sockets.into_iter().next().or(card);
        answer.extend_from_slice(&piece[..len]);
        if len == 0 || answer.len() > LINE_BYTES_MAX {
            return Err(closed(io::ErrorKind::ConnectionReset.into()));
        }
    }
    if let Ok(ErrorReply { error }) = serde_json::from_slice(&answer) {
        return Err(io::Error::other(error));
    }
    Ok(Passed { reply: serde_json::from_slice(&answer)?, card, connection })
}

/// Says what it means that a connection is at its end; the system says it as it likes, by whether
/// that was before the line was written, before it was read, or later.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            let what = "the switch closed the connection (it may have too many, or have ended)";
            io::Error::new(io::ErrorKind::UnexpectedEof, what)
        }
        _ => error,
    }
}
