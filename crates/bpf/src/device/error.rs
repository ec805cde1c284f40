//! What can go wrong, and what to do about it.

use std::fmt;

use xnu_sys::{Errno, InterfaceName, NameError, SyscallError};

use super::DEVICES_MAX;
use crate::verify::VerifyError;

/// A device and its interface. Prints as `/dev/bpf3 on feth20001`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// `N` of `/dev/bpfN`.
    pub device: u32,
    /// The interface that it is, was, or was to be bound to.
    pub interface: InterfaceName,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/dev/bpf{} on {}", self.device, self.interface)
    }
}

impl Place {
    /// The kernel refused a call.
    pub(super) const fn refused(self, source: SyscallError) -> Error {
        Error::Refused { at: self, source }
    }
}

/// A call that failed. Prints as `what on which: why`; [`Error::to_do`] has the advice.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No interface can have this name.
    #[error(transparent)]
    InvalidName(NameError),
    /// Every device is open, by this process or another: each has room for one.
    #[error("open /dev/bpf*: all {tried} are in use")]
    NoDeviceFree {
        /// How many there are.
        tried: u32,
    },
    /// This process may not open the device (`EACCES`, `EPERM`).
    #[error("open /dev/bpf{device}: {errno}")]
    NotPermitted {
        /// `N` of `/dev/bpfN`.
        device: u32,
        /// What the kernel said.
        errno: Errno,
    },
    /// The device could not be opened for another reason.
    #[error("open /dev/bpf{device}: {errno}")]
    Open {
        /// `N` of `/dev/bpfN`.
        device: u32,
        /// What the kernel said; `ENOSYS` off macOS.
        errno: Errno,
    },
    /// The kernel's filter machine is another than this crate knows, 1.1 (`BIOCVERSION`).
    #[error("BIOCVERSION of {at}: the kernel's filter machine is version {major}.{minor}, not 1.1")]
    Version {
        /// The device.
        at: Place,
        /// Of the kernel's.
        major: u16,
        /// Of the kernel's.
        minor: u16,
    },
    /// XNU would not take the filter; it was not asked.
    #[error("set a filter: {0}")]
    Filter(VerifyError),
    /// There is no such interface, or none that BPF knows (`ENXIO` of `BIOCSETIF`).
    #[error("BIOCSETIF of {at}: there is no such interface")]
    NoInterface {
        /// The device.
        at: Place,
    },
    /// The interface carries no Ethernet frames.
    #[error("BIOCGDLT of {at}: its link type is {link_type}, not Ethernet (1)")]
    NotEthernet {
        /// The device.
        at: Place,
        /// `DLT_` number.
        link_type: u32,
    },
    /// The interface went away (`ENXIO`).
    #[error("{call} {at}: the interface is gone")]
    InterfaceGone {
        /// The device.
        at: Place,
        /// `read`, `write`, or the request.
        call: &'static str,
    },
    /// The interface is not up (`ENETDOWN`), or is just going away.
    #[error("write {at}: the interface is down")]
    InterfaceDown {
        /// The device.
        at: Place,
    },
    /// The frame is longer than the device takes.
    #[error("write {at}: a frame of {len_bytes} bytes, {max_bytes} are the most")]
    TooLong {
        /// The device.
        at: Place,
        /// The frame's length.
        len_bytes: usize,
        /// The most that the interface's MTU allows.
        max_bytes: usize,
    },
    /// The frame is shorter than an Ethernet header, which the kernel would not notice; it was not
    /// asked.
    #[error("write {at}: a frame of {len_bytes} bytes is shorter than an Ethernet header")]
    TooShort {
        /// The device.
        at: Place,
        /// The frame's length.
        len_bytes: usize,
    },
    /// The kernel had no room for the frame (`ENOBUFS`, `ENOMEM`): it is lost. Most frames that are
    /// lost in an interface's queue are lost without a word.
    #[error("write {at}: the frame was lost, the kernel had no room for it")]
    Lost {
        /// The device.
        at: Place,
    },
    /// The kernel took a part of what was written.
    #[error("write {at}: {written_bytes} bytes of {len_bytes} were taken")]
    ShortWrite {
        /// The device.
        at: Place,
        /// What was taken.
        written_bytes: usize,
        /// Of what was written.
        len_bytes: usize,
    },
    /// The kernel's buffer is not as long as what was read for (`EINVAL` of a read): a defect of
    /// this crate, or somebody else changed the device's buffer.
    #[error("read {at}: its buffer is not of {len_bytes} bytes")]
    ReadLength {
        /// The device.
        at: Place,
        /// How much was read for.
        len_bytes: usize,
    },
    /// The kernel said no.
    #[error("{} of {at}: {}", source.call, source.errno)]
    Refused {
        /// The device.
        at: Place,
        /// The request and the kernel's answer.
        source: SyscallError,
    },
}

impl Error {
    /// The kernel's error number, where it gave one that says more than the variant.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::NotPermitted { errno, .. } | Self::Open { errno, .. } => Some(*errno),
            Self::Refused { source, .. } => Some(source.errno),
            _ => None,
        }
    }

    /// What a person can do about it, where that is known.
    #[must_use]
    pub fn to_do(&self) -> Option<String> {
        Some(match self {
            Self::InvalidName(_) => "`ifconfig -l` shows the interfaces".into(),
            Self::NoDeviceFree { .. } => format!(
                "a Mac has at most {DEVICES_MAX} BPF devices, each for one user; `lsof /dev/bpf*` \
                 tells who has them"
            ),
            Self::NotPermitted { .. } => "run as root, or give your group access to /dev/bpf* (as \
                                          Wireshark's ChmodBPF does)"
                .into(),
            Self::Open { errno: Errno::ENOSYS, .. } => "BPF devices are macOS's".into(),
            Self::Open { errno: Errno::EMFILE | Errno::ENFILE, .. } => {
                "raise the limit of open files (`ulimit -n`)".into()
            }
            Self::NoInterface { at } => {
                format!("`ifconfig -l` shows the interfaces; {} is none of them", at.interface)
            }
            Self::NotEthernet { .. } => "use an Ethernet interface, a feth or a bridge".into(),
            Self::InterfaceGone { .. } => "bind the device again when the interface is back".into(),
            Self::InterfaceDown { at } => format!("`ifconfig {} up`", at.interface),
            Self::TooLong { at, .. } => {
                format!("use the same MTU on {} and on what sends by it", at.interface)
            }
            Self::Refused { source: SyscallError { call: "BIOCSETIF", errno }, .. }
                if *errno == Errno::ENOMEM =>
            {
                "ask for a smaller buffer".into()
            }
            Self::Version { .. }
            | Self::Filter(_)
            | Self::TooShort { .. }
            | Self::Lost { .. }
            | Self::ShortWrite { .. }
            | Self::ReadLength { .. }
            | Self::Open { .. }
            | Self::Refused { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Place {
        Place { device: 3, interface: "feth20001".parse().unwrap() }
    }

    #[test]
    fn it_names_the_request_the_object_the_reason_and_the_way_out() {
        let source = SyscallError { call: "BIOCSETIF", errno: Errno::ENOMEM };
        let error = Error::Refused { at: at(), source };
        assert_eq!(error.to_string(), "BIOCSETIF of /dev/bpf3 on feth20001: no memory (ENOMEM)");
        assert_eq!(error.to_do().as_deref(), Some("ask for a smaller buffer"));
        assert_eq!(error.errno(), Some(Errno::ENOMEM));
        let error = Error::InterfaceGone { at: at(), call: "read" };
        assert_eq!(error.to_string(), "read /dev/bpf3 on feth20001: the interface is gone");
        let error = Error::NoDeviceFree { tried: 256 };
        assert_eq!(error.to_string(), "open /dev/bpf*: all 256 are in use");
        assert!(error.to_do().unwrap().contains("lsof"));
    }

    #[test]
    fn who_may_not_open_devices_is_told_how_to() {
        let error = Error::NotPermitted { device: 0, errno: Errno::EACCES };
        assert_eq!(error.to_string(), "open /dev/bpf0: permission denied (EACCES)");
        let to_do = error.to_do().unwrap();
        assert!(to_do.contains("root") && to_do.contains("ChmodBPF"), "{to_do}");
    }
}
