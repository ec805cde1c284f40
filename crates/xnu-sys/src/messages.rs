//! Many datagrams by one system call: `recvmsg_x` and `sendmsg_x`.
#![allow(unsafe_code, reason = "the system calls take arrays of pointers")]

use std::fmt;

use crate::sys_socket::{MSG_DONTWAIT, iovec};
use crate::sys_socket_private::msghdr_x;
use crate::{Descriptor, Errno, Kernel, UnixSocket};

/// The most datagrams of one call. The smallest limit of a kernel that has one is 100
/// (`kern.ipc.maxrecvmsgx` of macOS 12 and 13).
pub const MESSAGES_MAX: usize = 64;

/// Where each message's vectors begin: a head and a spill.
const VECTORS: usize = 2;

/// The arrays that both calls take, made once.
pub struct Messages {
    headers: Box<[msghdr_x; MESSAGES_MAX]>,
    vectors: Box<[[iovec; VECTORS]; MESSAGES_MAX]>,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            headers: Box::new([msghdr_x::default(); MESSAGES_MAX]),
            vectors: Box::new([[iovec::default(); VECTORS]; MESSAGES_MAX]),
        }
    }
}

impl Messages {
    /// Receives up to [`MESSAGES_MAX`] datagrams, each into its slot: first its head, then its
    /// spill. How many came; [`Self::len_bytes`] has their lengths. Nobody tells of a datagram that
    /// was cut: slots must hold the biggest.
    ///
    /// # Errors
    /// `EAGAIN`: none is there. `ENOSYS`: this kernel has no such call. What else the kernel says.
    pub fn receive<'b, K: Kernel>(
        &mut self,
        socket: &Descriptor<K, UnixSocket>,
        slots: impl Iterator<Item = (&'b mut [u8], &'b mut [u8])>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        for (place, (head, spill)) in slots.take(MESSAGES_MAX).enumerate() {
            self.vectors[place] = [
                iovec {
                    iov_base: head.as_mut_ptr().expose_provenance() as u64,
                    iov_len: head.len() as u64,
                },
                iovec {
                    iov_base: spill.as_mut_ptr().expose_provenance() as u64,
                    iov_len: spill.len() as u64,
                },
            ];
            // Always as many: since macOS 14.0 `recvmsg_x` writes past the end of the kernel's
            // memory when a message has more buffers than the one before.
            self.address(place, VECTORS);
            count = place + 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: the first `count` headers point at vectors, and those at slots that are borrowed
        // mutably for 'b, longer than this call, and do not overlap (they are distinct &mut); no
        // names or control data are asked for.
        unsafe {
            let count = u32::try_from(count).unwrap_or(0);
            socket.kernel().recvmsg_x(socket.fd(), headers, count, MSG_DONTWAIT)
        }
    }

    /// The length of the datagram at `place` of those received last.
    #[must_use]
    pub fn len_bytes(&self, place: usize) -> usize {
        usize::try_from(self.headers[place].msg_datalen).unwrap_or(0)
    }

    /// Sends datagrams, at most [`MESSAGES_MAX`], in order; how many were taken.
    ///
    /// # Errors
    /// What the kernel says of the first; `ENOSYS`: this kernel has no such call.
    pub fn send<'b, K: Kernel, T>(
        &mut self,
        socket: &Descriptor<K, T>,
        datagrams: impl Iterator<Item = &'b [u8]>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        for (place, bytes) in datagrams.take(MESSAGES_MAX).enumerate() {
            let iov_base = bytes.as_ptr().expose_provenance() as u64;
            self.vectors[place][0] = iovec { iov_base, iov_len: bytes.len() as u64 };
            self.address(place, 1);
            count = place + 1;
        }
        if count == 0 {
            return Ok(0);
        }
        let headers = self.headers.as_ptr();
        // SAFETY: the first `count` headers point at vectors, and those at datagrams that are
        // borrowed for 'b, longer than this call, which only reads them.
        unsafe {
            let count = u32::try_from(count).unwrap_or(0);
            socket.kernel().sendmsg_x(socket.fd(), headers, count, MSG_DONTWAIT)
        }
    }

    /// Points header `place` at its vectors. Kernels up to macOS 13 want `msg_flags` to be 0.
    fn address(&mut self, place: usize, vectors: usize) {
        self.headers[place] = msghdr_x {
            msg_iov: self.vectors[place].as_mut_ptr().expose_provenance() as u64,
            msg_iovlen: i32::try_from(vectors).unwrap_or(0),
            ..msghdr_x::default()
        };
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}
