//! `/dev/bpfN`: the BPF device of XNU (`bsd/net/bpf.c`).

mod error;
mod incoming;
mod open;
mod options;
mod outgoing;
mod statistics;

use xnu_sys::bpf::{BIOCGETIF, bpf_insn};
use xnu_sys::net_if::ifreq;
use xnu_sys::{BpfDevice, Descriptor, Errno, Host, InterfaceName, Kernel};

pub use error::{Error, Place};
pub use incoming::Records;
pub use open::DEVICES_MAX;
pub use options::{Capabilities, Options};
pub use statistics::Statistics;

use crate::capture::BatchWriter;
use crate::program::Program;
use crate::verify::{Dialect, VerifyError};
use incoming::Incoming;
use statistics::Tally;

/// A BPF device bound to an Ethernet interface: reads what the interface receives, many frames by
/// one call, and writes whole frames to it.
///
/// ```no_run
/// let mut device = bpf::Device::open("en0")?;
/// while let Some(records) = device.read()? {
///     for record in records {
///         println!("{} bytes: {:02x?}", record.datalen_bytes, record.frame);
///     }
/// }
/// // Nothing is left: wait for `device.descriptor()` in a kqueue (EVFILT_READ), then read again.
/// # Ok::<(), bpf::device::Error>(())
/// ```
///
/// What a reader may not expect:
///
/// - An interface that goes away wakes nobody: no event of a kqueue, nothing but
///   [`Error::InterfaceGone`] of the next read, and that only once the kernel has taken the device
///   off it, a while after the interface's name is free (until then reads are drained, and writes
///   say [`Error::InterfaceDown`]). Watch kernel events, and [`rebind`](Self::rebind) when the
///   interface is there again.
/// - A kqueue takes the descriptor only now that it is bound, and only once (`bpfkqfilter`).
/// - All BPF devices of a machine share one lock, and there are at most [`DEVICES_MAX`].
/// - Frames that the interface *sends* are not read, this device's own among them, unless
///   [`Options::sees_sent`] says so.
pub struct Device<K: Kernel = Host> {
    descriptor: Descriptor<K, BpfDevice>,
    at: Place,
    wants: options::Wants,
    capabilities: Capabilities,
    mtu_bytes: u32,
    incoming: Incoming,
    /// Where a frame alone becomes a record, once every write is a batch.
    alone: Option<BatchWriter>,
    tally: Tally,
}

impl Device {
    /// Opens the first free device of this Mac on an interface, with [`Options::default`].
    ///
    /// Root may do this, or who may read and write `/dev/bpf*`; what is open stays of use when the
    /// process stops being root.
    ///
    /// # Errors
    /// [`Error`]; off macOS always.
    pub fn open(interface: &str) -> Result<Self, Error> {
        let interface = interface.parse().map_err(Error::InvalidName)?;
        Self::open_on(Host, interface, &Options::default())
    }
}

impl<K: Kernel> Device<K> {
    /// Opens the first free device of `kernel` on `interface`.
    ///
    /// The filter and the direction are set before the interface is (`BIOCSETF`, `BIOCSSEESENT`,
    /// then `BIOCSETIF`), so that no frame gets past them.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open_on(kernel: K, interface: InterfaceName, options: &Options) -> Result<Self, Error> {
        open::open(kernel, interface, options)
    }

    /// Binds the device to `interface`, another or one that was made again under the name of the
    /// one that is gone. What was captured and not read is lost; filter and settings stay.
    ///
    /// # Errors
    /// [`Error::NoInterface`] and others; the device is then bound as before, or to nothing.
    pub fn rebind(&mut self, interface: InterfaceName) -> Result<(), Error> {
        // BIOCSETIF zeroes the kernel's counters. If they cannot be had, they are not counted.
        drop(self.statistics());
        self.at.interface = interface;
        open::bind(self)
    }

    /// Has the kernel pass the frames that `filter` accepts, from the next one on; what was
    /// captured before stays (`BIOCSETFNR`).
    ///
    /// # Errors
    /// [`Error::Filter`]: XNU would not take the program.
    pub fn set_filter(&mut self, filter: &Program) -> Result<(), Error> {
        let words = kernel_words(filter).map_err(Error::Filter)?;
        self.descriptor.set_filter(&words, false).map_err(|source| self.at.refused(source))
    }

    /// The interface that the device is bound to, as the kernel says (`BIOCGETIF`); `None` when
    /// that is gone.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn interface(&self) -> Result<Option<InterfaceName>, Error> {
        let mut request = ifreq::new(self.at.interface);
        match self.descriptor.request(BIOCGETIF, &mut request) {
            Ok(()) => Ok(InterfaceName::from_bytes(&request.ifr_name).ok()),
            Err(source) if source.errno == Errno::EINVAL => Ok(None),
            Err(source) => Err(self.at.refused(source)),
        }
    }

    /// The device's number and the interface that it was last bound to.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.at
    }

    /// What this kernel can do, of what was asked for.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    /// The descriptor's number, for a kqueue.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.descriptor.number()
    }

    /// How many bytes the kernel holds in each of two buffers, and gives by one read: what it made
    /// of [`Options::buffer_bytes`].
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.incoming.len_bytes()
    }
}

impl<K: Kernel> std::fmt::Debug for Device<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device")
            .field("at", &self.at)
            .field("descriptor", &self.descriptor)
            .field("capabilities", &self.capabilities)
            .field("mtu_bytes", &self.mtu_bytes)
            .finish_non_exhaustive()
    }
}

/// A program as the kernel's words, if it is one for XNU.
fn kernel_words(program: &Program) -> Result<Vec<bpf_insn>, VerifyError> {
    program.verify(Dialect::Xnu)?;
    let word = |insn: &crate::insn::RawInsn| bpf_insn {
        code: insn.code,
        jt: insn.jt,
        jf: insn.jf,
        k: insn.k,
    };
    Ok(program.words().iter().map(word).collect())
}
