//! Arrays of datagrams for `recvmmsg(2)` and `sendmmsg(2)`, bare: what a yardstick may cost.
#![allow(unsafe_code, reason = "the calls take arrays of pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::socket::Address;

/// How long a cache line is.
const LINE_BYTES: usize = 64;

/// So many frames' buffers side by side, each with its header.
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    /// Where in `bytes` the first frame begins.
    start: usize,
    stride_bytes: usize,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    /// Where all of them go, when the socket is not connected.
    to: Option<Box<Address>>,
}

// SAFETY: the pointers lead into the boxes that travel with them, and to nothing else.
unsafe impl Send for Batch {}

impl Batch {
    /// Room for `frames` frames of `frame_bytes`. The frames stand an odd number of cache lines
    /// apart, so that their heads do not share cache sets, and begin with one: what malloc maps
    /// begins just behind a page, where the kernel may copy at a third of its speed (`cargo bench
    /// -p vswitch --bench placement`).
    pub(crate) fn new(frames: usize, frame_bytes: usize) -> Self {
        let stride_bytes = (frame_bytes.div_ceil(LINE_BYTES) | 1) * LINE_BYTES;
        let mut bytes = vec![0; LINE_BYTES + frames * stride_bytes].into_boxed_slice();
        let start = bytes.as_ptr().align_offset(LINE_BYTES);
        let mut vectors: Box<[libc::iovec]> = bytes[start..]
            .chunks_exact_mut(stride_bytes)
            .take(frames)
            .map(|frame| libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: frame_bytes })
            .collect();
        // SAFETY: an mmsghdr is plain integers and pointers, for all of which zero is a value.
        let empty: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let headers = vectors
            .iter_mut()
            .map(|vector| {
                let mut header = empty;
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        Self { bytes, start, stride_bytes, vectors, headers, to: None }
    }

    /// Has everything sent to `peer`, by a socket that is not connected.
    pub(crate) fn send_to(&mut self, peer: Address) {
        let to = self.to.insert(Box::new(peer));
        for header in &mut self.headers {
            let (name, len) = to.as_mut_ptr();
            header.msg_hdr.msg_name = name.cast();
            header.msg_hdr.msg_namelen = len;
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.headers.len()
    }

    /// The bytes of the frame at `place`: those received, or those to be sent.
    pub(crate) fn frame(&self, place: usize) -> &[u8] {
        let start = self.start + place * self.stride_bytes;
        &self.bytes[start..start + self.vectors[place].iov_len.min(self.stride_bytes)]
    }

    pub(crate) fn frame_mut(&mut self, place: usize) -> &mut [u8] {
        let start = self.start + place * self.stride_bytes;
        &mut self.bytes[start..start + self.vectors[place].iov_len.min(self.stride_bytes)]
    }

    /// The frame at `place` has so many bytes; more than there is room for are all there is.
    pub(crate) fn set_len(&mut self, place: usize, frame_bytes: usize) {
        self.vectors[place].iov_len = frame_bytes.min(self.stride_bytes);
    }

    /// Receives; how many came. Each frame's length is what came of it.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>, flags: i32) -> io::Result<usize> {
        for vector in &mut self.vectors {
            vector.iov_len = self.stride_bytes;
        }
        let count = u32::try_from(self.headers.len()).unwrap_or(u32::MAX);
        // SAFETY: every header points at its vector, and that at its own stretch of `bytes`; all
        // live in boxes that this value owns; the timeout may be null.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                flags,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (vector, header) in self.vectors.iter_mut().zip(&self.headers[..received]) {
            vector.iov_len = header.msg_len as usize;
        }
        Ok(received)
    }

    /// Sends the frames of `range`; how many went.
    ///
    /// # Errors
    /// Why the first did not go.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        range: std::ops::Range<usize>,
        flags: i32,
    ) -> io::Result<usize> {
        let headers = &mut self.headers[range];
        let count = u32::try_from(headers.len()).unwrap_or(u32::MAX);
        // SAFETY: as in `receive`; a name, where there is one, lives in the box beside them.
        let sent =
            unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Sends the frames of `range`, all of them, by a socket that blocks or whose queue gives way.
    ///
    /// # Errors
    /// What stopped it.
    pub(crate) fn send_all(
        &mut self,
        socket: BorrowedFd<'_>,
        range: std::ops::Range<usize>,
    ) -> io::Result<()> {
        let mut place = range.start;
        while place < range.end {
            match self.send(socket, place..range.end, libc::MSG_NOSIGNAL) {
                Ok(sent) => place += sent,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOBUFS | libc::EAGAIN | libc::EINTR) => std::thread::yield_now(),
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}
