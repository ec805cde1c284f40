//! XNU's error numbers (XNU `bsd/sys/errno.h`), and a failed call with its name.

use std::{fmt, io};

/// An error number of XNU. Its numbers are not Linux's, so it has words of its own on every host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(pub i32);

macro_rules! errnos {
    ($($name:ident = $number:literal, $words:literal;)*) => {
        #[allow(missing_docs, reason = "each is errno.h's number of that name")]
        impl Errno {
            $(pub const $name: Self = Self($number);)*

            /// Its C name, where this crate knows it.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            const fn words(self) -> &'static str {
                match self.0 {
                    $($number => $words,)*
                    _ => "unknown error",
                }
            }
        }

        /// What this header contributes to [`crate::abi::headers`].
        pub(crate) const HEADER: crate::abi::Header = crate::abi::Header {
            path: "sys/errno.h",
            is_public: true,
            structs: &[],
            constants: &[
                $(crate::abi::Constant {
                    name: stringify!($name),
                    kind: crate::abi::ConstantKind::Number,
                    value: $number,
                },)*
            ],
        };
    };
}

errnos! {
    EPERM = 1, "operation not permitted";
    ENOENT = 2, "no such file or object";
    EINTR = 4, "interrupted";
    EIO = 5, "input/output error";
    ENXIO = 6, "no such device";
    E2BIG = 7, "too much";
    EBADF = 9, "bad file descriptor";
    EDEADLK = 11, "it would wait for itself";
    ENOMEM = 12, "no memory";
    EACCES = 13, "permission denied";
    EFAULT = 14, "bad address";
    EBUSY = 16, "busy";
    EEXIST = 17, "it exists already";
    ENODEV = 19, "not supported by the device";
    ENOTDIR = 20, "not a directory";
    EINVAL = 22, "invalid argument";
    ENFILE = 23, "too many open files in the system";
    EMFILE = 24, "too many open files";
    ENOTTY = 25, "the descriptor does not take this request";
    ENOSPC = 28, "no space left";
    EROFS = 30, "read-only";
    EPIPE = 32, "broken pipe";
    ERANGE = 34, "out of range";
    EAGAIN = 35, "resource temporarily unavailable";
    EINPROGRESS = 36, "in progress";
    EALREADY = 37, "already so";
    ENOTSOCK = 38, "not a socket";
    EDESTADDRREQ = 39, "destination address required";
    EMSGSIZE = 40, "message too long";
    EPROTOTYPE = 41, "wrong protocol type for the socket";
    ENOPROTOOPT = 42, "no such option";
    EPROTONOSUPPORT = 43, "protocol not supported";
    ENOTSUP = 45, "not supported";
    EAFNOSUPPORT = 47, "address family not supported";
    EADDRINUSE = 48, "address in use";
    EADDRNOTAVAIL = 49, "address not available";
    ENETDOWN = 50, "the interface is down";
    ENETUNREACH = 51, "network unreachable";
    ECONNABORTED = 53, "connection aborted";
    ECONNRESET = 54, "the peer closed its end";
    ENOBUFS = 55, "no buffer space";
    EISCONN = 56, "connected already";
    ENOTCONN = 57, "not connected";
    ESHUTDOWN = 58, "shut down";
    ETIMEDOUT = 60, "timed out";
    ECONNREFUSED = 61, "nobody is there";
    ENAMETOOLONG = 63, "name too long";
    EHOSTUNREACH = 65, "host unreachable";
    ENOTEMPTY = 66, "not empty";
    ENOSYS = 78, "no such system call here";
    ECANCELED = 89, "cancelled";
    EOPNOTSUPP = 102, "operation not supported";
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.words()),
            None => write!(f, "{} (errno {})", self.words(), self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    /// On a Mac the number itself; elsewhere, where the number would mean something else, XNU's
    /// words.
    fn from(errno: Errno) -> Self {
        if cfg!(target_os = "macos") {
            return Self::from_raw_os_error(errno.0);
        }
        let kind = match errno {
            Errno::EPERM | Errno::EACCES => io::ErrorKind::PermissionDenied,
            Errno::ENOENT => io::ErrorKind::NotFound,
            Errno::EEXIST => io::ErrorKind::AlreadyExists,
            Errno::EAGAIN => io::ErrorKind::WouldBlock,
            Errno::ECONNRESET => io::ErrorKind::ConnectionReset,
            Errno::ENOSYS => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, errno)
    }
}

/// A system call that failed: which, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{call}: {errno}")]
pub struct SyscallError {
    /// The call, or the request or driver command that it carried: `open`, `BIOCSETIF`, `BRDGADD`.
    pub call: &'static str,
    /// What the kernel said.
    pub errno: Errno,
}

impl From<SyscallError> for io::Error {
    fn from(error: SyscallError) -> Self {
        error.errno.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_says_which_and_why() {
        let error = SyscallError { call: "BIOCSETIF", errno: Errno::ENXIO };
        assert_eq!(error.to_string(), "BIOCSETIF: no such device (ENXIO)");
        let unknown = SyscallError { call: "open", errno: Errno(9999) };
        assert_eq!(unknown.to_string(), "open: unknown error (errno 9999)");
    }
}
