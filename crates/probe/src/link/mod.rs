//! Cables to a switch's ports, in real time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::LinkError;
use crate::wire::{Transmit, Wire};

mod datagram;
mod framing;
mod inherited;
mod spec;
mod stream;
mod wait;

use datagram::DatagramLink;
pub use spec::LinkSpec;
use stream::StreamLink;

/// One end of a cable to a switch, as a VM's network card would hold it.
///
/// A link that was made from a path connects again when its peer goes away and comes back
/// ([`Link::times_up`]); frames sent in between are lost. It removes its own path when dropped.
#[derive(Debug)]
pub struct Link {
    kind: Kind,
    failure: Option<LinkError>,
}

#[derive(Debug)]
enum Kind {
    Datagram(DatagramLink),
    Stream(StreamLink),
}

impl Link {
    /// Connects to a switch's datagram socket at `path`: one datagram is one frame. The link binds
    /// a path of its own in the same directory, or in that for temporary files where it may not.
    /// With `vfkit`, its first datagram is vfkit's handshake, the four bytes `VFKT`.
    ///
    /// # Errors
    /// When the path is too long, nobody listens there, or the port has its guest already (EPERM).
    pub fn unixgram(path: impl AsRef<Path>, vfkit: bool) -> Result<Self, LinkError> {
        let link = DatagramLink::connect(path.as_ref(), vfkit)?;
        Ok(Self::new(Kind::Datagram(link)))
    }

    /// Connects to a switch's stream socket at `path`: a 4-byte big-endian length, then the frame.
    ///
    /// # Errors
    /// When the path is too long or nobody listens there.
    pub fn stream(path: impl AsRef<Path>) -> Result<Self, LinkError> {
        let link = StreamLink::connect(path.as_ref())?;
        Ok(Self::new(Kind::Stream(link)))
    }

    /// Takes a connected datagram socket. Such a link ends for good when its peer is gone.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn from_datagram(socket: UnixDatagram) -> Result<Self, LinkError> {
        Ok(Self::new(Kind::Datagram(DatagramLink::adopt(socket)?)))
    }

    /// Takes a connected stream socket. Such a link ends for good when its peer closes it.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn from_stream(socket: UnixStream) -> Result<Self, LinkError> {
        Ok(Self::new(Kind::Stream(StreamLink::adopt(socket)?)))
    }

    /// Takes an open socket, datagram or stream.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, LinkError> {
        match inherited::socket_type(&fd)? {
            socket2::Type::STREAM => Self::from_stream(fd.into()),
            _ => Self::from_datagram(fd.into()),
        }
    }

    /// Takes the descriptor numbered `fd` that this process got from the one that started it.
    /// A descriptor that the process opened itself is refused, and one that was taken before.
    ///
    /// # Errors
    /// When there is no such descriptor, it was not inherited, or is not a socket.
    pub fn inherited(fd: i32) -> Result<Self, LinkError> {
        Self::from_fd(inherited::take(fd)?)
    }

    /// The two ends of a cable inside this machine.
    ///
    /// # Errors
    /// When the kernel gives no socket pair.
    pub fn pair() -> Result<(Self, Self), LinkError> {
        let io = |source| LinkError::Io { call: "socketpair", object: "AF_UNIX".into(), source };
        let (left, right) = UnixDatagram::pair().map_err(io)?;
        Ok((Self::from_datagram(left)?, Self::from_datagram(right)?))
    }

    /// How often the link came up: 1 after it was made, one more after each reconnection. A guest
    /// announces itself when this grows.
    #[must_use]
    pub const fn times_up(&self) -> u64 {
        match &self.kind {
            Kind::Datagram(link) => link.times_up,
            Kind::Stream(link) => link.times_up,
        }
    }

    /// Whether frames can pass at this moment, as far as the link knows.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        match &self.kind {
            Kind::Datagram(link) => link.is_up(),
            Kind::Stream(link) => link.is_up(),
        }
    }

    /// Reconnects if it is time to. Call it now and then; [`Link::wait`] returns in time for it.
    ///
    /// # Errors
    /// What ended the link for good.
    pub fn tend(&mut self) -> Result<(), LinkError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        match &mut self.kind {
            Kind::Datagram(link) => link.tend(Instant::now()),
            Kind::Stream(link) => link.tend(Instant::now()),
        }
        Ok(())
    }

    /// Waits until a frame can be received, one can be sent (if `to_send`), `waker` is readable, or
    /// `timeout` has passed; may return early.
    ///
    /// # Errors
    /// When poll(2) fails.
    pub fn wait(
        &mut self,
        timeout: Duration,
        to_send: bool,
        waker: Option<BorrowedFd<'_>>,
    ) -> Result<(), LinkError> {
        let (fd, for_fd) = match &self.kind {
            Kind::Datagram(link) => (link.is_up().then(|| link.as_fd()), link.interest(to_send)),
            Kind::Stream(link) => (link.as_fd(), link.interest(to_send)),
        };
        wait::poll(fd, for_fd, waker, timeout)
    }

    const fn new(kind: Kind) -> Self {
        Self { kind, failure: None }
    }
}

impl Wire for Link {
    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let received = match &mut self.kind {
            Kind::Datagram(link) => link.receive(buffer),
            Kind::Stream(link) => link.receive(buffer),
        };
        received.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            None
        })
    }

    fn transmit(&mut self, frame: &[u8]) -> Transmit {
        let sent = match &mut self.kind {
            Kind::Datagram(link) => link.transmit(frame),
            Kind::Stream(link) => link.transmit(frame),
        };
        sent.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            Transmit::Lost
        })
    }

    fn flush(&mut self) {
        if let Kind::Stream(link) = &mut self.kind
            && let Err(failure) = link.flush()
        {
            self.failure = Some(failure);
        }
    }
}

/// When to try again to reach a peer that is gone.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Retry {
    fn first() -> Self {
        Self { at: Instant::now() + RETRY_MIN, pause: RETRY_MIN }
    }

    fn next(self) -> Self {
        let pause = (self.pause * 2).min(RETRY_MAX);
        Self { at: Instant::now() + pause, pause }
    }
}

/// What a link waits for besides incoming frames.
#[derive(Clone, Copy, Debug, Default)]
struct Interest {
    writable: bool,
    at: Option<Instant>,
}

const RETRY_MIN: Duration = Duration::from_millis(10);
const RETRY_MAX: Duration = Duration::from_millis(250);
/// Asked for in each direction; the kernel may grant less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Enough for the largest frame.
const SOCKET_BUFFER_LEAST_BYTES: usize = 128 << 10;

/// Gives a socket as much room as the kernel allows: less costs speed, not frames. Linux cuts what
/// is too much; macOS up to 14.3 refuses it, and then the half is asked for.
fn widen_buffers(socket: socket2::SockRef<'_>) {
    widen(|bytes| socket.set_send_buffer_size(bytes));
    widen(|bytes| socket.set_recv_buffer_size(bytes));
}

fn widen(ask: impl Fn(usize) -> io::Result<()>) {
    let mut bytes = SOCKET_BUFFER_BYTES;
    while bytes >= SOCKET_BUFFER_LEAST_BYTES && ask(bytes).is_err() {
        bytes /= 2;
    }
}

fn check_path(path: &Path) -> Result<(), LinkError> {
    let len = path.as_os_str().len();
    if len > PATH_LEN_MAX {
        return Err(LinkError::PathTooLong { path: path.to_owned(), len, max: PATH_LEN_MAX });
    }
    Ok(())
}

/// `sun_path` less its closing zero: unix(7); `sys/un.h` on the BSDs and macOS.
#[cfg(target_os = "linux")]
const PATH_LEN_MAX: usize = 107;
#[cfg(not(target_os = "linux"))]
const PATH_LEN_MAX: usize = 103;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn room_that_is_refused_is_asked_for_by_half() {
        let granted = |limit: usize| {
            let (asked, granted) = (Cell::new(0), Cell::new(0));
            widen(|bytes| {
                asked.set(asked.get() + 1);
                if bytes > limit {
                    return Err(io::Error::other("too much"));
                }
                granted.set(bytes);
                Ok(())
            });
            (asked.get(), granted.get())
        };
        assert_eq!(granted(usize::MAX), (1, 4 << 20));
        assert_eq!(granted(3 << 20), (2, 2 << 20));
        assert_eq!(granted(0), (6, 0));
    }
}
