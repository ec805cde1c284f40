//! How much a socket may hold on its way.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, setsockopt, sockopt};

/// What is asked for, each way. On Linux it is the sender's buffer that bounds a unix socket's
/// queue.
const WANTED_BYTES: usize = 4 << 20;

/// What the kernel granted, in bytes as it counts them (twice what was asked for, bookkeeping
/// included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Granted {
    pub send_bytes: usize,
    pub receive_bytes: usize,
}

/// A buffer smaller than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "socket buffers were cut to {granted_bytes} of {wanted_bytes} bytes \
     (raise the limit: sysctl -w {sysctl}={wanted_bytes}, or run with CAP_NET_ADMIN)"
)]
pub struct BufferShortage {
    /// What was asked for.
    pub wanted_bytes: usize,
    /// What there is.
    pub granted_bytes: usize,
    /// The setting that limits it.
    pub sysctl: &'static str,
}

impl Granted {
    /// The first buffer that is smaller than asked for.
    #[must_use]
    pub fn shortage(&self) -> Option<BufferShortage> {
        let wanted_bytes = WANTED_BYTES;
        let short = |granted: usize, sysctl| {
            let granted_bytes = granted / 2;
            let cut = granted_bytes < wanted_bytes;
            cut.then_some(BufferShortage { wanted_bytes, granted_bytes, sysctl })
        };
        short(self.send_bytes, "net.core.wmem_max")
            .or_else(|| short(self.receive_bytes, "net.core.rmem_max"))
    }
}

/// What a unix socket of this process is granted now. Ports whose sockets come later (a listener's
/// clients) or from elsewhere will have the same.
///
/// # Errors
/// When there is no descriptor left for a socket.
pub fn granted_to_unix_sockets() -> std::io::Result<Granted> {
    Ok(enlarge(&std::os::unix::net::UnixDatagram::unbound()?))
}

/// Makes both buffers of a socket as large as wanted, past the system's limit where that is
/// allowed, and reads back what there is.
pub(super) fn enlarge(socket: &impl AsFd) -> Granted {
    if setsockopt(socket, sockopt::SndBufForce, &WANTED_BYTES).is_err() {
        // Beyond the limit the kernel cuts without an error; what it made of it is read back.
        let _ = setsockopt(socket, sockopt::SndBuf, &WANTED_BYTES);
    }
    if setsockopt(socket, sockopt::RcvBufForce, &WANTED_BYTES).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &WANTED_BYTES);
    }
    Granted {
        send_bytes: getsockopt(socket, sockopt::SndBuf).unwrap_or(0),
        receive_bytes: getsockopt(socket, sockopt::RcvBuf).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn what_was_granted_is_read_back() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let before = getsockopt(&near, sockopt::SndBuf).unwrap();
        let granted = enlarge(&near);
        assert!(granted.send_bytes >= before);
        assert_eq!(granted.send_bytes, getsockopt(&near, sockopt::SndBuf).unwrap());
    }

    #[test]
    fn a_shortage_names_its_sysctl() {
        let cut = Granted { send_bytes: 425_984, receive_bytes: 8 << 20 };
        let shortage = cut.shortage().unwrap();
        assert_eq!(shortage.granted_bytes, 212_992);
        assert!(shortage.to_string().contains("sysctl -w net.core.wmem_max=4194304"));
        assert_eq!(Granted { send_bytes: 8 << 20, receive_bytes: 8 << 20 }.shortage(), None);
    }
}
