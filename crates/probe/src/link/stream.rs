//! Frames in a byte stream.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::framing::{self, Deframer};
use super::{Interest, Retry, check_path, widen_buffers};
use crate::error::LinkError;
use crate::frame::BUFFER_LEN;
use crate::wire::Transmit;

#[derive(Debug)]
pub(super) struct StreamLink {
    socket: Option<UnixStream>,
    /// None for a socket that was handed over connected.
    path: Option<PathBuf>,
    retry: Option<Retry>,
    incoming: Deframer,
    outgoing: Vec<u8>,
    /// How many bytes of `outgoing` have left.
    left: usize,
    pub(super) times_up: u64,
}

impl StreamLink {
    pub(super) fn connect(path: &Path) -> Result<Self, LinkError> {
        check_path(path)?;
        let socket = open(path).map_err(|source| LinkError::Io {
            call: "connect",
            object: path.display().to_string(),
            source,
        })?;
        Ok(Self::new(socket, Some(path.to_owned())))
    }

    pub(super) fn adopt(socket: UnixStream) -> Result<Self, LinkError> {
        prepare(&socket).map_err(|source| LinkError::Io {
            call: "fcntl",
            object: "a stream socket".into(),
            source,
        })?;
        Ok(Self::new(socket, None))
    }

    fn new(socket: UnixStream, path: Option<PathBuf>) -> Self {
        Self {
            socket: Some(socket),
            path,
            retry: None,
            incoming: Deframer::new(),
            outgoing: Vec::with_capacity(OUTGOING_MAX + BUFFER_LEN),
            left: 0,
            times_up: 1,
        }
    }

    pub(super) const fn is_up(&self) -> bool {
        self.socket.is_some()
    }

    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn interest(&self, to_send: bool) -> Interest {
        let writable = to_send || self.left < self.outgoing.len();
        Interest { writable, at: self.retry.map(|retry| retry.at) }
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError> {
        loop {
            match self.incoming.next_frame() {
                Ok(Some(frame)) => {
                    let len = frame.len().min(buffer.len());
                    buffer[..len].copy_from_slice(&frame[..len]);
                    return Ok(Some(len));
                }
                Ok(None) => {}
                Err(error) => return self.lost_peer(error).map(|()| None),
            }
            let Some(socket) = &mut self.socket else { return Ok(None) };
            match socket.read(self.incoming.space()) {
                Ok(0) => return self.lost_peer(LinkError::Closed).map(|()| None),
                Ok(len) => self.incoming.fill(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let error = self.io_error("read", source);
                    return self.lost_peer(error).map(|()| None);
                }
            }
        }
    }

    /// Takes the frame into the outgoing bytes; they leave with [`StreamLink::flush`].
    pub(super) fn transmit(&mut self, frame: &[u8]) -> Result<Transmit, LinkError> {
        if frame.len() > BUFFER_LEN || frame.is_empty() {
            return Ok(Transmit::Lost);
        }
        if self.outgoing.len() - self.left >= OUTGOING_MAX {
            self.flush()?;
            if self.outgoing.len() - self.left >= OUTGOING_MAX {
                return Ok(Transmit::Full);
            }
        }
        if self.socket.is_none() {
            return Ok(Transmit::Lost);
        }
        framing::append(&mut self.outgoing, frame);
        Ok(Transmit::Taken)
    }

    /// Writes what waits, until the socket takes no more.
    pub(super) fn flush(&mut self) -> Result<(), LinkError> {
        while self.left < self.outgoing.len() {
            let Some(socket) = &mut self.socket else { break };
            match socket.write(&self.outgoing[self.left..]) {
                Ok(len) => self.left += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let error = self.io_error("write", source);
                    return self.lost_peer(error);
                }
            }
        }
        if self.left == self.outgoing.len() {
            self.outgoing.clear();
            self.left = 0;
        } else if self.left > OUTGOING_MAX / 2 {
            self.outgoing.drain(..self.left);
            self.left = 0;
        }
        Ok(())
    }

    pub(super) fn tend(&mut self, now: Instant) {
        let (Some(retry), Some(path)) = (self.retry, &self.path) else { return };
        if now < retry.at {
            return;
        }
        match open(path) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.retry = None;
                self.times_up += 1;
            }
            Err(_) => self.retry = Some(retry.next()),
        }
    }

    /// Closes the connection, and forgets the halves of frames: the next one begins anew.
    fn lost_peer(&mut self, error: LinkError) -> Result<(), LinkError> {
        self.socket = None;
        self.incoming.clear();
        self.outgoing.clear();
        self.left = 0;
        if self.path.is_none() {
            return Err(error);
        }
        self.retry = Some(Retry::first());
        Ok(())
    }

    fn io_error(&self, call: &'static str, source: io::Error) -> LinkError {
        let object = self.path.as_ref().map(|path| path.display().to_string());
        LinkError::Io { call, object: object.unwrap_or_else(|| "a stream socket".into()), source }
    }
}

fn open(path: &Path) -> io::Result<UnixStream> {
    let socket = UnixStream::connect(path)?;
    prepare(&socket)?;
    Ok(socket)
}

fn prepare(socket: &UnixStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    widen_buffers(socket.into());
    Ok(())
}

/// Bytes that may wait for the socket before frames have to wait elsewhere.
const OUTGOING_MAX: usize = 256 * 1024;
