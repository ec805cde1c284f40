//! Peers as the programs behave that plug into a switch, and chance from a seed.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a peer waits for a frame before the test has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// A peer as vfkit and krunkit have it: bound, connected, with a handshake first.
pub(crate) fn vfkit(dir: &Path, own: &str, port: &str) -> UnixDatagram {
    let socket = qemu(dir, own);
    socket.connect(dir.join(port)).unwrap();
    socket.send(b"VFKT").unwrap();
    socket
}

/// A peer as QEMU's `-netdev dgram` has it: bound, never connected.
pub(crate) fn qemu(dir: &Path, own: &str) -> UnixDatagram {
    let _ = std::fs::remove_file(dir.join(own));
    let socket = UnixDatagram::bind(dir.join(own)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    if cfg!(target_os = "macos") {
        // A big frame would not go through, and two small ones fill the queue.
        let socket = socket2::SockRef::from(&socket);
        socket.set_send_buffer_size(1 << 20).unwrap();
        socket.set_recv_buffer_size(4 << 20).unwrap();
    }
    socket
}

/// Sends a frame, and waits while the switch has no room for it (which macOS leaves to the sender).
pub(crate) fn send(socket: &UnixDatagram, frame: &[u8]) {
    let sent = testkit::wait_until(PATIENCE, || match socket.send(frame) {
        Ok(_) => true,
        Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => false,
        Err(error) => panic!("{error}"),
    });
    assert!(sent, "no room within five seconds");
}

/// The next datagram, within a few seconds.
pub(crate) fn receive(socket: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let len = socket.recv(&mut buffer).expect("a frame within five seconds");
    buffer.truncate(len);
    buffer
}

/// A peer that speaks length-prefixed frames on a stream.
#[derive(Debug)]
pub(crate) struct StreamPeer(pub(crate) UnixStream);

impl StreamPeer {
    pub(crate) fn connect(path: &Path) -> Self {
        Self::on(UnixStream::connect(path).unwrap())
    }

    pub(crate) fn on(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.0.write_all(&framed(frame)).expect("the switch reads within five seconds");
    }

    /// The next frame; `None` when the switch has closed the stream between two frames.
    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        self.receive_in_pieces(usize::MAX)
    }

    /// As [`Self::receive`], with reads of at most `piece` bytes.
    pub(crate) fn receive_in_pieces(&mut self, piece: usize) -> Option<Vec<u8>> {
        let mut prefix = [0; 4];
        if !self.read_exact(&mut prefix, piece) {
            return None;
        }
        let len = u32::from_be_bytes(prefix) as usize;
        assert!((14..=65_550).contains(&len), "the stream lost its framing: {len}");
        let mut frame = vec![0; len];
        assert!(self.read_exact(&mut frame, piece), "closed inside a frame");
        Some(frame)
    }

    /// `false` when the stream ended before the first byte.
    fn read_exact(&mut self, into: &mut [u8], piece: usize) -> bool {
        let mut at = 0;
        while at < into.len() {
            let end = into.len().min(at.saturating_add(piece));
            match self.0.read(&mut into[at..end]) {
                Ok(0) => {
                    assert_eq!(at, 0, "closed inside a frame");
                    return false;
                }
                Ok(len) => at += len,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("a frame within five seconds: {error}"),
            }
        }
        true
    }

    /// Whether the switch closes the stream within a few seconds; frames before that are skipped.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 65_536];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }
}

/// A frame behind its length.
pub(crate) fn framed(frame: &[u8]) -> Vec<u8> {
    let prefix = u32::try_from(frame.len()).unwrap().to_be_bytes();
    prefix.iter().chain(frame).copied().collect()
}

/// Numbers from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Says `done` to other threads when it is dropped, also when the test fails meanwhile.
#[derive(Debug)]
pub(crate) struct Finish<'a>(pub(crate) &'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
