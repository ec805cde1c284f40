//! Requests whose argument holds a pointer to room for a list. The room is made here, and its size
//! is what the kernel is told, so that issuing them is safe.
#![allow(unsafe_code, reason = "the kernel writes behind the argument's pointer")]

use std::ffi::c_void;

use super::{BpfDevice, Control, Descriptor};
use crate::bpf::{BIOCGDLTLIST, bpf_dltlist};
use crate::if_bridgevar::{BRDGGIFS, BRDGRTS, ifbaconf, ifbareq, ifbifconf, ifbreq};
use crate::net_if::{if_clonereq, ifconf, ifdrv, ifmediareq};
use crate::sys_sockio::{SIOCGDRVSPEC, SIOCGIFCONF, SIOCGIFMEDIA, SIOCIFGCLONERS};
use crate::{DriverCommand, Errno, InterfaceName, Kernel, Plain, Request, SyscallError};

/// Elements that a list has room for at least, and at most: a list that is longer is `ENOMEM`.
const ROOM_MIN: usize = 64;
const ROOM_MAX: usize = 1 << 20;

/// Bytes of the longest entry of `SIOCGIFCONF`: a name and the longest socket address.
const CONFIGURATION_ENTRY_MAX: usize = 16 + 255;

/// What the kernel said when it was given room.
enum Answer {
    /// So many elements were written.
    Written(usize),
    /// The room was too small.
    TooSmall,
}

impl<K: Kernel> Descriptor<K, Control> {
    /// The members of a bridge, its span ports too (`BRDGGIFS`), in place of what is in `members`.
    ///
    /// # Errors
    /// `ENXIO`: there is no such interface; `EINVAL`, `EOPNOTSUPP`: it is no bridge.
    pub fn bridge_members(
        &self,
        bridge: InterfaceName,
        members: &mut Vec<ifbreq>,
    ) -> Result<(), SyscallError> {
        fill(members, BRDGGIFS.name(), |room| {
            let (ifbic_len, ifbic_ifbicu) = length_and_pointer(room);
            let mut argument = ifbifconf { ifbic_len, ifbic_ifbicu };
            // SAFETY: the argument's pointer is to `room`, of the length it says.
            unsafe { self.list_command(bridge, BRDGGIFS, &mut argument) }?;
            Ok(Answer::Written(argument.ifbic_len as usize / size_of::<ifbreq>()))
        })
    }

    /// The addresses that a bridge knows (`BRDGRTS`), in place of what is in `addresses`.
    ///
    /// # Errors
    /// As [`Self::bridge_members`].
    pub fn bridge_addresses(
        &self,
        bridge: InterfaceName,
        addresses: &mut Vec<ifbareq>,
    ) -> Result<(), SyscallError> {
        fill(addresses, BRDGRTS.name(), |room| {
            let (ifbac_len, ifbac_ifbacu) = length_and_pointer(room);
            let mut argument = ifbaconf { ifbac_len, ifbac_ifbacu };
            // SAFETY: the argument's pointer is to `room`, of the length it says.
            unsafe { self.list_command(bridge, BRDGRTS, &mut argument) }?;
            Ok(Answer::Written(argument.ifbac_len as usize / size_of::<ifbareq>()))
        })
    }

    /// An interface's media (`SIOCGIFMEDIA`): its state, and the list of what it can be, in place
    /// of what is in `media`. The pointer of what is returned is nothing to follow.
    ///
    /// # Errors
    /// `ENXIO`: there is no such interface; `EOPNOTSUPP`: it has no media.
    pub fn media(
        &self,
        interface: InterfaceName,
        media: &mut Vec<i32>,
    ) -> Result<ifmediareq, SyscallError> {
        let mut state = ifmediareq::default();
        fill(media, SIOCGIFMEDIA.name(), |room| {
            state = ifmediareq { ifm_name: interface.bytes(), ..ifmediareq::default() };
            state.ifm_count = i32::try_from(room.len()).unwrap_or(i32::MAX);
            state.ifm_ulist = room.as_mut_ptr().expose_provenance() as u64;
            // SAFETY: the argument's pointer is to `room`, of as many elements as it says.
            match unsafe { self.list_request(SIOCGIFMEDIA, &mut state) } {
                Ok(()) => Ok(Answer::Written(usize::try_from(state.ifm_count).unwrap_or(0))),
                Err(error) if error.errno == Errno::E2BIG => Ok(Answer::TooSmall),
                Err(error) => Err(error),
            }
        })?;
        state.ifm_ulist = 0;
        Ok(state)
    }

    /// The kinds of interfaces that can be created (`SIOCIFGCLONERS`): `feth`, `bridge`, …
    ///
    /// # Errors
    /// None in particular.
    pub fn cloners(&self) -> Result<Vec<InterfaceName>, SyscallError> {
        let mut names = Vec::new();
        fill(&mut names, SIOCIFGCLONERS.name(), |room: &mut [[u8; 16]]| {
            let mut argument = if_clonereq {
                ifcr_total: 0,
                ifcr_count: i32::try_from(room.len()).unwrap_or(i32::MAX),
                ifcr_buffer: room.as_mut_ptr().expose_provenance() as u64,
            };
            // SAFETY: the argument's pointer is to `room`, of as many names as it says.
            unsafe { self.list_request(SIOCIFGCLONERS, &mut argument) }?;
            // How many there are, also when fewer had room.
            Ok(Answer::Written(usize::try_from(argument.ifcr_total).unwrap_or(0)))
        })?;
        Ok(names.iter().filter_map(|name| InterfaceName::from_bytes(name).ok()).collect())
    }

    /// Every interface's addresses (`SIOCGIFCONF`) as whole socket addresses, link-layer ones too;
    /// an interface without any has one of family `AF_UNSPEC`. `getifaddrs` tells flags and masks
    /// beside.
    ///
    /// # Errors
    /// None in particular.
    pub fn interface_addresses(&self) -> Result<Vec<(InterfaceName, Vec<u8>)>, SyscallError> {
        let mut bytes = Vec::with_capacity(8192);
        fill(&mut bytes, SIOCGIFCONF.name(), |room: &mut [u8]| {
            let mut argument = ifconf {
                ifc_len: i32::try_from(room.len()).unwrap_or(i32::MAX),
                ifc_ifcu: room.as_mut_ptr().expose_provenance() as u64,
            };
            // SAFETY: the argument's pointer is to `room`, of the length it says.
            unsafe { self.list_request(SIOCGIFCONF, &mut argument) }?;
            let written = usize::try_from(argument.ifc_len).unwrap_or(0);
            // The kernel ends, without a word, where the next entry has no room.
            let is_whole = written + CONFIGURATION_ENTRY_MAX < room.len();
            Ok(if is_whole { Answer::Written(written) } else { Answer::TooSmall })
        })?;
        Ok(configuration(&bytes))
    }

    /// # Safety
    /// As [`Self::list_request`].
    unsafe fn list_command<A: Plain>(
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
        // SAFETY: the ifdrv's pointer is to an A; behind that one is what the caller promises.
        let result = unsafe { self.list_request(SIOCGDRVSPEC, &mut spec) };
        result.map_err(|error| SyscallError { call: command.name(), ..error })
    }
}

impl<K: Kernel> Descriptor<K, BpfDevice> {
    /// The link types of the interface (`BIOCGDLTLIST`), in place of what is in `types`.
    ///
    /// # Errors
    /// `EINVAL`: there is no interface yet.
    pub fn link_types(&self, types: &mut Vec<u32>) -> Result<(), SyscallError> {
        fill(types, BIOCGDLTLIST.name(), |room| {
            let mut argument = bpf_dltlist {
                bfl_len: u32::try_from(room.len()).unwrap_or(u32::MAX),
                bfl_u: room.as_mut_ptr().expose_provenance() as u64,
            };
            // SAFETY: the argument's pointer is to `room`, of as many elements as it says.
            match unsafe { self.list_request(BIOCGDLTLIST, &mut argument) } {
                Ok(()) => Ok(Answer::Written(argument.bfl_len as usize)),
                Err(error) if error.errno == Errno::ENOMEM => Ok(Answer::TooSmall),
                Err(error) => Err(error),
            }
        })
    }
}

impl<K: Kernel, T> Descriptor<K, T> {
    /// # Safety
    /// The pointer in the argument is valid for writing as much as the argument says.
    unsafe fn list_request<A: Plain>(
        &self,
        request: Request<A, T>,
        argument: &mut A,
    ) -> Result<(), SyscallError> {
        let pointer: *mut A = argument;
        // SAFETY: the number is the one of A; A's pointer is what the caller promises.
        let result =
            unsafe { self.kernel.ioctl(&self.fd, request.number(), pointer.cast::<c_void>()) };
        result.map_err(|errno| SyscallError { call: request.name(), errno })
    }
}

/// Asks with more and more room until the list does not fill it: no such request says reliably how
/// much is needed (`BRDGRTS` says nothing, and lists grow between two calls).
fn fill<T: Plain>(
    list: &mut Vec<T>,
    call: &'static str,
    mut ask: impl FnMut(&mut [T]) -> Result<Answer, SyscallError>,
) -> Result<(), SyscallError> {
    let mut room = list.capacity().clamp(ROOM_MIN, ROOM_MAX);
    while room <= ROOM_MAX {
        list.clear();
        list.resize(room, T::zeroed());
        match ask(list) {
            Ok(Answer::Written(count)) if count < room => {
                list.truncate(count);
                return Ok(());
            }
            Ok(Answer::Written(_) | Answer::TooSmall) => room *= 2,
            Err(error) => {
                list.clear();
                return Err(error);
            }
        }
    }
    list.clear();
    Err(SyscallError { call, errno: Errno::ENOMEM })
}

fn length_and_pointer<T: Plain>(room: &mut [T]) -> (u32, u64) {
    // At most `ROOM_MAX` elements of no more than 80 bytes.
    let len = u32::try_from(size_of_val(room)).unwrap_or(0);
    (len, room.as_mut_ptr().expose_provenance() as u64)
}

/// Entries of `SIOCGIFCONF`: a name and an address that has 16 bytes or, by its length byte, more.
fn configuration(mut bytes: &[u8]) -> Vec<(InterfaceName, Vec<u8>)> {
    let mut entries = Vec::new();
    while let Some((name, rest)) = bytes.split_at_checked(16) {
        let Some(len) = rest.first().map(|len| usize::from(*len)) else { break };
        let Some((address, rest)) = rest.split_at_checked(len.max(16)) else { break };
        if let Ok(name) = InterfaceName::from_bytes(name) {
            entries.push((name, address[..len].to_vec()));
        }
        bytes = rest;
    }
    entries
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Letters often, so that names are.
    fn letter_or_any() -> impl Strategy<Value = u8> {
        prop_oneof![Just(b'a'), Just(0), any::<u8>()]
    }

    proptest! {
        /// Whatever a kernel gives: no panic, no endless loop, and no more than it gave.
        #[test]
        fn any_bytes_are_entries_or_none(bytes in vec(letter_or_any(), 0..512)) {
            let entries = configuration(&bytes);
            let len: usize = entries.iter().map(|(_, address)| 16 + address.len()).sum();
            prop_assert!(entries.len() <= bytes.len() / 32 && len <= bytes.len());
        }
    }
}
