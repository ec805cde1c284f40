//! One datagram is one frame.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;

use super::{Interest, Retry, check_path, widen_buffers};
use crate::error::LinkError;
use crate::wire::Transmit;

#[derive(Debug)]
pub(super) struct DatagramLink {
    socket: UnixDatagram,
    /// None for a socket that was handed over connected.
    peer: Option<Peer>,
    down: Option<Retry>,
    /// The peer's queue was full and the kernel will not say when it is not (macOS).
    full_until: Option<Instant>,
    pub(super) times_up: u64,
}

#[derive(Debug)]
struct Peer {
    path: PathBuf,
    own_path: PathBuf,
    vfkit: bool,
    /// Of the peer's path when it was last connected to.
    identity: Option<Identity>,
    look_at: Instant,
}

/// Device, inode, and seconds and nanoseconds of the last change: file systems give a removed
/// path's inode to the next one.
type Identity = (u64, u64, i64, i64);

impl DatagramLink {
    pub(super) fn connect(path: &Path, vfkit: bool) -> Result<Self, LinkError> {
        check_path(path)?;
        let (socket, own_path) = bind_own(path)?;
        let peer = Peer {
            path: path.to_owned(),
            own_path,
            vfkit,
            identity: None,
            look_at: Instant::now(),
        };
        let mut link = Self { socket, peer: Some(peer), down: None, full_until: None, times_up: 0 };
        link.prepare()?;
        link.connect_to_peer().map_err(|source| io_error("connect", path, source))?;
        Ok(link)
    }

    pub(super) fn adopt(socket: UnixDatagram) -> Result<Self, LinkError> {
        let link = Self { socket, peer: None, down: None, full_until: None, times_up: 1 };
        link.prepare()?;
        Ok(link)
    }

    pub(super) const fn is_up(&self) -> bool {
        self.down.is_none()
    }

    pub(super) fn interest(&self, to_send: bool) -> Interest {
        let retry_at = self.down.map(|retry| retry.at);
        let look_at = self.peer.as_ref().map(|peer| peer.look_at);
        let full_until = self.full_until.filter(|_| to_send);
        Interest {
            writable: to_send && full_until.is_none(),
            at: [retry_at, look_at, full_until].into_iter().flatten().min(),
        }
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, LinkError> {
        loop {
            match self.socket.recv(buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lost_peer("recv", error).map(|()| None),
            }
        }
    }

    pub(super) fn transmit(&mut self, frame: &[u8]) -> Result<Transmit, LinkError> {
        if self.down.is_some() {
            return Ok(Transmit::Lost);
        }
        loop {
            let Err(error) = self.socket.send(frame) else { return Ok(Transmit::Taken) };
            match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EINTR) => {}
                Some(Errno::EAGAIN) => return Ok(Transmit::Full),
                Some(Errno::ENOBUFS) => {
                    self.full_until = Some(Instant::now() + FULL_PAUSE);
                    return Ok(Transmit::Full);
                }
                Some(Errno::EMSGSIZE) => return Ok(Transmit::Lost),
                _ => return self.lost_peer("send", error).map(|()| Transmit::Lost),
            }
        }
    }

    /// Tries to reach a peer that is gone, and notices one that was replaced: nothing else tells a
    /// guest that sends nothing.
    pub(super) fn tend(&mut self, now: Instant) {
        if self.full_until.is_some_and(|until| now >= until) {
            self.full_until = None;
        }
        let is_replaced = self.peer.as_mut().is_some_and(|peer| peer.is_replaced(now));
        let due = self.down.map_or(is_replaced, |retry| now >= retry.at);
        if due && self.connect_to_peer().is_err() {
            self.down = Some(self.down.map_or_else(Retry::first, Retry::next));
        }
    }

    fn prepare(&self) -> Result<(), LinkError> {
        let object = || {
            self.peer.as_ref().map_or_else(
                || "a datagram socket".to_owned(),
                |peer| peer.own_path.display().to_string(),
            )
        };
        self.socket.set_nonblocking(true).map_err(|source| LinkError::Io {
            call: "fcntl",
            object: object(),
            source,
        })?;
        widen_buffers((&self.socket).into());
        Ok(())
    }

    fn connect_to_peer(&mut self) -> io::Result<()> {
        let Some(peer) = &mut self.peer else { return Ok(()) };
        peer.identity = identity(&peer.path);
        self.socket.connect(&peer.path)?;
        if peer.vfkit {
            self.socket.send(HANDSHAKE)?;
        }
        self.down = None;
        self.full_until = None;
        self.times_up += 1;
        Ok(())
    }

    /// The peer is gone: for good, or until its path answers again.
    fn lost_peer(&mut self, call: &'static str, source: io::Error) -> Result<(), LinkError> {
        let is_gone = matches!(
            source.raw_os_error().map(Errno::from_raw),
            Some(
                Errno::ECONNREFUSED
                    | Errno::ECONNRESET
                    | Errno::ENOENT
                    | Errno::ENOTCONN
                    | Errno::EDESTADDRREQ
                    | Errno::EPIPE
                    // It is there, and connected to someone else: not yet to us, perhaps.
                    | Errno::EPERM
            )
        );
        match &self.peer {
            Some(_) if is_gone => {
                self.down.get_or_insert_with(Retry::first);
                Ok(())
            }
            None if is_gone => Err(LinkError::Closed),
            Some(peer) => Err(io_error(call, &peer.path, source)),
            None => Err(LinkError::Io { call, object: "a datagram socket".into(), source }),
        }
    }
}

impl AsFd for DatagramLink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Peer {
    fn is_replaced(&mut self, now: Instant) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + LOOK_EVERY;
        identity(&self.path).is_some_and(|found| Some(found) != self.identity)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already; nothing is to be done then.
        let _ = std::fs::remove_file(&self.own_path);
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

/// Binds a path of our own next to `path`, or among the temporary files.
fn bind_own(path: &Path) -> Result<(UnixDatagram, PathBuf), LinkError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = format!("probe-{}-{count}-{:x}.sock", std::process::id(), since.subsec_nanos());
    let beside = path.parent().unwrap_or(Path::new("")).join(&name);
    let elsewhere = std::env::temp_dir().join(&name);
    let bind = |own: &Path| {
        check_path(own)?;
        UnixDatagram::bind(own).map_err(|source| io_error("bind", own, source))
    };
    match bind(&beside) {
        Ok(socket) => Ok((socket, beside)),
        Err(_) => bind(&elsewhere).map(|socket| (socket, elsewhere)),
    }
}

fn io_error(call: &'static str, path: &Path, source: io::Error) -> LinkError {
    LinkError::Io { call, object: path.display().to_string(), source }
}

/// vfkit's first datagram.
const HANDSHAKE: &[u8] = b"VFKT";
/// A full queue drains in less than that, and poll(2) waits no shorter.
const FULL_PAUSE: Duration = Duration::from_millis(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);
