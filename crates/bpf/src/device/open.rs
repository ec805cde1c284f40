//! From a name to a bound device, in an order that lets no frame past the filter.

use std::ffi::CString;

use xnu_sys::bpf::{
    BIOCGDLT, BIOCIMMEDIATE, BIOCPROMISC, BIOCSBLEN, BIOCSETIF, BIOCSHDRCMPLT, BIOCSSEESENT,
    BIOCVERSION, BPF_MAJOR_VERSION, BPF_MINOR_VERSION, DLT_EN10MB, bpf_version,
};
use xnu_sys::bpf_private::{
    BIOCGDIRECTION, BIOCGWRITEMAX, BIOCSBATCHWRITE, BIOCSDVRTIN, BIOCSNOTSTAMP,
};
use xnu_sys::net_if::ifreq;
use xnu_sys::sys_sockio::SIOCGIFMTU;
use xnu_sys::{BpfDevice, Descriptor, Errno, InterfaceName, Kernel, Plain, Request, SyscallError};

use super::incoming::Incoming;
use super::options::{Capabilities, Options, Wants};
use super::statistics::Tally;
use super::{Device, Error, Place, kernel_words, outgoing};

/// The most BPF devices that a machine has (`BPF_MAX_DEVICES`, XNU `bsd/net/bpf.c`).
pub const DEVICES_MAX: u32 = 256;

/// Opens a free device and binds it.
pub(super) fn open<K: Kernel>(
    kernel: K,
    interface: InterfaceName,
    options: &Options,
) -> Result<Device<K>, Error> {
    let filter = kernel_words(&options.filter).map_err(Error::Filter)?;
    let (descriptor, number) = open_free(&kernel, options.first_device)?;
    let at = Place { device: number, interface };
    check_version(&descriptor, at)?;

    // Before the interface: from the moment it is set, frames come.
    let mut buffer_bytes = options.buffer_bytes;
    set(&descriptor, at, BIOCSBLEN, &mut buffer_bytes)?;
    descriptor.set_filter(&filter, true).map_err(|source| at.refused(source))?;
    set(&descriptor, at, BIOCIMMEDIATE, &mut 1)?;
    set(&descriptor, at, BIOCSSEESENT, &mut u32::from(options.sees_sent))?;
    set(&descriptor, at, BIOCSHDRCMPLT, &mut 1)?;
    let capabilities = Capabilities {
        no_timestamps: !options.timestamps && tried(&descriptor, at, BIOCSNOTSTAMP, 1)?,
        // Wants HDRCMPLT, and traffic class 0, which a device just opened has.
        batch_write: options.batch_write && tried(&descriptor, at, BIOCSBATCHWRITE, 1)?,
        write_max: tried(&descriptor, at, BIOCGWRITEMAX, 0)?,
        direction: tried(&descriptor, at, BIOCGDIRECTION, 0)?,
        drops_input: false,
    };

    let mut device = Device {
        descriptor,
        at,
        wants: Wants { promiscuous: options.promiscuous, drop_input: options.drop_input },
        capabilities,
        mtu_bytes: 0,
        incoming: Incoming::new(usize::try_from(buffer_bytes).unwrap_or(usize::MAX)),
        alone: None,
        tally: Tally::default(),
    };
    bind(&mut device)?;
    Ok(device)
}

/// Binds a device that is set up to its interface.
pub(super) fn bind<K: Kernel>(device: &mut Device<K>) -> Result<(), Error> {
    let (descriptor, at, wants) = (&device.descriptor, device.at, device.wants);
    match descriptor.request(BIOCSETIF, &mut ifreq::new(at.interface)) {
        Ok(()) => {}
        Err(source) if source.errno == Errno::ENXIO => return Err(Error::NoInterface { at }),
        Err(source) => return Err(at.refused(source)),
    }
    device.tally.kernel_restarted();
    device.incoming.clear();
    let mut link_type = 0;
    set(descriptor, at, BIOCGDLT, &mut link_type)?;
    if link_type != DLT_EN10MB {
        return Err(Error::NotEthernet { at, link_type });
    }
    device.capabilities.drops_input = wants.drop_input && drop_input(descriptor, at)?;
    if wants.promiscuous {
        set(descriptor, at, BIOCPROMISC, &mut ())?;
    }
    device.mtu_bytes = mtu_bytes(descriptor.kernel(), at)?;
    device.alone = outgoing::alone(device);
    Ok(())
}

/// The first device that is free, and its number.
///
/// The kernel makes the next device's node when the last one is opened, free or not, so that one
/// that is not there ends the row (`bpfopen`, `bpf_make_dev_t`).
fn open_free<K: Kernel>(kernel: &K, first: u32) -> Result<(Descriptor<K, BpfDevice>, u32), Error> {
    let mut tried = 0;
    for row in [first..DEVICES_MAX, 0..first] {
        for device in row {
            let path = CString::new(format!("/dev/bpf{device}")).unwrap_or_default();
            match Descriptor::open_bpf(kernel.clone(), &path).map_err(|error| error.errno) {
                Ok(descriptor) => return Ok((descriptor, device)),
                Err(Errno::EBUSY) => tried += 1,
                Err(Errno::ENOENT | Errno::ENXIO) => break,
                Err(errno @ (Errno::EACCES | Errno::EPERM)) => {
                    return Err(Error::NotPermitted { device, errno });
                }
                Err(errno) => return Err(Error::Open { device, errno }),
            }
        }
    }
    Err(Error::NoDeviceFree { tried })
}

fn check_version<K: Kernel>(descriptor: &Descriptor<K, BpfDevice>, at: Place) -> Result<(), Error> {
    let mut version = bpf_version::default();
    set(descriptor, at, BIOCVERSION, &mut version)?;
    if is_known(version) {
        return Ok(());
    }
    Err(Error::Version { at, major: version.bv_major, minor: version.bv_minor })
}

/// A filter machine of the same major version takes what those of lesser minor versions take.
const fn is_known(version: bpf_version) -> bool {
    version.bv_major == BPF_MAJOR_VERSION && version.bv_minor >= BPF_MINOR_VERSION
}

/// Keeps what the interface receives from the host's stack; whether the kernel can.
fn drop_input<K: Kernel>(descriptor: &Descriptor<K, BpfDevice>, at: Place) -> Result<bool, Error> {
    match tried(descriptor, at, BIOCSDVRTIN, 1) {
        Err(Error::Refused { source, .. }) if source.errno == Errno::EALREADY => Ok(true),
        result => result,
    }
}

/// The interface's MTU (`SIOCGIFMTU`), by a socket of its own: the device takes no such request.
pub(super) fn mtu_bytes<K: Kernel>(kernel: &K, at: Place) -> Result<u32, Error> {
    let failed = |source| at.refused(source);
    let control = Descriptor::control(kernel.clone()).map_err(failed)?;
    let mut request = ifreq::new(at.interface);
    control.request(SIOCGIFMTU, &mut request).map_err(|source| match source.errno {
        Errno::ENXIO => Error::InterfaceGone { at, call: source.call },
        _ => failed(source),
    })?;
    let mtu = u32::try_from(request.mtu());
    mtu.map_err(|_| failed(SyscallError { call: SIOCGIFMTU.name(), errno: Errno::ERANGE }))
}

fn set<K: Kernel, A: Plain>(
    descriptor: &Descriptor<K, BpfDevice>,
    at: Place,
    request: Request<A, BpfDevice>,
    argument: &mut A,
) -> Result<(), Error> {
    descriptor.request(request, argument).map_err(|source| at.refused(source))
}

/// Issues a request that older kernels do not know; whether this one does.
fn tried<K: Kernel, A: Plain>(
    descriptor: &Descriptor<K, BpfDevice>,
    at: Place,
    request: Request<A, BpfDevice>,
    mut argument: A,
) -> Result<bool, Error> {
    match descriptor.request(request, &mut argument) {
        Ok(()) => Ok(true),
        Err(source) if source.errno == Errno::EINVAL => Ok(false),
        Err(source) => Err(at.refused(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_the_filter_machine() {
        let known = |bv_major, bv_minor| is_known(bpf_version { bv_major, bv_minor });
        assert!(known(1, 1) && known(1, 2));
        assert!(!known(1, 0) && !known(0, 1) && !known(2, 1));
    }
}
