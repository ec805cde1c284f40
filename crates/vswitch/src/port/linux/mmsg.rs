//! Many datagrams by one system call: `recvmmsg(2)` and `sendmmsg(2)` on unix datagram sockets.
#![allow(unsafe_code, reason = "the system calls take arrays of pointers")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::counters::DropReason;
use crate::pool::SizeClass;
use crate::port::inbox::BATCH_FRAMES_MAX;
use crate::port::{AdaptiveBatch, AdaptiveClass, Inbox, Outbox, Received, VFKIT_HANDSHAKE};

/// How many frames, and how many bytes, one call sends at most. More frames gain nothing
/// measurable; more bytes fall out of the second-level cache before the kernel has copied them.
const SEND_FRAMES_MAX: usize = 64;
const SEND_BYTES_MAX: usize = 256 << 10;

/// How many frames one call receives at most: more gain nothing measurable here.
const RECEIVE_FRAMES_MAX: usize = 32;

/// The arrays for both calls, made once per port.
pub(super) struct Mmsg {
    headers: Box<[libc::mmsghdr; SEND_FRAMES_MAX]>,
    vectors: Box<[[libc::iovec; 2]; SEND_FRAMES_MAX]>,
    class: AdaptiveClass,
    batch: AdaptiveBatch<RECEIVE_FRAMES_MAX>,
}

// SAFETY: the pointers in the arrays are written before each call and used only within it.
unsafe impl Send for Mmsg {}

impl Default for Mmsg {
    fn default() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: an mmsghdr is plain integers and pointers, for all of which zero is a value.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self {
            headers: Box::new([header; SEND_FRAMES_MAX]),
            vectors: Box::new([[vector; 2]; SEND_FRAMES_MAX]),
            class: AdaptiveClass::default(),
            batch: AdaptiveBatch::default(),
        }
    }
}

impl Mmsg {
    /// Receives one batch into the inbox.
    ///
    /// # Errors
    /// What the system says, [`io::ErrorKind::WouldBlock`] excepted: that is [`Received::Drained`].
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        inbox: &mut Inbox<'_>,
    ) -> io::Result<Received> {
        let class = self.class.class();
        let mut slots = 0;
        let messages = self.headers.iter_mut().zip(self.vectors.iter_mut());
        for (slot, (header, vectors)) in inbox.slots(class, self.batch.frames()).zip(messages) {
            let spill_len = if class == SizeClass::Full { 0 } else { slot.spill.len() };
            *vectors = [
                libc::iovec { iov_base: slot.head.as_mut_ptr().cast(), iov_len: slot.head.len() },
                libc::iovec { iov_base: slot.spill.as_mut_ptr().cast(), iov_len: spill_len },
            ];
            point(header, if spill_len == 0 { &mut vectors[..1] } else { vectors });
            slots += 1;
        }
        if slots == 0 {
            return Ok(Received::NoBuffers);
        }
        // SAFETY: the first `slots` headers point at vectors, and those at buffers that the inbox
        // holds and nothing else touches until it is told of the frames below; no names or control
        // data are asked for; the timeout may be null.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                slots,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(received) = usize::try_from(received) else {
            let error = io::Error::last_os_error();
            let drained = error.kind() == io::ErrorKind::WouldBlock;
            return if drained { Ok(Received::Drained) } else { Err(error) };
        };
        let mut biggest = 0;
        for (place, header) in self.headers.iter().enumerate().take(received) {
            let len = header.msg_len as usize;
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                inbox.reject(DropReason::Oversize, len);
                continue;
            }
            biggest = biggest.max(len);
            if len == VFKIT_HANDSHAKE.len() && inbox.peek(class, place, len) == VFKIT_HANDSHAKE {
                continue;
            }
            inbox.arrived(class, place, len);
        }
        self.class.saw_batch(biggest);
        let more = received == slots as usize;
        self.batch.saw(received, slots as usize);
        Ok(if more { Received::More } else { Received::Drained })
    }

    /// Sends the first frames of the outbox; answers how many the kernel took.
    ///
    /// # Errors
    /// Why it took none.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        outbox: &Outbox<'_>,
    ) -> io::Result<usize> {
        let (mut frames, mut bytes) = (0_u32, 0);
        let messages = self.headers.iter_mut().zip(self.vectors.iter_mut());
        for ((header, vectors), frame) in messages.zip(outbox.iter()) {
            if frames > 0 && bytes + frame.len() > SEND_BYTES_MAX {
                break;
            }
            bytes += frame.len();
            frames += 1;
            vectors[0] =
                libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
            point(header, &mut vectors[..1]);
        }
        // SAFETY: the first `frames` headers point at vectors, and those at frames that the outbox
        // borrows from the pool for longer than this call, which only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                frames,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Points a header at its vectors.
fn point(header: &mut libc::mmsghdr, vectors: &mut [libc::iovec]) {
    header.msg_hdr.msg_iov = vectors.as_mut_ptr();
    header.msg_hdr.msg_iovlen = vectors.len();
    header.msg_hdr.msg_flags = 0;
}

impl std::fmt::Debug for Mmsg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mmsg").field("class", &self.class).finish_non_exhaustive()
    }
}

const _: () =
    assert!(RECEIVE_FRAMES_MAX <= BATCH_FRAMES_MAX && BATCH_FRAMES_MAX <= SEND_FRAMES_MAX);
