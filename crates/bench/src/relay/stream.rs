//! The limit of streams: one read takes many frames, one `writev` gives many, each frame a piece of
//! its own as a switch must have it.

use std::io::{ErrorKind, IoSlice, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use socket2::Socket;

use super::READY;
use super::side::{accept, listen, write_all};
use crate::failure::{Failure, Result, Trying as _};
use crate::load::FRAME_MAX_BYTES;
use crate::system::socket::wait_readable;

/// How many bytes one read takes at most.
const READ_BYTES: usize = 256 << 10;

/// How many frames one write carries at most.
const WRITE_FRAMES: usize = 64;

pub(super) fn relay(a: &PathBuf, b: &PathBuf) -> Result<()> {
    let listeners = [listen(a)?, listen(b)?];
    println!("{READY}");
    let ends = [accept(&listeners[0])?, accept(&listeners[1])?];
    let mut halves = [Half::default(), Half::default()];
    loop {
        let ready = wait_readable([ends[0].as_fd(), ends[1].as_fd()], -1).trying("wait")?;
        for side in (0..2).filter(|side| ready[*side]) {
            halves[side].pass(&ends[side], &ends[1 - side])?;
        }
    }
}

/// One direction.
struct Half {
    bytes: Vec<u8>,
    filled: usize,
}

impl Default for Half {
    fn default() -> Self {
        Self { bytes: vec![0; READ_BYTES + FRAME_MAX_BYTES + 4], filled: 0 }
    }
}

impl Half {
    fn pass(&mut self, mut from: &Socket, to: &Socket) -> Result<()> {
        let until = (self.filled + READ_BYTES).min(self.bytes.len());
        match from.read(&mut self.bytes[self.filled..until]) {
            Ok(0) => return Err(Failure::new("relay", "the client has gone")),
            Ok(len) => self.filled += len,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Failure::new("read", error)),
        }
        let mut given = 0;
        loop {
            let mut parts = Vec::with_capacity(WRITE_FRAMES);
            let mut end = given;
            while parts.len() < WRITE_FRAMES
                && let Some(framed) = first_frame(&self.bytes[end..self.filled])
            {
                end += framed.len();
                parts.push(IoSlice::new(framed));
            }
            if parts.is_empty() {
                break;
            }
            write_all(to, &mut parts).trying("write")?;
            given = end;
        }
        self.bytes.copy_within(given..self.filled, 0);
        self.filled -= given;
        Ok(())
    }
}

/// The first frame that is whole, with its length.
fn first_frame(bytes: &[u8]) -> Option<&[u8]> {
    let len = u32::from_be_bytes(*bytes.first_chunk::<4>()?) as usize;
    bytes.get(..4 + len)
}
