//! Requests about interfaces, one method for each, with Rust's types and the kernel's errors.

use xnu_sys::net_if::ifreq;
use xnu_sys::net_if_private::{IFRTYPE_SUBFAMILY_WIFI, if_descreq};
use xnu_sys::sys_sockio::{
    SIOCGIFDEVMTU, SIOCGIFFLAGS, SIOCGIFMTU, SIOCIFCREATE, SIOCIFDESTROY, SIOCSIFFLAGS,
    SIOCSIFLLADDR, SIOCSIFMTU,
};
use xnu_sys::sys_sockio_private::{SIOCGIFDESC, SIOCGIFTYPE, SIOCSIFDESC};
use xnu_sys::{Descriptor, Errno, InterfaceName, Kernel, Request, SyscallError};

use super::media::Media;

type Result<T> = std::result::Result<T, SyscallError>;

/// What `SIOCGIFTYPE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InterfaceType {
    /// `if_type`: `IFT_*`.
    pub(super) kind: u32,
    /// `IFRTYPE_FAMILY_*`.
    pub(super) family: u32,
}

/// The socket on which everything is asked; what it asks of drivers is in `driver.rs`.
#[derive(Debug)]
pub(super) struct Control<K: Kernel> {
    pub(super) socket: Descriptor<K, xnu_sys::Control>,
}

impl<K: Kernel> Control<K> {
    pub(super) fn open(kernel: K) -> Result<Self> {
        Ok(Self { socket: Descriptor::control(kernel)? })
    }

    pub(super) fn kernel(&self) -> &K {
        self.socket.kernel()
    }

    /// `IFF_*`.
    pub(super) fn flags(&self, name: InterfaceName) -> Result<u32> {
        Ok(self.ask(SIOCGIFFLAGS, ifreq::new(name))?.flags())
    }

    pub(super) fn set_flags(&self, name: InterfaceName, flags: u32) -> Result<()> {
        self.ask(SIOCSIFFLAGS, ifreq::new(name).with_flags(flags)).map(|_| ())
    }

    pub(super) fn mtu(&self, name: InterfaceName) -> Result<u32> {
        Ok(self.ask(SIOCGIFMTU, ifreq::new(name))?.value_u32(0))
    }

    pub(super) fn set_mtu(&self, name: InterfaceName, mtu: u32) -> Result<()> {
        self.ask(SIOCSIFMTU, ifreq::new(name).with_mtu(mtu)).map(|_| ())
    }

    /// The smallest and the largest MTU that the driver takes.
    pub(super) fn mtu_range(&self, name: InterfaceName) -> Result<(u32, u32)> {
        let limits = self.ask(SIOCGIFDEVMTU, ifreq::new(name))?.devmtu();
        // A limit below zero is none.
        let limit = |value: i32, none| u32::try_from(value).unwrap_or(none);
        Ok((limit(limits.ifdm_min, 0), limit(limits.ifdm_max, u32::MAX)))
    }

    pub(super) fn type_of(&self, name: InterfaceName) -> Result<InterfaceType> {
        let answer = self.ask(SIOCGIFTYPE, ifreq::new(name))?;
        Ok(InterfaceType { kind: answer.value_u32(0), family: answer.value_u32(1) })
    }

    pub(super) fn is_wireless(&self, name: InterfaceName) -> Result<bool> {
        let answer = self.ask(SIOCGIFTYPE, ifreq::new(name))?;
        Ok(answer.value_u32(2) == IFRTYPE_SUBFAMILY_WIFI)
    }

    pub(super) fn media(&self, name: InterfaceName) -> Result<Media> {
        let mut list = Vec::new();
        let state = self.socket.media(name, &mut list)?;
        Ok(Media::of(state.ifm_status, state.ifm_active, list))
    }

    /// Gives an interface another link-layer address.
    pub(super) fn set_mac(&self, name: InterfaceName, mac: [u8; 6]) -> Result<()> {
        // The length is the address's, not that of the whole (`ifnet_set_lladdr_internal`).
        let [a, b, c, d, e, f] = mac;
        let address = [6, AF_LINK, a, b, c, d, e, f];
        self.ask(SIOCSIFLLADDR, ifreq::new(name).with_address(&address)).map(|_| ())
    }

    pub(super) fn description(&self, name: InterfaceName) -> Result<Vec<u8>> {
        let mut argument = if_descreq { ifdr_name: name.bytes(), ..if_descreq::default() };
        self.socket.request(SIOCGIFDESC, &mut argument)?;
        let len = usize::try_from(argument.ifdr_len).unwrap_or(usize::MAX);
        Ok(argument.ifdr_desc[..len.min(argument.ifdr_desc.len())].to_vec())
    }

    /// `text` has `IF_DESCSIZE` bytes at most; the rest is `EINVAL`, as the kernel says it.
    pub(super) fn set_description(&self, name: InterfaceName, text: &[u8]) -> Result<()> {
        let mut argument = if_descreq { ifdr_name: name.bytes(), ..if_descreq::default() };
        let too_long = SyscallError { call: SIOCSIFDESC.name(), errno: Errno::EINVAL };
        argument.ifdr_len = u32::try_from(text.len()).map_err(|_| too_long)?;
        argument.ifdr_desc.get_mut(..text.len()).ok_or(too_long)?.copy_from_slice(text);
        self.socket.request(SIOCSIFDESC, &mut argument)
    }

    /// Makes the interface of this name.
    pub(super) fn create(&self, name: InterfaceName) -> Result<()> {
        self.ask(SIOCIFCREATE, ifreq::new(name)).map(|_| ())
    }

    pub(super) fn destroy(&self, name: InterfaceName) -> Result<()> {
        self.ask(SIOCIFDESTROY, ifreq::new(name)).map(|_| ())
    }

    pub(super) fn cloners(&self) -> Result<Vec<InterfaceName>> {
        self.socket.cloners()
    }

    fn ask(&self, request: Request<ifreq, xnu_sys::Control>, mut argument: ifreq) -> Result<ifreq> {
        self.socket.request(request, &mut argument)?;
        Ok(argument)
    }
}

/// `AF_LINK` as a socket address's family byte (`bsd/sys/socket.h`).
const AF_LINK: u8 = 18;
const _: () = assert!(AF_LINK as i32 == xnu_sys::sys_socket::AF_LINK);
