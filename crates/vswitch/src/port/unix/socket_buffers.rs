//! How much a socket may hold on its way.

use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};

use super::platform::{self, RECEIVE_LIMIT, SEND_LIMIT};

/// What is asked for, each way, in bytes. On Linux it is the sender's buffer that bounds a unix
/// socket's queue, on macOS that of a stream; a datagram's is the receiver's there.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// What the kernel granted, in bytes as it counts them (Linux: twice what was asked for,
/// bookkeeping included).
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
     (raise the limit: sysctl -w {sysctl}={sysctl_bytes}{otherwise})"
)]
pub struct BufferShortage {
    /// What was asked for.
    pub wanted_bytes: usize,
    /// What there is.
    pub granted_bytes: usize,
    /// The setting that limits it.
    pub sysctl: &'static str,
    /// What it would have to be.
    pub sysctl_bytes: usize,
    otherwise: &'static str,
}

/// A system's limit of a buffer.
pub(super) struct Limit {
    /// The setting.
    pub(super) sysctl: &'static str,
    /// What the setting has to be for a buffer of so many bytes.
    pub(super) sysctl_bytes: fn(usize) -> usize,
    /// What else helps, in words.
    pub(super) otherwise: &'static str,
    /// How many bytes of what the kernel says it granted are for data.
    pub(super) usable_bytes: fn(usize) -> usize,
}

impl Limit {
    fn shortage(&self, granted: usize) -> Option<BufferShortage> {
        let granted_bytes = (self.usable_bytes)(granted);
        (granted_bytes < SOCKET_BUFFER_BYTES).then(|| BufferShortage {
            wanted_bytes: SOCKET_BUFFER_BYTES,
            granted_bytes,
            sysctl: self.sysctl,
            sysctl_bytes: (self.sysctl_bytes)(SOCKET_BUFFER_BYTES),
            otherwise: self.otherwise,
        })
    }
}

impl Granted {
    /// The first buffer that is smaller than asked for.
    #[must_use]
    pub fn shortage(&self) -> Option<BufferShortage> {
        SEND_LIMIT.shortage(self.send_bytes).or_else(|| RECEIVE_LIMIT.shortage(self.receive_bytes))
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

/// Makes both buffers of a socket as large as wanted, as far as the system allows, and reads back
/// what there is.
pub(in crate::port) fn enlarge(socket: &impl AsFd) -> Granted {
    let send_bytes = || getsockopt(socket, sockopt::SndBuf).unwrap_or(0);
    let receive_bytes = || getsockopt(socket, sockopt::RcvBuf).unwrap_or(0);
    let usable_bytes = (SEND_LIMIT.usable_bytes)(send_bytes());
    ask(SOCKET_BUFFER_BYTES, usable_bytes, |bytes| platform::ask_send_bytes(socket, bytes));
    let usable_bytes = (RECEIVE_LIMIT.usable_bytes)(receive_bytes());
    ask(SOCKET_BUFFER_BYTES, usable_bytes, |bytes| platform::ask_receive_bytes(socket, bytes));
    Granted { send_bytes: send_bytes(), receive_bytes: receive_bytes() }
}

/// Asks for `wanted` bytes where there are fewer, and for half of what was refused until it is
/// granted or no more than there is.
fn ask(wanted: usize, present: usize, mut grant: impl FnMut(usize) -> nix::Result<()>) {
    let mut bytes = wanted;
    while bytes > present && grant(bytes) == Err(nix::Error::ENOBUFS) {
        bytes /= 2;
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
        let shortage = SEND_LIMIT.shortage(425_984).unwrap();
        assert_eq!(shortage.granted_bytes, (SEND_LIMIT.usable_bytes)(425_984));
        let told = shortage.to_string();
        let (name, value) = (SEND_LIMIT.sysctl, (SEND_LIMIT.sysctl_bytes)(4_194_304));
        assert!(told.contains(&format!("sysctl -w {name}={value}")), "{told}");
        assert_eq!(Granted { send_bytes: 8 << 20, receive_bytes: 8 << 20 }.shortage(), None);
        assert!(Granted { send_bytes: 8 << 20, receive_bytes: 425_984 }.shortage().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_counts_twice_and_limits_each_way() {
        let shortage = Granted { send_bytes: 425_984, receive_bytes: 8 << 20 }.shortage().unwrap();
        assert_eq!(shortage.granted_bytes, 212_992);
        assert!(shortage.to_string().contains("sysctl -w net.core.wmem_max=4194304, or run"));
        let shortage = Granted { send_bytes: 8 << 20, receive_bytes: 425_984 }.shortage().unwrap();
        assert_eq!(shortage.sysctl, "net.core.rmem_max");
    }

    /// As XNU answers: nothing changes when it refuses.
    fn asked(limit: usize, present: usize) -> (Vec<usize>, usize) {
        let (mut asked, mut granted) = (Vec::new(), present);
        ask(4000, present, |bytes| {
            asked.push(bytes);
            if bytes > limit {
                return Err(nix::Error::ENOBUFS);
            }
            granted = bytes;
            Ok(())
        });
        (asked, granted)
    }

    #[test]
    fn what_is_refused_is_asked_for_by_half_and_never_less_than_there_is() {
        assert_eq!(asked(4000, 100), (vec![4000], 4000));
        assert_eq!(asked(1999, 100), (vec![4000, 2000, 1000], 1000));
        assert_eq!(asked(1999, 1999), (vec![4000, 2000], 1999));
        assert_eq!(asked(8000, 5000), (vec![], 5000));
        assert_eq!(asked(0, 0).1, 0);
    }
}
