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
    /// The interface's queue was full, or the kernel out of memory: the frame is lost (`ENOBUFS`,
    /// `ENOMEM`).
    #[error("send by {interface}: the frame was lost, the interface's queue is full")]
    Lost {
        /// The interface.
        interface: InterfaceName,
    },
    /// The kernel took a part of a frame.
    #[error("send by {interface}: {written_bytes} bytes of {len_bytes} were taken")]
    ShortWrite {
        /// The interface.
        interface: InterfaceName,
        /// What was taken.
        written_bytes: usize,
        /// Of what was sent.
        len_bytes: usize,
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
            Self::TooShort { .. } | Self::Lost { .. } | Self::ShortWrite { .. } => return None,
        })
    }
}
