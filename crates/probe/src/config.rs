//! What a guest is made from.

use std::net::IpAddr;

use crate::cidr::Cidr;
use crate::error::ConfigError;
use crate::mac::MacAddress;

/// How many addresses a guest holds, its own link-local one included.
pub const ADDRESSES_MAX: usize = 8;

/// The description of a guest. Only the MAC address has no default.
///
/// ```
/// use probe::{GuestConfig, MacAddress};
///
/// let config = GuestConfig::new(MacAddress::local(1))
///     .with_address("192.0.2.1/24".parse()?)
///     .with_mtu(9000);
/// assert_eq!(config.mtu, 9000);
/// # Ok::<(), probe::CidrParseError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GuestConfig {
    /// The card's address: unicast.
    pub mac: MacAddress,
    /// The guest's addresses; the link-local one made from `mac` is added to them.
    pub addresses: Vec<Cidr>,
    /// Default gateways: at most one of each family counts, the last.
    pub gateways: Vec<IpAddr>,
    /// The largest packet in bytes, without the Ethernet header: 68 to 65,535; 1500.
    pub mtu: usize,
    /// Each TCP connection's receive and send buffer, in bytes, from 4 KiB to 64 MiB; 512 KiB.
    pub tcp_buffer_bytes: usize,
    /// Whether the guest serves TCP: throughput, echo, discard and chargen; no.
    pub serves: bool,
    /// Whether the guest keeps an account of what it sees ([`crate::Event`]); no.
    pub tells: bool,
    /// What port numbers, sequence numbers and identifiers are drawn from. A simulation fixes it.
    pub seed: u64,
}

impl GuestConfig {
    /// A guest with this MAC address and its link-local address alone.
    #[must_use]
    pub fn new(mac: MacAddress) -> Self {
        let [a, b, c, d, e, f] = mac.octets();
        Self {
            mac,
            addresses: Vec::new(),
            gateways: Vec::new(),
            mtu: 1500,
            tcp_buffer_bytes: 512 * 1024,
            serves: false,
            tells: false,
            seed: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
        }
    }

    /// Adds an address.
    #[must_use]
    pub fn with_address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// Adds a default gateway.
    #[must_use]
    pub fn with_gateway(mut self, gateway: IpAddr) -> Self {
        self.gateways.push(gateway);
        self
    }

    /// Sets the MTU.
    #[must_use]
    pub const fn with_mtu(mut self, mtu_bytes: usize) -> Self {
        self.mtu = mtu_bytes;
        self
    }

    /// Sets the size of the TCP buffers.
    #[must_use]
    pub const fn with_tcp_buffer(mut self, bytes: usize) -> Self {
        self.tcp_buffer_bytes = bytes;
        self
    }

    /// Makes the guest serve TCP ([`crate::services`]).
    #[must_use]
    pub const fn serving(mut self) -> Self {
        self.serves = true;
        self
    }

    /// Makes the guest keep an account of what it sees.
    #[must_use]
    pub const fn telling(mut self) -> Self {
        self.tells = true;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether the MAC address, the MTU and the number and kind of the addresses are possible.
    ///
    /// # Errors
    /// What is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.mac.is_unicast() {
            return Err(ConfigError::Mac(self.mac));
        }
        if !(MTU_MIN..=MTU_MAX).contains(&self.mtu) {
            return Err(ConfigError::Mtu(self.mtu));
        }
        let link_local = IpAddr::V6(self.mac.link_local());
        let others = self.addresses.iter().filter(|cidr| cidr.address() != link_local);
        let count = others.count() + 1;
        if count > ADDRESSES_MAX {
            return Err(ConfigError::Addresses(count));
        }
        let addresses = self.addresses.iter().map(Cidr::address);
        for address in addresses.chain(self.gateways.iter().copied()) {
            check_unicast(address)?;
        }
        Ok(())
    }
}

pub(crate) fn check_unicast(address: IpAddr) -> Result<(), ConfigError> {
    let unicast = match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    };
    if unicast && !address.is_unspecified() { Ok(()) } else { Err(ConfigError::Address(address)) }
}

/// What every IPv4 link carries (RFC 791, 3.2). IPv6 asks for 1280 (RFC 8200, 5).
const MTU_MIN: usize = 68;
/// The length field of an IPv4 packet ends there.
const MTU_MAX: usize = 65_535;
