//! A guest's network card: one end of a unix datagram socket, with no stack behind it.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::SOON;

/// A card plugged into a `unixgram:` port, by vfkit's handshake: until it sends, it has not sent.
#[derive(Debug)]
pub(crate) struct Card {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Card {
    /// Plugs into the port at `port`.
    pub(crate) fn plug(port: &Path) -> Self {
        let path = port.with_extension("card");
        let socket = UnixDatagram::bind(&path).expect("bind the card's path");
        socket.connect(port).expect("connect to the port");
        socket.send(b"VFKT").expect("vfkit's handshake");
        Self { socket, path }
    }

    /// Sends a frame; waits while the switch does not read.
    #[track_caller]
    pub(crate) fn send(&self, frame: &[u8]) {
        assert_eq!(self.socket.send(frame).expect("send a frame"), frame.len());
    }

    /// The next frame within `limit`.
    pub(crate) fn next(&self, limit: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(limit.max(Duration::from_millis(1)))).expect("a timeout");
        let mut buffer = vec![0; 70_000];
        let len = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(len);
        Some(buffer)
    }

    /// The first frame that `wanted` holds for; others before it are left aside.
    #[track_caller]
    pub(crate) fn expect(&self, what: &str, wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let end = Instant::now() + SOON;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            match self.next(left) {
                Some(frame) if wanted(&frame) => return frame,
                Some(_) => {}
                None => break,
            }
        }
        panic!("in vain: {what}");
    }

    /// Everything that comes within `time`.
    pub(crate) fn listen(&self, time: Duration) -> Vec<Vec<u8>> {
        let end = Instant::now() + time;
        let mut frames = Vec::new();
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            frames.extend(self.next(left));
        }
        frames
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
