//! `stream-connect:PATH`: a stream to a VM that listens (QEMU's `server=on`), made again whenever
//! it ends.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use socket2::{SockAddr, SockRef, Type};

use super::socket_path::{PathError, unconnected};
use super::{PATH_MAX_BYTES, StreamPort};
use crate::poller::Source;
use crate::port::upkeep::next_look;
use crate::port::{Gone, Inbox, Outbox, Port, Received, SendFault, Sent};
use crate::time::Nanos;

/// A port that connects, and connects again.
#[derive(Debug)]
pub struct StreamConnectPort {
    path: PathBuf,
    address: SockAddr,
    stream: Option<StreamPort>,
    /// How many streams there have been.
    generation: u32,
    /// Why there is no stream was told already.
    told: bool,
}

impl StreamConnectPort {
    /// A port on the socket at `path`, which need not be there yet.
    ///
    /// # Errors
    /// [`PathError::TooLong`].
    pub fn new(path: &Path) -> Result<Self, PathError> {
        let too_long = || PathError::TooLong { path: path.to_owned(), len: path.as_os_str().len() };
        if path.as_os_str().len() > PATH_MAX_BYTES {
            return Err(too_long());
        }
        let address = SockAddr::unix(path).map_err(|_| too_long())?;
        Ok(Self { path: path.to_owned(), address, stream: None, generation: 0, told: false })
    }

    fn connect(&self) -> io::Result<OwnedFd> {
        let socket = unconnected(Type::STREAM)?;
        SockRef::from(&socket).connect(&self.address)?;
        Ok(socket)
    }

    fn lost(&mut self, why: &Gone) {
        self.stream = None;
        if !std::mem::replace(&mut self.told, true) {
            tracing::info!(path = %self.path.display(), %why, "stream ended; connecting again");
        }
    }
}

impl Port for StreamConnectPort {
    fn source(&self) -> Option<Source> {
        self.stream.as_ref()?.source()
    }

    fn receive(&mut self, inbox: &mut Inbox<'_>) -> Received {
        match self.stream.as_mut().map(|stream| stream.receive(inbox)) {
            None => Received::Drained,
            Some(Received::Gone(why)) => {
                self.lost(&why);
                Received::Drained
            }
            Some(received) => received,
        }
    }

    fn send(&mut self, outbox: &Outbox<'_>) -> Sent {
        let Some(sent) = self.stream.as_mut().map(|stream| stream.send(outbox)) else {
            return Sent::until(0, SendFault::NoPeer);
        };
        if let Some(SendFault::Gone(why)) = &sent.then {
            self.lost(why);
            return Sent::until(sent.taken_frames, SendFault::NoPeer);
        }
        sent
    }

    fn has_rest(&self) -> bool {
        self.stream.as_ref().is_some_and(Port::has_rest)
    }

    fn upkeep(&mut self, now: Nanos) -> Result<Nanos, Gone> {
        if self.stream.is_none() {
            match self.connect() {
                Ok(socket) => {
                    self.generation += 1;
                    self.told = false;
                    self.stream = Some(StreamPort::numbered(socket, self.generation));
                    tracing::info!(path = %self.path.display(), "connected");
                }
                Err(error) if !self.told => {
                    self.told = true;
                    let path = self.path.display();
                    tracing::info!(%path, %error, "nobody listens yet; trying again");
                }
                Err(_) => {}
            }
        }
        if let Some(stream) = &mut self.stream {
            stream.upkeep(now)?;
        }
        Ok(next_look(now))
    }
}
