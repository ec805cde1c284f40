//! The descriptors of an uplink on one interface: how they are opened.

use xnu_sys::{Host, InterfaceName, Kernel, NameError};

use crate::mac::MacAddr;

/// What an uplink holds of an interface while that is there.
#[derive(Debug)]
pub struct Link<K: Kernel = Host> {
    /// Receives; sends many frames by one call where the kernel can (macOS 14.1).
    pub device: bpf::Device<K>,
    /// Sends the rest.
    pub socket: ndrv::Socket<K>,
}

/// How a link is opened, the first time and again.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// With addresses, nobody else is behind the switch, and the kernel passes what is for one of
    /// them or for a group, multicast included: IPv6 does not work without that.
    pub addresses: Option<Vec<MacAddr>>,
    /// Whether the interface is the switch's own end of a feth pair: then what it receives is kept
    /// from the host's stack where the kernel can. Otherwise it is an interface of the host's,
    /// which is made promiscuous.
    pub is_own_feth: bool,
}

/// A link that cannot be opened. Prints with what to do about it, where that is known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No interface can have this name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The addresses do not fit a filter.
    #[error("filter for {addresses} addresses: {source}")]
    Filter {
        /// How many there are.
        addresses: usize,
        /// Why.
        source: bpf::stock::StockError,
    },
    /// BPF.
    #[error("{source}{}", advice(.source.to_do()))]
    Device {
        /// Why.
        #[from]
        source: bpf::device::Error,
    },
    /// NDRV.
    #[error("{source}{}", advice(.source.to_do()))]
    Socket {
        /// Why.
        #[from]
        source: ndrv::Error,
    },
}

fn advice(to_do: Option<String>) -> String {
    to_do.map(|to_do| format!(" ({to_do})")).unwrap_or_default()
}

/// More addresses than this are not filtered by the kernel: so many fit whatever they are
/// (`bpf::stock::to_macs`).
pub const FILTER_ADDRESSES_MAX: usize = 101;

impl<K: Kernel> Link<K> {
    /// Opens a BPF device and an NDRV socket on `interface`.
    ///
    /// # Errors
    /// [`LinkError`]; nothing is left open then.
    pub fn open(kernel: K, interface: &str, options: &LinkOptions) -> Result<Self, LinkError> {
        let name: InterfaceName = interface.parse()?;
        let device_options = bpf::device::Options {
            filter: filter(options.addresses.as_deref())?,
            promiscuous: !options.is_own_feth,
            drop_input: options.is_own_feth,
            ..bpf::device::Options::default()
        };
        let device = bpf::Device::open_on(kernel.clone(), name, &device_options)?;
        let socket = ndrv::Socket::open_on(kernel, name, &ndrv::Options::default())?;
        Ok(Self { device, socket })
    }

    /// Has the kernel pass what is for other addresses from now on; what was captured stays.
    ///
    /// # Errors
    /// [`LinkError`]; the old filter is in force then.
    pub fn set_addresses(&mut self, addresses: Option<&[MacAddr]>) -> Result<(), LinkError> {
        Ok(self.device.set_filter(&filter(addresses)?)?)
    }
}

fn filter(addresses: Option<&[MacAddr]>) -> Result<bpf::Program, LinkError> {
    match addresses {
        Some(addresses) if addresses.len() <= FILTER_ADDRESSES_MAX => {
            let macs: Vec<[u8; 6]> = addresses.iter().map(|mac| mac.0).collect();
            bpf::stock::to_macs(&macs, bpf::Dialect::Xnu)
                .map_err(|source| LinkError::Filter { addresses: macs.len(), source })
        }
        _ => Ok(bpf::stock::accept_all()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever they are: the longest filter is that of addresses that have nothing in common.
    #[test]
    fn so_many_addresses_are_filtered_and_more_are_not() {
        let macs: Vec<MacAddr> = (0..=FILTER_ADDRESSES_MAX)
            .map(|number| {
                let number = u64::try_from(number).unwrap() + 1;
                let bytes = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                MacAddr([bytes[0] & 0xfe, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]])
            })
            .collect();
        let all = bpf::stock::accept_all();
        assert_ne!(filter(Some(&macs[..FILTER_ADDRESSES_MAX])).unwrap(), all);
        assert_eq!(filter(Some(&macs)).unwrap(), all);
        assert_eq!(filter(None).unwrap(), all);
        assert_ne!(filter(Some(&[])).unwrap(), all);
    }

    #[test]
    fn a_link_that_cannot_be_had_says_what_to_do() {
        let kernel = xnu_sim::SimKernel::boot(xnu_sim::MacOs::V15, 1);
        kernel.drop_privileges();
        let refused = Link::open(kernel, "lo0", &LinkOptions::default()).unwrap_err();
        let LinkError::Device { source } = &refused else { panic!("{refused:?}") };
        let to_do = source.to_do().expect("something to do");
        assert_eq!(refused.to_string(), format!("{source} ({to_do})"));
    }
}
