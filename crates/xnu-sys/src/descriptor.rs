//! Descriptors of a kind, and what each kind takes.
#![allow(unsafe_code, reason = "ioctl takes a pointer")]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::marker::PhantomData;

use crate::bpf::{BIOCSETF, BIOCSETFNR, bpf_insn, bpf_program};
use crate::net_if::ifdrv;
use crate::sys_socket::{AF_INET, AF_LOCAL, SOCK_DGRAM};
use crate::sys_sockio::{SIOCGDRVSPEC, SIOCSDRVSPEC};
use crate::{DriverCommand, Errno, InterfaceName, Kernel, Plain, Request, SyscallError};

mod lists;

/// What a descriptor is of; decides which requests it takes.
pub trait Kind: Send + Sync + 'static {}

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident;)*) => {
        $(
            $(#[$meta])*
            #[derive(Debug)]
            pub enum $name {}
            impl Kind for $name {}
        )*
    };
}

kinds! {
    /// A socket for requests about interfaces ([`Descriptor::control`]).
    Control;
    /// `/dev/bpfN`.
    BpfDevice;
    /// A `PF_NDRV` socket.
    Ndrv;
    /// An `AF_UNIX` socket.
    UnixSocket;
    /// A `PF_SYSTEM` socket of kernel events.
    KernelEvents;
    /// A kqueue.
    Kqueue;
}

/// An open descriptor of a kernel and a kind; closed when dropped.
pub struct Descriptor<K: Kernel, T> {
    kernel: K,
    fd: K::Fd,
    kind: PhantomData<fn() -> T>,
}

impl<K: Kernel, T> Descriptor<K, T> {
    /// A descriptor of this kind. Its kind is the caller's word: a request to one of another kind
    /// is refused by the kernel. It compares the whole number, which holds a letter for the kind
    /// and the argument's size, and XNU has none twice (`'i'` with these sizes is for sockets,
    /// `'B'` for BPF, `'e'` for kernel events, `'f'` for all).
    pub fn new(kernel: K, fd: K::Fd) -> Self {
        Self { kernel, fd, kind: PhantomData }
    }

    /// The kernel it is of.
    pub fn kernel(&self) -> &K {
        &self.kernel
    }

    /// The open descriptor.
    pub fn fd(&self) -> &K::Fd {
        &self.fd
    }

    /// The open descriptor, on its own.
    pub fn into_fd(self) -> K::Fd {
        self.fd
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        K::number(&self.fd)
    }

    /// Issues a request with its argument, which the kernel reads, writes or both as the request
    /// says.
    ///
    /// # Errors
    /// What the kernel says, under the request's name.
    pub fn request<A: Plain>(
        &self,
        request: Request<A, T>,
        argument: &mut A,
    ) -> Result<(), SyscallError> {
        let pointer: *mut A = argument;
        // SAFETY: the number encodes A's size (checked where the request was made) and is the one
        // of A in the header it stands in; A is plain data without pointers that the kernel
        // follows; the argument lives across the call and is borrowed by nobody else.
        let result =
            unsafe { self.kernel.ioctl(&self.fd, request.number(), pointer.cast::<c_void>()) };
        result.map_err(|errno| SyscallError { call: request.name(), errno })
    }

    /// Reads; `Err(EAGAIN)` is `None`: nothing is there now.
    ///
    /// # Errors
    /// What else the kernel says.
    pub fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
        match self.kernel.read(&self.fd, buffer) {
            Ok(len) => Ok(Some(len)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Writes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        self.kernel.write(&self.fd, bytes)
    }

    /// Sets a socket's option that is a number, such as `SO_SNDBUF` of `SOL_SOCKET`. What was
    /// granted may be less: [`Self::option_u32`].
    ///
    /// # Errors
    /// What `setsockopt` says. `ENOBUFS`: more than the kernel allows, up to macOS 14.3.
    pub fn set_option_u32(&self, level: i32, name: i32, value: u32) -> Result<(), SyscallError> {
        let result = self.kernel.setsockopt(&self.fd, level, name, &value.to_ne_bytes());
        result.map_err(|errno| SyscallError { call: "setsockopt", errno })
    }

    /// A socket's option that is a number.
    ///
    /// # Errors
    /// What `getsockopt` says.
    pub fn option_u32(&self, level: i32, name: i32) -> Result<u32, SyscallError> {
        let mut value = [0; 4];
        let result = self.kernel.getsockopt(&self.fd, level, name, &mut value);
        result.map_err(|errno| SyscallError { call: "getsockopt", errno })?;
        Ok(u32::from_ne_bytes(value))
    }

    /// Makes the descriptor non-blocking and keeps it from programs that this one starts.
    ///
    /// # Errors
    /// What `fcntl` says.
    pub fn set_nonblocking_and_cloexec(&self) -> Result<(), SyscallError> {
        use crate::sys_fcntl::{F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC, O_NONBLOCK};
        let failed = |errno| SyscallError { call: "fcntl", errno };
        self.kernel.fcntl(&self.fd, F_SETFD, FD_CLOEXEC).map_err(failed)?;
        let flags = self.kernel.fcntl(&self.fd, F_GETFL, 0).map_err(failed)?;
        self.kernel.fcntl(&self.fd, F_SETFL, flags | O_NONBLOCK).map_err(failed)?;
        Ok(())
    }
}

impl<K: Kernel> Descriptor<K, Control> {
    /// A socket for requests about interfaces: `AF_LOCAL`, so that no protocol's own requests get
    /// in the way (`soioctl` and `ifioctl`, XNU `bsd/kern/sys_socket.c`, `bsd/net/if.c`).
    ///
    /// # Errors
    /// When the process or the system has no descriptor left.
    pub fn control(kernel: K) -> Result<Self, SyscallError> {
        Self::control_of(kernel, AF_LOCAL)
    }

    /// A socket for the requests that IPv4 itself answers: `SIOCAIFADDR`, `SIOCDIFADDR`,
    /// `SIOCGIFADDR`.
    ///
    /// # Errors
    /// As [`Self::control`].
    pub fn control_of_ipv4(kernel: K) -> Result<Self, SyscallError> {
        Self::control_of(kernel, AF_INET)
    }

    fn control_of(kernel: K, family: i32) -> Result<Self, SyscallError> {
        let fd = kernel
            .socket(family, SOCK_DGRAM, 0)
            .map_err(|errno| SyscallError { call: "socket", errno })?;
        let this = Self::new(kernel, fd);
        this.set_nonblocking_and_cloexec()?;
        Ok(this)
    }

    /// Has the driver of `interface` carry out a command, whose argument it reads or writes.
    /// Commands are numbers, and another driver may mean something else by one; each of XNU's that
    /// takes any (bridge, feth, headless, rd, pktap, iptap) heeds the argument's length, so that it
    /// writes nowhere else.
    ///
    /// # Errors
    /// What the kernel says, under the command's name: for each command the header has the list.
    pub fn driver_command<A: Plain>(
        &self,
        interface: InterfaceName,
        command: DriverCommand<A>,
        argument: &mut A,
    ) -> Result<(), SyscallError> {
        let pointer: *mut A = argument;
        let mut spec = ifdrv {
            ifd_name: interface.bytes(),
            ifd_cmd: command.number(),
            ifd_len: size_of::<A>() as u64,
            ifd_data: pointer.expose_provenance() as u64,
        };
        let request = if command.sets() { SIOCSDRVSPEC } else { SIOCGDRVSPEC };
        let spec: *mut ifdrv = &raw mut spec;
        // SAFETY: the request takes an ifdrv; its data points to an A of the length given, which is
        // plain data, lives across the call and is borrowed by nobody else. Commands whose argument
        // holds a pointer are not public: `lists` makes such arguments itself.
        let result =
            unsafe { self.kernel.ioctl(&self.fd, request.number(), spec.cast::<c_void>()) };
        result.map_err(|errno| SyscallError { call: command.name(), errno })
    }
}

impl<K: Kernel> Descriptor<K, BpfDevice> {
    /// Opens `/dev/bpfN`, for reading and writing.
    ///
    /// # Errors
    /// `EBUSY`: somebody has it; `EACCES`: its permissions; `ENOENT`: there are not so many;
    /// `EINVAL`: the path is no such.
    pub fn open_bpf(kernel: K, path: &CStr) -> Result<Self, SyscallError> {
        use crate::sys_fcntl::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
        let failed = |errno| SyscallError { call: "open", errno };
        let unit = path.to_bytes().strip_prefix(b"/dev/bpf").unwrap_or_default();
        if unit.is_empty() || !unit.iter().all(u8::is_ascii_digit) {
            return Err(failed(Errno::EINVAL));
        }
        let fd = kernel.open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC).map_err(failed)?;
        Ok(Self::new(kernel, fd))
    }

    /// Sets the filter: with `flush`, by `BIOCSETF`, which throws away what was captured and zeroes
    /// the counters; without, by `BIOCSETFNR`.
    ///
    /// # Errors
    /// `EINVAL`: the kernel does not take the program.
    pub fn set_filter(&self, program: &[bpf_insn], flush: bool) -> Result<(), SyscallError> {
        let request = if flush { BIOCSETF } else { BIOCSETFNR };
        let failed = |errno| SyscallError { call: request.name(), errno };
        let bf_len = u32::try_from(program.len()).map_err(|_| failed(Errno::EINVAL))?;
        let bf_insns = program.as_ptr().expose_provenance() as u64;
        let mut argument = bpf_program { bf_len, bf_pad0: 0, bf_insns };
        let argument: *mut bpf_program = &raw mut argument;
        // SAFETY: the request takes a bpf_program; its pointer is valid for reading `bf_len`
        // instructions, which live across the call.
        let result =
            unsafe { self.kernel.ioctl(&self.fd, request.number(), argument.cast::<c_void>()) };
        result.map_err(failed)
    }
}

impl<K: Kernel, T> fmt::Debug for Descriptor<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        write!(f, "{kind}({})", self.number())
    }
}
