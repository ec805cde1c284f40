//! What can go wrong, and what to do about it.

use xnu_sys::{Errno, InterfaceName, NameError, SyscallError};

/// A call that failed. Prints as `what on which: why`; [`Error::to_do`] has the advice.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No interface can have this name.
    #[error(transparent)]
    InvalidName(NameError),
    /// This process may not make such sockets (`EPERM`).
    #[error("socket(PF_NDRV) for {interface}: {}", Errno::EPERM)]
    NotPermitted {
        /// The interface that it was for.
        interface: InterfaceName,
    },
    /// There is no such interface (`EADDRNOTAVAIL` of `bind`, `ENXIO` of `SIOCGIFMTU`).
    #[error("{call} {interface}: there is no such interface")]
    NoInterface {
        /// Its name.
        interface: InterfaceName,
        /// `bind` or `SIOCGIFMTU`.
        call: &'static str,
    },
    /// The interface went away (`ENXIO`).
    #[error("send by {interface}: the interface is gone")]
    InterfaceGone {
        /// The interface.
        interface: InterfaceName,
    },
    /// The interface is not up (`ENETDOWN`).
    #[error("send by {interface}: the interface is down")]
    InterfaceDown {
        /// The interface.
        interface: InterfaceName,
    },
    /// The frame is longer than MTU and header, or than the socket's buffer (`EMSGSIZE`).
    #[error("send by {interface}: a frame of {len_bytes} bytes, {max_bytes} are the most")]
    TooLong {
        /// The interface.
        interface: InterfaceName,
        /// The frame's length.
        len_bytes: usize,
        /// The most that this socket sends.
        max_bytes: usize,
    },
    /// The frame is shorter than an Ethernet header; the kernel was not asked.
    #[error("send by {interface}: a frame of {len_bytes} bytes is shorter than an Ethernet header")]
    TooShort {
        /// The interface.
        interface: InterfaceName,
        /// The frame's length.
        len_bytes: usize,
    },
    /// The kernel had no room for the frame (`ENOBUFS`, `ENOMEM`): it is lost. Most frames that are
    /// lost in an interface's queue are lost without a word.
    #[error("send by {interface}: the frame was lost, the kernel had no room for it")]
    Lost {
        /// The interface.
        interface: InterfaceName,
    },
    /// The kernel said no.
    #[error("{} for {interface}: {}", source.call, source.errno)]
    Refused {
        /// The interface.
        interface: InterfaceName,
        /// The call and the kernel's answer; `ENOSYS` off macOS.
        source: SyscallError,
    },
}

impl Error {
    /// The kernel's error number, where it gave one that says more than the variant.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { source, .. } => Some(source.errno),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn to_do(&self) -> Option<String> {
        Some(match self {
            Self::InvalidName(_) | Self::NoInterface { .. } => {
                "`ifconfig -l` shows the interfaces".into()
            }
            Self::NotPermitted { .. } => "run as root; the socket stays of use afterwards".into(),
            Self::InterfaceGone { .. } => "open another socket when the interface is back".into(),
            Self::InterfaceDown { interface } => format!("`ifconfig {interface} up`"),
            Self::TooLong { interface, .. } => {
                format!("use the same MTU on {interface} and on what sends by it")
            }
            Self::Refused { source: SyscallError { errno, .. }, .. } => match *errno {
                Errno::ENOSYS => "NDRV sockets are macOS's".into(),
                Errno::EMFILE | Errno::ENFILE => {
                    "raise the limit of open files (`ulimit -n`)".into()
                }
                _ => return None,
            },
            Self::TooShort { .. } | Self::Lost { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_call_the_object_the_reason_and_the_way_out() {
        let interface = "feth20001".parse().unwrap();
        let error = Error::NotPermitted { interface };
        let text = "socket(PF_NDRV) for feth20001: operation not permitted (EPERM)";
        assert_eq!(error.to_string(), text);
        assert!(error.to_do().unwrap().contains("root"));
        let source = SyscallError { call: "connect", errno: Errno::EISCONN };
        let error = Error::Refused { interface, source };
        assert_eq!(error.to_string(), "connect for feth20001: connected already (EISCONN)");
        assert_eq!((error.errno(), error.to_do()), (Some(Errno::EISCONN), None));
        let error = Error::InterfaceDown { interface };
        assert_eq!(error.to_do().as_deref(), Some("`ifconfig feth20001 up`"));
    }

    #[test]
    fn off_macos_it_says_so() {
        if cfg!(not(target_os = "macos")) {
            let error = crate::Socket::open("en0").unwrap_err();
            assert_eq!(error.errno(), Some(Errno::ENOSYS));
            assert!(error.to_do().unwrap().contains("macOS"));
        }
        assert!(matches!(crate::Socket::open("no such name"), Err(Error::InvalidName(_))));
    }
}
