//! What the kernel tells of interfaces on its own.

use std::fmt;

use xnu_sys::net_kev::{
    KEV_DL_IF_ATTACHED, KEV_DL_IF_DETACHED, KEV_DL_IF_DETACHING, KEV_DL_LINK_ADDRESS_CHANGED,
    KEV_DL_LINK_OFF, KEV_DL_LINK_ON, KEV_DL_PROTO_ATTACHED, KEV_DL_PROTO_DETACHED, KEV_DL_SIFFLAGS,
    KEV_DL_SIFMTU, KEV_DL_SUBCLASS,
};
use xnu_sys::sys_kern_event::{
    KEV_MSG_HEADER_SIZE, KEV_NETWORK_CLASS, KEV_VENDOR_APPLE, SIOCSKEVFILT, SYSPROTO_EVENT,
    kev_request,
};
use xnu_sys::sys_socket::{PF_SYSTEM, SOCK_RAW};
use xnu_sys::{Descriptor, Host, InterfaceName, Kernel, KernelEvents, SyscallError};

use super::failure;
use crate::{Call, Error};

/// Something happened to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceEvent {
    name: InterfaceName,
    /// What.
    pub change: Change,
}

impl InterfaceEvent {
    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The interface's name, as the kernel takes it.
    #[must_use]
    pub fn interface(&self) -> InterfaceName {
        self.name
    }

    /// The event in the bytes of a message (`struct kern_event_msg` of `bsd/sys/kern_event.h`, then
    /// `struct net_event_data` of `bsd/net/if_var.h`); none if it is about something else, or is
    /// none at all. Any bytes may be given.
    ///
    /// ```
    /// use ifctl::xnu::{Change, InterfaceEvent};
    ///
    /// // length, vendor, class, subclass, number, LINK_ON; family, unit, "feth"
    /// let words = [48_u32, 1, 1, 2, 7, 13, 2, 20000];
    /// let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    /// bytes.extend(*b"feth\0\0\0\0\0\0\0\0\0\0\0\0");
    /// let event = InterfaceEvent::read(&bytes).unwrap();
    /// assert_eq!((event.name(), event.change), ("feth20000", Change::LinkOn));
    /// assert_eq!(InterfaceEvent::read(&bytes[..47]), None);
    /// ```
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let total = usize::try_from(word(bytes, 0)?).ok()?;
        let kind = [word(bytes, 4)?, word(bytes, 8)?, word(bytes, 12)?];
        if kind != [KEV_VENDOR_APPLE, KEV_NETWORK_CLASS, KEV_DL_SUBCLASS] {
            return None;
        }
        let code = word(bytes, 20)?;
        // The data ends where the message says, and where it was cut.
        let data = bytes.get(KEV_MSG_HEADER_SIZE..total.min(bytes.len()))?;
        // Up to macOS 15.3, links of feths (and before 15, of bridges) are told with four zeros
        // before the data: they put it behind a header whose size has a word of data in it
        // (`interface_link_event`, `bsd/net/if_fake.c`). No interface is of family 0.
        let data = if word(data, 0)? == 0 { data.get(4..)? } else { data };
        let unit = word(data, 4)?;
        let name = data.get(8..24)?.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?;
        let name = format!("{name}{unit}").parse().ok()?;
        Some(Self { name, change: Change::of(code) })
    }
}

impl fmt::Display for InterfaceEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.change)
    }
}

/// What happened: `KEV_DL_*` of `bsd/net/net_kev.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Change {
    /// It was made.
    Attached,
    /// It is being destroyed: its name is gone, it is not.
    Detaching,
    /// It has left the kernel: its name can be used again.
    Detached,
    /// It got a link; a feth, a peer.
    LinkOn,
    /// It lost its link; a feth, its peer.
    LinkOff,
    /// Its flags were set.
    Flags,
    /// Its MTU was set.
    Mtu,
    /// A protocol was put on it: IP, a bridge, NDRV.
    ProtoAttached,
    /// A protocol was taken off it.
    ProtoDetached,
    /// It got another link-layer address.
    LladdrChanged,
    /// Something else, by its code.
    Other(u32),
}

impl Change {
    fn of(code: u32) -> Self {
        match code {
            KEV_DL_IF_ATTACHED => Self::Attached,
            KEV_DL_IF_DETACHING => Self::Detaching,
            KEV_DL_IF_DETACHED => Self::Detached,
            KEV_DL_LINK_ON => Self::LinkOn,
            KEV_DL_LINK_OFF => Self::LinkOff,
            KEV_DL_SIFFLAGS => Self::Flags,
            KEV_DL_SIFMTU => Self::Mtu,
            KEV_DL_PROTO_ATTACHED => Self::ProtoAttached,
            KEV_DL_PROTO_DETACHED => Self::ProtoDetached,
            KEV_DL_LINK_ADDRESS_CHANGED => Self::LladdrChanged,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Detaching => "detaching",
            Self::Detached => "detached",
            Self::LinkOn => "link on",
            Self::LinkOff => "link off",
            Self::Flags => "flags set",
            Self::Mtu => "MTU set",
            Self::ProtoAttached => "protocol attached",
            Self::ProtoDetached => "protocol detached",
            Self::LladdrChanged => "address changed",
            Self::Other(code) => return write!(f, "event {code}"),
        })
    }
}

/// A socket on which the kernel tells what happens to interfaces; needs no privilege.
///
/// It is the only way to hear that a feth or a bridge was destroyed: neither BPF, nor NDRV, nor a
/// kqueue on them says so. It is no certainty either: the socket holds 32 KiB, and what finds no
/// room is lost without a word (`kev_post_msg_internal`, `bsd/kern/kern_event.c`). Read it to its
/// end whenever it is readable, and look at the interfaces themselves now and then.
#[derive(Debug)]
pub struct Events<K: Kernel = Host> {
    socket: Descriptor<K, KernelEvents>,
}

impl Events<Host> {
    /// Opens a socket for this Mac's events.
    ///
    /// # Errors
    /// The process or the system has no descriptor left; this is no Mac.
    pub fn open() -> Result<Self, Error> {
        Self::open_on(Host)
    }
}

impl<K: Kernel> Events<K> {
    /// Opens a socket for the events of `kernel`: those of interfaces, which its filter asks for.
    ///
    /// # Errors
    /// The process or the system has no descriptor left.
    pub fn open_on(kernel: K) -> Result<Self, Error> {
        let call = Call::OnSystem { what: "open a socket for the kernel's events" };
        Self::open_socket(kernel).map_err(failure::of(&call))
    }

    fn open_socket(kernel: K) -> Result<Self, SyscallError> {
        let made = kernel.socket(PF_SYSTEM, SOCK_RAW, SYSPROTO_EVENT);
        let fd = made.map_err(|errno| SyscallError { call: "socket", errno })?;
        let socket = Descriptor::new(kernel, fd);
        socket.set_nonblocking_and_cloexec()?;
        // Until a filter is set, the kernel sends nothing.
        let mut filter = kev_request {
            vendor_code: KEV_VENDOR_APPLE,
            kev_class: KEV_NETWORK_CLASS,
            kev_subclass: KEV_DL_SUBCLASS,
        };
        socket.request(SIOCSKEVFILT, &mut filter)?;
        Ok(Self { socket })
    }

    /// The descriptor's number, to wait for it to be readable (`EVFILT_READ`).
    #[must_use]
    pub fn number(&self) -> i32 {
        self.socket.number()
    }

    /// The open descriptor, to wait for it to be readable.
    #[must_use]
    pub fn fd(&self) -> &K::Fd {
        self.socket.fd()
    }

    /// The next event; none if there is none now. It never waits. Messages that are no event of an
    /// interface are passed over.
    ///
    /// # Errors
    /// [`Error::Xnu`]: what `read` says.
    pub fn next_event(&self) -> Result<Option<InterfaceEvent>, Error> {
        let mut message = [0; MESSAGE_MAX];
        loop {
            let read = self.socket.read(&mut message).map_err(|errno| {
                let call = Call::OnSystem { what: "read an event of the kernel" };
                Error::Xnu { call, source: SyscallError { call: "read", errno } }
            })?;
            let Some(len) = read else { return Ok(None) };
            // Also for an end of the stream, which this kind of socket does not have.
            if len == 0 {
                return Ok(None);
            }
            if let Some(event) = InterfaceEvent::read(&message[..len.min(MESSAGE_MAX)]) {
                return Ok(Some(event));
            }
        }
    }
}

/// A message is in one buffer of the kernel's, of 256 bytes with its head
/// (`kev_post_msg_internal`).
const MESSAGE_MAX: usize = 256;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(head: [u32; 6], unit: u32, name: &[u8; 16]) -> Vec<u8> {
        let words = head.into_iter().chain([2, unit]);
        words.flat_map(u32::to_ne_bytes).chain(*name).collect()
    }

    const FETH: &[u8; 16] = b"feth\0garbage\xff\xff\xff\xff";

    fn with_code(code: u32) -> Vec<u8> {
        message([48, 1, 1, 2, 99, code], 20000, FETH)
    }

    #[test]
    fn each_code_is_its_change() {
        for (code, change) in [
            (1, Change::Flags),
            (3, Change::Mtu),
            (9, Change::Attached),
            (10, Change::Detaching),
            (11, Change::Detached),
            (12, Change::LinkOff),
            (13, Change::LinkOn),
            (14, Change::ProtoAttached),
            (15, Change::ProtoDetached),
            (16, Change::LladdrChanged),
            (20, Change::Other(20)),
        ] {
            let event = InterfaceEvent::read(&with_code(code)).unwrap();
            assert_eq!((event.name(), event.change), ("feth20000", change), "{code}");
        }
    }

    #[test]
    fn the_name_is_the_familys_and_the_unit() {
        let read = |unit, name| InterfaceEvent::read(&message([48, 1, 1, 2, 0, 9], unit, name));
        let bridge = b"bridge\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(read(0, bridge).unwrap().name(), "bridge0");
        assert_eq!(
            read(1, b"\0en\0\0\0\0\0\0\0\0\0\0\0\0\0").map(|e| e.name().to_owned()).as_deref(),
            Some("1")
        );
        assert_eq!(read(1, b"a-name-of-16-chr"), None, "too long with its unit");
        assert_eq!(read(1, b"e n\0\0\0\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(read(1, b"e\xffn\0\0\0\0\0\0\0\0\0\0\0\0\0"), None);
    }

    #[test]
    fn a_link_of_a_feth_before_macos_15_4() {
        // The unit is one that would be text, were it read as such.
        let words = [52_u32, 1, 1, 2, 0, 13, 0, 2, 0x4e20].into_iter().flat_map(u32::to_ne_bytes);
        let bytes: Vec<u8> = words.chain(*FETH).collect();
        let event = InterfaceEvent::read(&bytes).unwrap();
        assert_eq!((event.name(), event.change), ("feth20000", Change::LinkOn));
        assert_eq!(InterfaceEvent::read(&bytes[..51]), None);
    }

    #[test]
    fn messages_about_other_things_and_cut_ones_are_none() {
        assert!(InterfaceEvent::read(&with_code(9)).is_some());
        for head in [[48, 2, 1, 2, 0, 9], [48, 1, 2, 2, 0, 9], [48, 1, 1, 1, 0, 9]] {
            assert_eq!(InterfaceEvent::read(&message(head, 1, FETH)), None, "{head:?}");
        }
        for said in [0, 24, 47] {
            let short = message([said, 1, 1, 2, 0, 9], 1, FETH);
            assert_eq!(InterfaceEvent::read(&short), None, "it says {said} bytes");
        }
        let whole = with_code(9);
        for len in 0..whole.len() {
            assert_eq!(InterfaceEvent::read(&whole[..len]), None, "{len} bytes");
        }
        // More data may follow, as in `struct kev_dl_proto_data`.
        let mut longer = message([56, 1, 1, 2, 0, 14], 1, FETH);
        longer.extend([0; 8]);
        let event = InterfaceEvent::read(&longer).unwrap();
        assert_eq!(event.to_string(), "feth1: protocol attached");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_event_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = InterfaceEvent::read(&bytes);
        }

        #[test]
        fn any_data_behind_a_true_head(
            total: u32,
            code: u32,
            data in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let head = [total, 1, 1, 2, 0, code].into_iter().flat_map(u32::to_ne_bytes);
            let bytes: Vec<u8> = head.chain(data.iter().copied()).collect();
            if let Some(event) = InterfaceEvent::read(&bytes) {
                prop_assert!(data.len() >= 24 && total >= 48);
                prop_assert!(event.name().len() <= 15);
            }
        }
    }
}
