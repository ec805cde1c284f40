//! The socket.

use std::fmt;

use xnu_sys::ndrv::NDRVPROTO_NDRV;
use xnu_sys::net_if::ifreq;
use xnu_sys::sys_socket::{PF_NDRV, SO_NOSIGPIPE, SO_SNDBUF, SOCK_RAW, SOL_SOCKET};
use xnu_sys::sys_sockio::SIOCGIFMTU;
use xnu_sys::{
    Descriptor, Errno, Host, InterfaceName, Kernel, Messages, Ndrv, SyscallError, address,
};

use crate::Error;

/// The shortest frame that is sent: an Ethernet header.
pub const FRAME_MIN_BYTES: usize = 14;

/// What a frame may have beyond the interface's MTU: an Ethernet header and a VLAN tag.
pub const FRAME_LEEWAY_BYTES: usize = 18;

/// How a socket is to be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Whether many frames may go by one call (`sendmsg_x`, which is no public call of macOS).
    /// Default yes: a kernel that does not have it is noticed.
    pub batch: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { batch: true }
    }
}

/// A raw socket that sends frames by one interface.
pub struct Socket<K: Kernel = Host> {
    descriptor: Descriptor<K, Ndrv>,
    interface: InterfaceName,
    frame_max_bytes: usize,
    /// For `sendmsg_x`; `None` once it is known that this kernel or this kind of socket has it not.
    messages: Option<Messages>,
}

impl Socket {
    /// Opens a socket on an interface of this Mac, with [`Options::default`]. Wants root.
    ///
    /// # Errors
    /// [`Error`]; off macOS always.
    pub fn open(interface: &str) -> Result<Self, Error> {
        let interface = interface.parse().map_err(Error::InvalidName)?;
        Self::open_on(Host, interface, &Options::default())
    }
}

impl<K: Kernel> Socket<K> {
    /// Opens a socket of `kernel` on `interface`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_on(kernel: K, interface: InterfaceName, options: &Options) -> Result<Self, Error> {
        let failed = |call: &'static str| {
            move |errno| Error::Refused { interface, source: SyscallError { call, errno } }
        };
        let fd = kernel.socket(PF_NDRV, SOCK_RAW, NDRVPROTO_NDRV).map_err(|errno| match errno {
            Errno::EPERM => Error::NotPermitted { interface },
            errno => failed("socket(PF_NDRV)")(errno),
        })?;
        let descriptor = Descriptor::new(kernel.clone(), fd);
        let nonblocking = descriptor.set_nonblocking_and_cloexec();
        nonblocking.map_err(|source| Error::Refused { interface, source })?;
        let yes = 1_i32.to_ne_bytes();
        kernel
            .setsockopt(descriptor.fd(), SOL_SOCKET, SO_NOSIGPIPE, &yes)
            .map_err(failed("SO_NOSIGPIPE"))?;

        // The address is all that both calls look at. Without a connect, frames would have to be
        // sent with an address each.
        let address = address::ndrv(interface);
        kernel.bind(descriptor.fd(), address.as_bytes()).map_err(|errno| match errno {
            Errno::EADDRNOTAVAIL => Error::NoInterface { interface, call: "bind" },
            errno => failed("bind")(errno),
        })?;
        kernel.connect(descriptor.fd(), address.as_bytes()).map_err(failed("connect"))?;

        let messages = options.batch.then(Messages::default);
        let mut socket = Self { descriptor, interface, frame_max_bytes: 0, messages };
        socket.refresh_mtu()?;
        Ok(socket)
    }

    /// Looks at the interface's MTU again, which bounds what is sent: call it when a kernel event
    /// says that it changed.
    ///
    /// # Errors
    /// [`Error::NoInterface`], [`Error::Refused`].
    pub fn refresh_mtu(&mut self) -> Result<(), Error> {
        let wanted = self.mtu_bytes()?.saturating_add(FRAME_LEEWAY_BYTES);
        self.frame_max_bytes = wanted.min(self.send_buffer_bytes(wanted)?);
        Ok(())
    }

    /// The longest frame that is sent, header included, as of the last look at the MTU.
    #[must_use]
    pub const fn frame_max_bytes(&self) -> usize {
        self.frame_max_bytes
    }

    /// The interface.
    #[must_use]
    pub const fn interface(&self) -> InterfaceName {
        self.interface
    }

    /// The descriptor's number. A kqueue says of it that it is writable, always.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.descriptor.number()
    }

    /// Whether many frames go by one call: as asked, and as far as is known yet.
    #[must_use]
    pub const fn sends_batches(&self) -> bool {
        self.messages.is_some()
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`Error::TooShort`] and [`Error::TooLong`], without asking the kernel; [`Error::Lost`],
    /// [`Error::InterfaceDown`], [`Error::InterfaceGone`].
    pub fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        self.check(frame)?;
        self.write(frame)
    }

    /// Sends frames in order: how many, from the first on, were taken, and why the next was not.
    ///
    /// With `sendmsg_x` up to [`MESSAGES_MAX`](xnu_sys::MESSAGES_MAX) frames go by one call. An
    /// interface that goes down or away in the midst of a call hides how many frames of that call
    /// were sent before: they count as not taken. On macOS 12 a frame that is lost ends the call
    /// and counts as taken: the kernel counts it so.
    ///
    /// # Errors
    /// The second of the pair is as the error of [`send`](Self::send).
    pub fn send_batch(&mut self, frames: &[&[u8]]) -> (usize, Option<Error>) {
        let good = frames.iter().take_while(|frame| self.check(frame).is_ok()).count();
        let mut taken = 0;
        while taken < good {
            match self.send_some(&frames[taken..good]) {
                Ok(count) => taken += count,
                Err(error) => return (taken, Some(error)),
            }
        }
        (taken, frames.get(taken).and_then(|frame| self.check(frame).err()))
    }

    /// Sends at least one of `frames`.
    fn send_some(&mut self, frames: &[&[u8]]) -> Result<usize, Error> {
        let Some(messages) = &mut self.messages else {
            return self.write(frames[0]).map(|()| 1);
        };
        match messages.send(&self.descriptor, frames.iter().copied()) {
            // Up to macOS 13 the kernel forgets the error of a first frame that was lost: it takes
            // the frame's bytes to have been sent (`sendmsg_x`, bsd/kern/uipc_syscalls.c).
            Ok(0) => Err(Error::Lost { interface: self.interface }),
            // A short count is no reason by itself: it is told when the next frame is tried.
            Ok(count) => Ok(count.min(frames.len())),
            Err(Errno::ENOSYS) => {
                self.messages = None;
                self.write(frames[0]).map(|()| 1)
            }
            // Not for this socket? Then one frame alone goes well.
            Err(Errno::EOPNOTSUPP | Errno::EINVAL) => {
                self.write(frames[0])?;
                self.messages = None;
                Ok(1)
            }
            Err(errno) => Err(self.failed("sendmsg_x", errno, frames[0].len())),
        }
    }

    /// A raw socket takes a frame whole or not at all (`PR_ATOMIC`, bsd/net/ndrv.c).
    fn write(&self, frame: &[u8]) -> Result<(), Error> {
        let written = self.descriptor.write(frame);
        written.map(|_| ()).map_err(|errno| self.failed("write", errno, frame.len()))
    }

    fn check(&self, frame: &[u8]) -> Result<(), Error> {
        let (interface, len_bytes) = (self.interface, frame.len());
        if len_bytes < FRAME_MIN_BYTES {
            return Err(Error::TooShort { interface, len_bytes });
        }
        if len_bytes > self.frame_max_bytes {
            return Err(self.too_long(len_bytes));
        }
        Ok(())
    }

    fn failed(&self, call: &'static str, errno: Errno, len_bytes: usize) -> Error {
        let interface = self.interface;
        match errno {
            Errno::ENOBUFS | Errno::ENOMEM => Error::Lost { interface },
            Errno::EMSGSIZE => self.too_long(len_bytes),
            Errno::ENETDOWN => Error::InterfaceDown { interface },
            Errno::ENXIO => Error::InterfaceGone { interface },
            errno => Error::Refused { interface, source: SyscallError { call, errno } },
        }
    }

    const fn too_long(&self, len_bytes: usize) -> Error {
        Error::TooLong { interface: self.interface, len_bytes, max_bytes: self.frame_max_bytes }
    }

    fn mtu_bytes(&self) -> Result<usize, Error> {
        let interface = self.interface;
        let failed = |source| Error::Refused { interface, source };
        let control = Descriptor::control(self.descriptor.kernel().clone()).map_err(failed)?;
        let mut request = ifreq::new(interface);
        control.request(SIOCGIFMTU, &mut request).map_err(|source| match source.errno {
            Errno::ENXIO => Error::NoInterface { interface, call: source.call },
            _ => failed(source),
        })?;
        let mtu = usize::try_from(request.mtu());
        mtu.map_err(|_| failed(SyscallError { call: SIOCGIFMTU.name(), errno: Errno::ERANGE }))
    }

    /// The size of the send buffer, which bounds a frame (`sosendcheck`) and holds none: raised to
    /// `wanted_bytes` if it is smaller, and what the kernel made of that.
    fn send_buffer_bytes(&self, wanted_bytes: usize) -> Result<usize, Error> {
        let (kernel, fd) = (self.descriptor.kernel(), self.descriptor.fd());
        let failed = |errno| {
            let source = SyscallError { call: "SO_SNDBUF", errno };
            Error::Refused { interface: self.interface, source }
        };
        let granted = || {
            let mut value = [0; size_of::<i32>()];
            kernel.getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &mut value).map_err(failed)?;
            usize::try_from(i32::from_ne_bytes(value)).map_err(|_| failed(Errno::ERANGE))
        };
        let now_bytes = granted()?;
        if now_bytes >= wanted_bytes {
            return Ok(now_bytes);
        }
        let value = i32::try_from(wanted_bytes).unwrap_or(i32::MAX).to_ne_bytes();
        kernel.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value).map_err(failed)?;
        granted()
    }
}

impl<K: Kernel> fmt::Debug for Socket<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("interface", &self.interface)
            .field("descriptor", &self.descriptor)
            .field("frame_max_bytes", &self.frame_max_bytes)
            .field("sends_batches", &self.sends_batches())
            .finish()
    }
}
