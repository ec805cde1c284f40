//! Requests about interfaces (`ifioctl`, `ifioctl_ifreq`, `bsd/net/if.c`; contract §1a).

use super::IfId;
use super::interface::{Driver, capability, flags};
use super::lifecycle::CLONERS;
use super::media;
use super::requests as r;
use super::requests::DriverSpec;
use crate::copyio::{CallerMemory, Raw, RawMut};
use crate::errno::{EADDRNOTAVAIL, EINVAL, ENOENT, ENXIO, EOPNOTSUPP, EPERM, Result};
use crate::event_socket::code;
use crate::machine::Machine;
use crate::process::ProcessId;

/// Where an `ifreq` has its value.
const VALUE_AT: usize = 16;

const AF_UNSPEC: u8 = 0;
const AF_LINK: u8 = 18;

impl Machine {
    /// A request about interfaces on any socket. `argument` is the caller's, of the size that the
    /// request encodes, copied in; what it is when this returns is copied out.
    pub(crate) fn interface_ioctl(
        &mut self,
        process: ProcessId,
        request: u64,
        argument: &mut [u8],
        memory: &CallerMemory,
    ) -> Result<()> {
        let is_root = self.processes.of(process).is_root;
        if request >> 8 & 0xff != u64::from(b'i') {
            // No socket here has a protocol that takes others (`soioctl`).
            return Err(EOPNOTSUPP);
        }
        match request {
            r::SIOCGIFCONF => return self.ioctl_conf(argument, memory),
            r::SIOCIFGCLONERS => return cloners(argument, memory),
            r::SIOCIFCREATE | r::SIOCIFCREATE2 => {
                root(is_root)?;
                let name = self.clone_create(&argument.text_at(0, 15))?;
                argument.put_text(0, 16, &name);
                return Ok(());
            }
            r::SIOCIFDESTROY => {
                root(is_root)?;
                return self.clone_destroy(&argument.text_at(0, 15));
            }
            _ => {}
        }
        let id = self.net.find(&argument.text_at(0, 15)).ok_or(ENXIO)?;
        match request {
            r::SIOCGIFFLAGS
            | r::SIOCGIFEFLAGS
            | r::SIOCGIFXFLAGS
            | r::SIOCGIFCAP
            | r::SIOCGIFMTU
            | r::SIOCGIFLLADDR
            | r::SIOCGIFTYPE
            | r::SIOCGIFFUNCTIONALTYPE
            | r::SIOCGIFDEVMTU => self.ioctl_get(id, request, argument),
            r::SIOCGIFDESC => {
                self.description(id, argument);
                Ok(())
            }
            r::SIOCGIFMEDIA => self.ioctl_media(id, argument, memory, false),
            r::SIOCGIFXMEDIA => self.ioctl_media(id, argument, memory, true),
            r::SIOCSIFDESC => self.set_description(is_root, id, argument),
            r::SIOCSDRVSPEC | r::SIOCGDRVSPEC => {
                let spec = DriverSpec::decode(request, argument);
                self.driver_spec(is_root, id, &spec, memory)
            }
            _ => self.ioctl_set(is_root, id, request, argument),
        }
    }

    fn ioctl_get(&mut self, id: IfId, request: u64, argument: &mut [u8]) -> Result<()> {
        let interface = &self.net[id];
        match request {
            r::SIOCGIFFLAGS => argument.put_u16(VALUE_AT, interface.flags),
            r::SIOCGIFEFLAGS => argument.put_u64(VALUE_AT, u64::from(interface.eflags)),
            r::SIOCGIFXFLAGS => argument.put_u64(VALUE_AT, u64::from(interface.xflags)),
            r::SIOCGIFCAP => {
                argument.put_u32(VALUE_AT, interface.capabilities);
                argument.put_u32(VALUE_AT + 4, interface.capabilities_enabled);
            }
            r::SIOCGIFMTU => argument.put_u32(VALUE_AT, interface.mtu),
            r::SIOCGIFLLADDR => {
                let mac = interface.mac.ok_or(EADDRNOTAVAIL)?;
                argument.put(VALUE_AT, &[0; 16]);
                argument.put(VALUE_AT, &[6, AF_LINK]);
                argument.put(VALUE_AT + 2, &mac);
            }
            r::SIOCGIFTYPE => {
                argument.put_u32(VALUE_AT, u32::from(interface.kind));
                argument.put_u32(VALUE_AT + 4, interface.family);
                argument.put_u32(VALUE_AT + 8, interface.subfamily);
            }
            r::SIOCGIFFUNCTIONALTYPE => {
                argument.put_u32(VALUE_AT, functional_type(interface));
            }
            _ => return self.ioctl_device_mtu(id, argument),
        }
        Ok(())
    }

    fn ioctl_set(
        &mut self,
        is_root: bool,
        id: IfId,
        request: u64,
        argument: &mut [u8],
    ) -> Result<()> {
        match request {
            r::SIOCSIFFLAGS => {
                root(is_root)?;
                self.ioctl_set_flags(id, argument.u16_at(VALUE_AT));
                Ok(())
            }
            r::SIOCSIFMTU => self.ioctl_set_mtu(is_root, id, argument),
            r::SIOCSIFCAP => {
                root(is_root)?;
                self.ioctl_set_capabilities(id, argument.u32_at(VALUE_AT))
            }
            r::SIOCADDMULTI | r::SIOCDELMULTI => {
                root(is_root)?;
                self.ioctl_group(id, request == r::SIOCADDMULTI, argument)
            }
            r::SIOCSIFMEDIA => {
                root(is_root)?;
                // `IFM_OTHER` is ignored without a word; no driver here takes another.
                let is_ignored = argument.u32_at(VALUE_AT) == media::OTHER;
                if is_ignored { Ok(()) } else { Err(EOPNOTSUPP) }
            }
            r::SIOCSIFLLADDR => {
                root(is_root)?;
                self.ioctl_set_mac(id, argument)
            }
            // Its body is in debug kernels only (contract §1a).
            r::SIOCSIFDISABLEINPUT if self.can.bpf_drop_input => Err(EINVAL),
            // Addresses: a socket of their family must ask. Status, and what is not known: no
            // driver here takes it.
            _ => Err(EOPNOTSUPP),
        }
    }

    /// `SIOCSIFCAP`: a feth takes it when it was made with `lro` (contract §4).
    fn ioctl_set_capabilities(&mut self, id: IfId, wanted: u32) -> Result<()> {
        let interface = &mut self.net[id];
        if wanted & !interface.capabilities != 0 {
            return Err(EINVAL);
        }
        if !interface.feth().is_some_and(|feth| feth.has_lro) {
            return Err(EOPNOTSUPP);
        }
        self.set_lro(id, wanted & capability::LRO != 0);
        Ok(())
    }

    /// Switches LRO of an interface that has it.
    pub(super) fn set_lro(&mut self, id: IfId, is_on: bool) {
        let interface = &mut self.net[id];
        interface.capabilities_enabled &= !capability::LRO;
        if is_on {
            interface.capabilities_enabled |= capability::LRO;
        }
        self.post_interface_event(id, code::IFCAP_CHANGED);
    }

    /// `SIOCADDMULTI` and `SIOCDELMULTI`: feth, bridge and cards take any group.
    fn ioctl_group(&mut self, id: IfId, joins: bool, argument: &[u8]) -> Result<()> {
        let interface = &mut self.net[id];
        if !interface.has(flags::MULTICAST) {
            return Err(EOPNOTSUPP);
        }
        let group_at = match argument.u8_at(VALUE_AT + 1) {
            AF_UNSPEC => VALUE_AT + 2,
            AF_LINK => VALUE_AT + 8 + usize::from(argument.u8_at(VALUE_AT + 5)),
            _ => return Err(EINVAL),
        };
        let group: Vec<u8> = (group_at..group_at + 6).map(|at| argument.u8_at(at)).collect();
        let known = interface.groups.iter().position(|(known, _)| *known == group);
        match (joins, known) {
            (true, Some(at)) => interface.groups[at].1 += 1,
            (true, None) if group[0] & 1 == 0 => return Err(EADDRNOTAVAIL),
            (true, None) => interface.groups.push((group, 1)),
            (false, None) => return Err(ENOENT),
            (false, Some(at)) => {
                interface.groups[at].1 -= 1;
                interface.groups.retain(|(_, count)| *count > 0);
            }
        }
        self.post_interface_event(id, if joins { code::ADDMULTI } else { code::DELMULTI });
        Ok(())
    }

    /// `SIOCSIFLLADDR`: `sa_len` is the address's length, 6 (contract §1a); with 0 the interface
    /// has none any more (`ifnet_set_lladdr_internal`).
    fn ioctl_set_mac(&mut self, id: IfId, argument: &[u8]) -> Result<()> {
        if matches!(self.net[id].driver, Driver::Loopback) {
            return Err(EOPNOTSUPP);
        }
        let mut mac = [0; 6];
        for (at, byte) in mac.iter_mut().enumerate() {
            *byte = argument.u8_at(VALUE_AT + 2 + at);
        }
        self.net[id].mac = match argument.u8_at(VALUE_AT) {
            0 => None,
            6 => Some(mac),
            _ => return Err(EINVAL),
        };
        self.post_interface_event(id, code::LINK_ADDRESS_CHANGED);
        Ok(())
    }

    fn driver_spec(
        &mut self,
        is_root: bool,
        id: IfId,
        spec: &DriverSpec,
        memory: &CallerMemory,
    ) -> Result<()> {
        match self.net[id].driver {
            Driver::Feth(_) => self.feth_driver_spec(is_root, id, spec, memory),
            Driver::Bridge(_) => self.bridge_driver_spec(is_root, id, spec, memory),
            _ => Err(EOPNOTSUPP),
        }
    }

    /// `SIOCGIFCONF`: rows of a name and an address, each as long as the address, until the room is
    /// used up (`ifconf`).
    fn ioctl_conf(&self, argument: &mut [u8], memory: &CallerMemory) -> Result<()> {
        const ROW_BYTES: usize = 32;
        const ADDRESS_BYTES: usize = 16;
        let room = argument.u32_at(0) as usize;
        let mut rows = Vec::new();
        for row in self.interface_addresses() {
            let len = 16 + row.address.len().max(ADDRESS_BYTES);
            if room - rows.len() <= ROW_BYTES || room - rows.len() < len {
                break;
            }
            let mut bytes = vec![0; len];
            bytes.put(0, &row.interface.bytes());
            bytes.put(16, &row.address);
            rows.extend(bytes);
        }
        memory.copyout(&rows, argument.u64_at(4))?;
        argument.put_u32(0, u32::try_from(rows.len()).unwrap_or(0));
        Ok(())
    }
}

/// `SIOCIFGCLONERS` (`if_clone_list`): how many there are, and as many names as there is room for.
fn cloners(argument: &mut [u8], memory: &CallerMemory) -> Result<()> {
    const NAME_BYTES: usize = 16;
    let room = argument.u32_at(4).cast_signed();
    let to = argument.u64_at(8);
    argument.put_u32(0, u32::try_from(CLONERS.len()).unwrap_or(0));
    if to == 0 {
        return Ok(());
    }
    let room = usize::try_from(room).map_err(|_| EINVAL)?;
    let mut names = Vec::new();
    for cloner in CLONERS.into_iter().take(room) {
        let mut name = [0; NAME_BYTES];
        name.put_text(0, NAME_BYTES, cloner);
        names.extend(name);
    }
    memory.copyout(&names, to)
}

fn root(is_root: bool) -> Result<()> {
    if is_root { Ok(()) } else { Err(EPERM) }
}

/// `if_functional_type` (contract §9).
fn functional_type(interface: &super::Interface) -> u32 {
    const LOOPBACK: u32 = 1;
    const WIRED: u32 = 2;
    const WIFI_INFRASTRUCTURE: u32 = 3;
    match interface.driver {
        Driver::Loopback => LOOPBACK,
        _ if interface.subfamily == super::ether::SUBFAMILY_WIFI => WIFI_INFRASTRUCTURE,
        _ => WIRED,
    }
}
